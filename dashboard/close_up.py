"""Several videos together: the sum of their forecasts; of a few also time by step and the worst frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dashboard import charts
from dashboard.overview import VideoRow
from dashboard.pictures import expected_errors, worst_frames
from dashboard.projection import RECENT, Point, Projection, project
from dashboard.round_summary import Round
from dashboard.video_page import rounds_of, target_of
from workspace.facts import Event
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
    """What overview.html shows of videos together, None or empty without any; `worst` is None of too many."""
    told = forecast(outlooks(projects, rows, now)) if rows else None
    if len(rows) > MOST_VIDEOS or sum(row.tally.asked for row in rows) > MOST_SAMPLES:
        return {"forecast": told, "steps_chart": None, "worst": None}
    rounds = [rounds_of(projects[row.project], row.id, now) for row in rows]  # one video at a time
    together = together_by_round(rounds)
    return {
        "forecast": told,
        "steps_chart": charts.step_seconds(together) if together else None,
        "worst": _worst(projects, rows, rounds),
    }


def outlooks(
    projects: Mapping[str, Project], rows: Sequence[VideoRow], now: float
) -> list[tuple[VideoRow, Projection]]:
    """The projection that the page of each video shows, from what its last rounds left: one query per project."""
    points = {
        (slug, video): recent_points(newest)
        for slug in dict.fromkeys(row.project for row in rows)
        for video, newest in projects[slug].facts.newest_few("propagated", RECENT).items()
    }
    found = []
    for row in rows:
        most = None if row.baseline is None else row.baseline.clicks
        of_video = points.get((row.project, row.id), [])
        found.append((row, project(of_video, target_of(projects[row.project]), most, now)))
    return found


def recent_points(newest: Sequence[tuple[Event, int]]) -> list[Point]:
    """As `points_of`, of the last rounds only: newest as `Facts.newest_few` gives them."""
    return [
        Point(clicks, event.payload["estimated_miou"], event.at)
        for event, clicks in newest
        if event.round >= 1 and event.payload.get("estimated_miou") is not None
    ]


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
