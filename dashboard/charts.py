"""The dashboard's charts, as Plotly figures: plain data here, drawn in the browser by the library's own script."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from dashboard.overview import Person, VideoRow
from dashboard.projection import Projection
from dashboard.round_summary import Round
from workspace.states import State
from workspace.tallies import Work

Figure = dict[str, Any]

# Okabe & Ito 2008: told apart by everybody, on light and on dark ground
BLUE, ORANGE, GREEN, PINK, SKY, AMBER, GREY = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#8a8f98",
)  # fmt: skip
_STEPS = {
    State.SELECTING: ("choosing", SKY),
    State.PUSHING: ("asking", GREY),
    State.WAITING: ("people", AMBER),
    State.PULLING: ("pulling", PINK),
    State.REVIEWING: ("reviews", ORANGE),
    State.FITTING: ("fitting", BLUE),
    State.PROPAGATING: ("propagating", GREEN),
}
_PEOPLE_SHOWN = 20


def quality_over_clicks(rounds: Sequence[Round], projection: Projection | None) -> Figure:
    """mIoU over the clicks spent until then, after each round: estimated, true where known, wanted, and forecast."""
    clicks, spent = [], 0
    for one in rounds:
        spent += one.clicks
        clicks.append(spent)
    points = list(zip(rounds, clicks, strict=True))
    data = []
    for name, color, symbol, values in (
        ("estimated mIoU", BLUE, "circle", [(x, one.estimated, one.number) for one, x in points]),
        ("true mIoU", GREEN, "square", [(x, one.true, one.number) for one, x in points]),
    ):
        known = [(x, 100 * y, number) for x, y, number in values if y is not None]
        if known:
            x, y, number = (list(column) for column in zip(*known, strict=True))
            data.append(
                {
                    "type": "scatter", "mode": "lines+markers", "name": name, "x": x, "y": y, "customdata": number,
                    "line": {"color": color}, "marker": {"symbol": symbol, "size": 8},
                    "hovertemplate": "round %{customdata}: %{y:.1f} % after %{x:,} clicks<extra></extra>",
                }
            )  # fmt: skip
    if projection is not None and data:
        farthest = clicks[-1] + (projection.clicks or 0)
        data.append(
            {
                "type": "scatter", "mode": "lines", "name": "wanted", "x": [0, farthest],
                "y": [100 * projection.target] * 2, "line": {"color": GREY, "dash": "dot"}, "hoverinfo": "skip",
            }
        )  # fmt: skip
        last = next((one.estimated for one in reversed(rounds) if one.estimated is not None), None)
        if projection.clicks and last is not None:
            data.append(
                {
                    "type": "scatter", "mode": "lines", "name": "at this rate", "x": [clicks[-1], farthest],
                    "y": [100 * last, 100 * projection.target], "line": {"color": BLUE, "dash": "dash"},
                    "hovertemplate": "%{y:.1f} % at %{x:,} clicks<extra></extra>",
                }
            )  # fmt: skip
    return _figure(data, "clicks spent (modelled)", "mean IoU (%)")


def step_seconds(rounds: Sequence[Round]) -> Figure:
    """Minutes per round, by step."""
    numbers = [one.number for one in rounds]
    data = [
        {
            "type": "bar", "name": name, "x": numbers, "y": [one.steps.get(state, 0.0) / 60 for one in rounds],
            "marker": {"color": color}, "hovertemplate": f"round %{{x}}, {name}: %{{y:.1f}} min<extra></extra>",
        }
        for state, (name, color) in _STEPS.items()
    ]  # fmt: skip
    figure = _figure(data, "round", "minutes", barmode="stack")
    figure["layout"]["legend"]["traceorder"] = "normal"
    figure["layout"]["xaxis"]["dtick"] = 1 if len(numbers) <= 20 else None
    return figure


def frame_errors(errors: Sequence[float], labeled: Sequence[int]) -> Figure:
    """Expected share of wrong pixels of every frame, and which frames people were asked about."""
    data: list[dict[str, Any]] = [
        {
            "type": "scatter", "mode": "lines", "name": "expected errors", "y": [round(100 * e, 3) for e in errors],
            "line": {"color": ORANGE}, "hovertemplate": "frame %{x}: %{y:.2f} % wrong<extra></extra>",
        },
        {
            "type": "scatter", "mode": "markers", "name": "asked about", "x": list(labeled),
            "y": [round(100 * errors[i], 3) for i in labeled], "marker": {"color": GREEN, "size": 8},
            "hovertemplate": "frame %{x}, asked about<extra></extra>",
        },
    ]  # fmt: skip
    return _figure(data, "frame", "pixels expected wrong (%)")


def clicks_per_day(work: Sequence[Work]) -> Figure:
    """Modelled clicks of each day's answers: as they were made, and if each had been drawn from nothing."""
    days = [one.day for one in work]
    data = [
        {
            "type": "bar", "name": name, "x": days, "y": values, "marker": {"color": color},
            "hovertemplate": "%{x}: %{y:,} clicks<extra></extra>",
        }
        for name, color, values in (
            ("spent, correcting", BLUE, [one.correcting for one in work]),
            ("drawing the same from nothing", GREY, [one.drawing for one in work]),
        )
    ]  # fmt: skip
    figure = _figure(data, "", "clicks (modelled)", barmode="group")
    figure["layout"]["xaxis"]["type"] = "date"
    if len(days) <= 1:  # one bar would be as wide as the chart
        figure["layout"]["xaxis"] |= {"type": "category"}
        figure["layout"]["bargap"] = 0.8
    return figure


