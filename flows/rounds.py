"""What the event log says about the rounds of a video."""

from __future__ import annotations

from workspace.config import StoppingConfig
from workspace.facts import Facts
from workspace.sample import Granularity, Sample
from workspace.video import Video


def asked_in(facts: Facts, video: str, round_number: int) -> list[Sample]:
    """The samples selected for a round, in the order in which they are asked."""
    return [
        Sample.parse(key)
        for event in facts.events(video, "selected")
        if event.round == round_number
        for key in event.payload["samples"]
    ]


def asked(facts: Facts, video: str) -> set[Sample]:
    """Every sample that was ever selected, answered or not: none of them is asked again."""
    return {Sample.parse(key) for event in facts.events(video, "selected") for key in event.payload["samples"]}


def shown_model(facts: Facts, video: str, round_number: int) -> str:
    """Fingerprint of the masks shown to annotators in a round: the newest from before it; "" in the first."""
    models = [event.payload["model"] for event in facts.events(video, "propagated") if event.round < round_number]
    return models[-1] if models else ""


def newest_model(facts: Facts, video: str) -> str:
    """Fingerprint of the newest masks of all frames; "" before the first propagation."""
    event = facts.last_event(video, "propagated")
    return "" if event is None else str(event.payload["model"])


def clicks_spent(facts: Facts, video: str) -> int:
    """Modelled clicks of all answers so far, by what was shown: drawing without, correcting with a prediction."""
    return facts.tally(video).clicks


def stop_reason(facts: Facts, video: Video, finished_rounds: int, stopping: StoppingConfig) -> str | None:
    """Why the loop ends after `finished_rounds`, or None if it goes on."""
    if finished_rounds >= stopping.rounds:
        return f"{finished_rounds} rounds are done (stopping.rounds)"
    if stopping.clicks is not None:
        spent = clicks_spent(facts, video.id)
        if spent >= stopping.clicks:
            return f"{spent} of {stopping.clicks} clicks are spent (stopping.clicks)"
    whole = {s.frame for s in asked(facts, video.id) if s.granularity is Granularity.FRAME}
    if len(whole) >= video.frames:
        return f"all {video.frames} frames were asked about"
    ended = facts.last_event(video.id, "done")
    if ended is not None and ended.payload.get("exhausted"):
        return str(ended.payload["reason"])
    return None
