"""What the page of one video shows."""

from __future__ import annotations

from heapq import merge
from typing import TYPE_CHECKING, Any

from dashboard import charts
from dashboard.faults import faults
from dashboard.overview import people, per_answer
from dashboard.pictures import MODEL, expected_errors, worst_frames
from dashboard.projection import Point, project
from dashboard.round_summary import KINDS, Round, summarize_rounds
from dashboard.savings import baseline
from workspace.facts import Event, VideoState
from workspace.states import FREES, ORDERED
from workspace.tallies import Work

if TYPE_CHECKING:
    from dashboard.project import Project

_WORST = 6
_USUAL_TARGET = 0.95  # where no quality was asked for
_FAILURES_SHOWN = 20


def rounds_of(where: Project, video: str, now: float | None = None) -> list[Round]:
    """The rounds of a video from its log; its labels are not read, their sums are."""
    events = merge(*(where.facts.events(video, kind) for kind in KINDS), key=lambda event: event.id)
    return summarize_rounds(events, where.facts.rounds(video), now)


def points_of(rounds: list[Round]) -> list[Point]:
    """Clicks so far and estimated quality after each round that has masks."""
    points, clicks = [], 0
    for one in rounds:
        clicks += one.clicks
        if one.estimated is not None:
            points.append(Point(clicks, one.estimated, one.at))
    return points


def target_of(where: Project) -> float:
    """The estimated mIoU that is wanted, 0 to 1."""
    return where.config.stopping.quality or _USUAL_TARGET


def _faults(where: Project, video: str) -> list[Event]:
    """Failed steps and the orders that people gave, newest first."""
    kinds = ("failed", *ORDERED.values())
    events = merge(*(where.facts.events(video, kind) for kind in kinds), key=lambda event: event.id)
    return list(events)[-_FAILURES_SHOWN:][::-1]


def video_values(where: Project, state: VideoState, now: float) -> dict[str, Any]:
    """Everything that video.html needs."""
    facts, video = where.facts, state.video
    rounds = rounds_of(where, video.id, now)
    tally, work = facts.tally(video.id), (facts.work((), video.id) or [Work(video.id, "", "")])[0]
    propagated, scored = facts.last_event(video.id, "propagated"), facts.last_event(video.id, "scored")
    cost = baseline(
        video.frames,
        work,
        None if propagated is None else propagated.payload,
        None if scored is None else scored.payload,
    )
    projection = project(points_of(rounds), target_of(where), None if cost is None else cost.clicks, now)
    model = str(propagated.payload["model"]) if propagated is not None else ""
    errors = expected_errors(where.layout, video, model)
    asked = sorted({frame for one in rounds for frame in one.frames if frame < video.frames})
    reliability = facts.last_event(video.id, "reliability")
    done = facts.last_event(video.id, "done")
    newest = rounds[-1] if rounds else None
    return {
        "slug": where.slug,
        "state": state,
        "video": video,
        "rounds": rounds,
        "tally": tally,
        "work": work,
        "labeled": min(1.0, tally.pixels / (video.frames * video.width * video.height)),
        "seconds_per_answer": per_answer(work),
        "baseline": cost,
        "saved": cost.saved(tally.clicks) if cost is not None and tally.labeled else None,
        "projection": projection,
        "estimated": propagated.payload.get("estimated_miou") if propagated is not None else None,
        "true_miou": next((one.true for one in reversed(rounds) if one.model == model), None),
        "waiting": newest if newest is not None and state.state == "waiting" else None,
        "free": FREES[state.hold] if state.hold is not None else None,
        "done": done.payload.get("reason") if done is not None and state.state == "done" else None,
        "people": people(
            facts.work(("annotator",), video.id), [reliability.payload["annotators"]] if reliability else []
        ),
        "failures": faults((where.slug, video.name, event) for event in _faults(where, video.id)),
        "model": model if MODEL.fullmatch(model) else "",
        "worst": [(frame, float(errors[frame])) for frame in worst_frames(errors, _WORST)]
        if errors is not None
        else [],
        "quality_chart": charts.quality_over_clicks(rounds, projection) if model else None,
        "steps_chart": charts.step_seconds(rounds) if rounds else None,
        "errors_chart": charts.frame_errors(errors.tolist(), asked) if errors is not None else None,
    }