def quality_of_videos(rows: Sequence[VideoRow]) -> Figure:
    """One point per video: estimated mIoU over the share of the clicks of drawing every frame."""
    data = []
    for name, color, symbol in (("in work", BLUE, "circle"), ("done", GREEN, "square"), ("held", ORANGE, "x")):
        some = [row for row in rows if _how(row) == name and row.estimated is not None and row.saved is not None]
        if some:
            data.append(
                {
                    "type": "scatter", "mode": "markers", "name": name,
                    "x": [round(100 * (1 - (row.saved or 0)), 2) for row in some],
                    "y": [round(100 * (row.estimated or 0), 2) for row in some],
                    "text": [plain(row.state.video.name) for row in some],
                    "marker": {"color": color, "symbol": symbol, "size": 9, "opacity": 0.8},
                    "hovertemplate": "%{text}<br>%{x:.1f} % of the clicks, %{y:.1f} %<extra></extra>",
                }
            )  # fmt: skip
    figure = _figure(data, "clicks spent, % of drawing every frame", "estimated mIoU (%)")
    figure["layout"]["xaxis"]["rangemode"] = "tozero"
    return figure


def _how(row: VideoRow) -> str:
    if row.state.hold is not None:
        return "held"
    return "done" if row.state.state is State.DONE else "in work"


def answers_of_people(people: Sequence[Person]) -> Figure:
    """Answers per hour with a task open, of those who answered most."""
    some = [one for one in people if one.work.seconds_ms][:_PEOPLE_SHOWN][::-1]
    data = [
        {
            "type": "bar", "orientation": "h", "y": [plain(name) for name in shortened([one.name for one in some])],
            "x": [round(3.6e6 * (one.work.answers + one.work.skipped) / one.work.seconds_ms, 1) for one in some],
            "customdata": [one.work.answers for one in some], "marker": {"color": SKY},
            "hovertemplate": "%{y}: %{x:.0f} per hour, %{customdata:,} answers<extra></extra>",
        }
    ]  # fmt: skip
    return _figure(data, "answers per hour", "")


def shortened(names: Sequence[str], most: int = 24) -> list[str]:
    """Names of at most `most` characters, still told apart: bars of one name would be drawn as one."""
    found: list[str] = []
    for name in names:
        short = name if len(name) <= most else f"{name[: most - 6]}…{name[-5:]}"
        same = sum(1 for other in found if other == short or other.startswith(f"{short} ("))
        found.append(short if not same else f"{short} ({same + 1})")
    return found


def plain(text: str) -> str:
    """A name from outside for a chart: Plotly reads <b>, <a href> and the like in its texts."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def day_of(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def _figure(data: list[dict[str, Any]], x: str, y: str, **layout: Any) -> Figure:
    axes = {"xaxis": {"title": {"text": x}, "automargin": True}, "yaxis": {"title": {"text": y}, "automargin": True}}
    margin = {"l": 10, "r": 10, "t": 10, "b": 10}
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
    return {"data": data, "layout": axes | {"margin": margin, "legend": legend} | layout}
