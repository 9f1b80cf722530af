"""Rounds of a video as rows for tables: what was asked and answered, what it cost, how long each step took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flows.labels import is_imported, latest_versions
from flows.rounds import asked_in
from workspace.facts import Facts, VideoState
from workspace.sample import question_key
from workspace.states import FREES, Hold, State
from workspace.tallies import Tally

if TYPE_CHECKING:  # it imports all that a step needs, and `status` shall answer at once
    from flows.context import Context


def round_rows(facts: Facts, video: str) -> list[dict[str, Any]]:
    """One row per round: samples, answers, skipped, modelled clicks, estimated mIoU, seconds per step."""
    rows: dict[int, dict[str, Any]] = {}
    began: dict[int, float] = {}
    for event in facts.events(video):
        if event.kind == "moved" and event.payload["to"] == State.SELECTING:
            began[event.payload["round"]] = event.at
        if event.round < 1:
            continue
        row = rows.setdefault(
            event.round,
            {"round": event.round, "samples": 0, "answers": 0, "skipped": 0, "clicks": 0, "clicks_corrected": 0}
            | {"fit_s": None, "propagate_s": None, "model": "", "seconds": 0.0, "estimated_miou": None},
        )
        payload = event.payload
        if event.kind == "selected":
            row["samples"] += len(payload["samples"])
        elif event.kind == "fitted":
            row["fit_s"] = payload["seconds"]
        elif event.kind == "propagated":
            row["propagate_s"], row["model"] = payload["seconds"], payload["model"]
            row["seconds"] = event.at - began[event.round]
            row["estimated_miou"] = payload.get("estimated_miou")
    for event in latest_versions(event for event in facts.events(video, "label") if not is_imported(event)):
        row, payload = rows[event.round], event.payload
        row["answers"] += not payload["skipped"]
        row["skipped"] += payload["skipped"]
        row["clicks"] += payload["clicks"]["drawing"]
        row["clicks_corrected"] += payload["clicks"]["correcting"]
    return [rows[number] for number in sorted(rows)]


def project_rows(facts: Facts, rounds: int) -> list[tuple[object, ...]]:
    """One row per video: id, frames, state, round of rounds, samples asked, answered, skipped, withdrawn, clicks, and
    the estimated mIoU or None."""
    rows: list[tuple[object, ...]] = []
    tallies, propagated = facts.tallies(), facts.newest("propagated")
    for row in facts.videos():
        tally = tallies.get(row.video.id, Tally())
        where = row.video.id, row.video.frames, place_of(row), f"{row.round}/{rounds}"
        sums = tally.asked, tally.labeled, tally.skipped, tally.withdrawn, tally.clicks
        newest = propagated.get(row.video.id)
        rows.append((*where, *sums, None if newest is None else newest.payload.get("estimated_miou")))
    return rows


def place_of(row: VideoState) -> str:
    """Its state, and what holds it there."""
    return row.state.value if row.hold is None else f"{row.hold} ({row.state})"


def held_because(facts: Facts, row: VideoState) -> str:
    """One line: why the video is held and what lets it go on."""
    assert row.hold is not None
    failed = facts.last_event(row.video.id, "failed") if row.hold is Hold.FAILED else None
    why = f", last with: {failed.payload['error']}" if failed is not None else ""
    return f"{row.video.id}: {place_of(row)}{why}. `fewclicks {FREES[row.hold]} DIR {row.video.id}` lets it go on."


def waiting_for(context: Context, row: VideoState) -> str:
    """One line: what the video waits for and where to click."""
    from flows.review_tasks import open_reviews

    if row.hold is not None:
        return held_because(context.facts, row)
    if row.state is State.DONE:
        done = context.facts.last_event(row.video.id, "done")
        return f"{row.video.id}: done, {done.payload['reason'] if done else ''}. `fewclicks export` writes the masks."
    if row.state is State.REVIEWING and context.reviews is not None:
        waiting = [item.key(row.video.id) for item in open_reviews(context, row.video.id)]
        where = context.reviews.link(waiting)
        return f"{row.video.id}: round {row.round}, waiting for {len(waiting)} review(s): {where}"
    if row.state is State.SELECTING and row.owner is None:
        return f"{row.video.id}: it is another video's turn, or the project's budget is used up (budget)."
    if row.state is not State.WAITING:
        return f"{row.video.id}: {row.state.value} (another process is at it)"
    keys = [question_key(row.video.id, row.round, s) for s in asked_in(context.facts, row.video.id, row.round)]
    missing = len(context.tool.progress(keys).open)
    return f"{row.video.id}: round {row.round}, waiting for {missing} of {len(keys)} answers: {context.tool.link(keys)}"
