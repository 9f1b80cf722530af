"""What has to be read video by video: forecast, time by step and worst frames of a few videos together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dashboard import charts
from dashboard.overview import VideoRow
from dashboard.pictures import expected_errors, worst_frames
from dashboard.projection import Projection, project
from dashboard.round_summary import Round
from dashboard.video_page import points_of, rounds_of, target_of
from workspace.states import State

if TYPE_CHECKING:
    from dashboard.project import Project

MOST_VIDEOS = 20
MOST_SAMPLES = 20_000  # asked about in all of them: reading their rounds takes time in proportion
_WORST = 6


@dataclass(frozen=True, slots=True)
class Forecast:
    """For the videos that are not done: how many more clicks, summed up, and when the last one is there.

    told: videos that it holds for;  reached, ended: videos that have the wanted quality, or ended without it
    untold: videos of which it cannot be told;  at: seconds since the epoch, None without a pace
    """

    told: int
    reached: int
    ended: int
    untold: int
    clicks: int
    at: float | None


@dataclass(frozen=True, slots=True)
class WorstFrame:
    """`error`: share of its pixels that are expected wrong, 0 to 1"""

    row: VideoRow
    model: str
    frame: int
    error: float


def close_up(projects: Mapping[str, Project], rows: Sequence[VideoRow], now: float) -> dict[str, Any]:
    """What overview.html shows of a few videos; all None or empty for none, and for more than can be read at once."""
    if not rows or len(rows) > MOST_VIDEOS or sum(row.tally.asked for row in rows) > MOST_SAMPLES:
        return {"forecast": None, "steps_chart": None, "worst": []}
    rounds = [rounds_of(projects[row.project], row.id, now) for row in rows]
    outlook = []
    for row, of_video in zip(rows, rounds, strict=True):
        most = None if row.baseline is None else row.baseline.clicks
        outlook.append((row, project(points_of(of_video), target_of(projects[row.project]), most, now)))
    together = together_by_round(rounds)
    return {
        "forecast": forecast(outlook),
        "steps_chart": charts.step_seconds(together) if together else None,
        "worst": _worst(projects, rows, rounds),
    }


def forecast(outlook: Sequence[tuple[VideoRow, Projection]]) -> Forecast:
    """The sum over videos, each with its own projection."""
    reached = [one for _, one in outlook if one.reason == "reached"]
    ended = [one for row, one in outlook if row.state.state is State.DONE and one.reason != "reached"]
    going = [one for row, one in outlook if row.state.state is not State.DONE and one.reason != "reached"]
    told = [one for one in going if one.clicks is not None]
    times = [one.at for one in told if one.at is not None]
    return Forecast(
        told=len(told),
        reached=len(reached),
        ended=len(ended),
        untold=len(going) - len(told),
        clicks=sum(one.clicks or 0 for one in told),
        at=max(times) if len(times) == len(told) and times else None,
    )


def together_by_round(rounds: Sequence[Sequence[Round]]) -> list[Round]:
    """The seconds of each step in the first, second, ... round of all videos together."""
    steps: dict[int, dict[State, float]] = {}
    for of_video in rounds:
        for one in of_video:
            sums = steps.setdefault(one.number, {})
            for state, seconds in one.steps.items():
                sums[state] = sums.get(state, 0.0) + seconds
    return [Round(number, steps=steps[number]) for number in sorted(steps)]


def _worst(
    projects: Mapping[str, Project], rows: Sequence[VideoRow], rounds: Sequence[Sequence[Round]]
) -> list[WorstFrame]:
    found = []
    for row, of_video in zip(rows, rounds, strict=True):
        model = next((one.model for one in reversed(of_video) if one.model), "")
        errors = expected_errors(projects[row.project].layout, row.state.video, model)
        if errors is not None:
            picks = worst_frames(errors, _WORST)
            found += [WorstFrame(row, model, frame, float(errors[frame])) for frame in picks]
    return sorted(found, key=lambda one: -one.error)[:_WORST]
