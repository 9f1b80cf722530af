"""What the event log says about the rounds of a video."""

from __future__ import annotations

from flows.labels import is_imported
from workspace.config import StoppingConfig
from workspace.facts import Facts
from workspace.sample import Granularity, Sample
from workspace.video import Video

IMPORTED_MODEL = "imported-"  # so begins the name of predictions that were made elsewhere


def asked_in(facts: Facts, video: str, round_number: int) -> list[Sample]:
    """The samples selected for a round, in the order in which they are asked."""
    return [
        Sample.parse(key)
        for event in facts.events(video, "selected")
        if event.round == round_number
        for key in event.payload["samples"]
    ]


def asked(facts: Facts, video: str) -> set[Sample]:
    """Every sample that was ever selected, answered or not, and every frame with an imported label: not asked again."""
    selected = {Sample.parse(key) for event in facts.events(video, "selected") for key in event.payload["samples"]}
    return selected | {
        Sample.parse(event.payload["sample"]) for event in facts.events(video, "label") if is_imported(event)
    }


def shown_model(facts: Facts, video: str, round_number: int) -> str:
    """Fingerprint of the masks shown to annotators in a round: the newest from before it, else imported ones, else
    ""."""
    models = [event.payload["model"] for event in facts.events(video, "propagated") if event.round < round_number]
    return models[-1] if models else imported_model(facts, video)


def imported_model(facts: Facts, video: str) -> str:
    """Name of the imported predictions, which not every frame need have; "" if there are none."""
    event = facts.last_event(video, "imported")
    return "" if event is None else str(event.payload["model"])


def newest_model(facts: Facts, video: str) -> str:
    """Fingerprint of the newest masks of all frames; "" before the first propagation."""
    event = facts.last_event(video, "propagated")
    return "" if event is None else str(event.payload["model"])


def clicks_spent(facts: Facts, video: str) -> int:
    """Modelled clicks of all answers so far, by what was shown: drawing without, correcting with a prediction."""
    return facts.tally(video).clicks


def estimated_miou_of(facts: Facts, video: str) -> float | None:
    """The product's own estimate for the newest masks, in [0, 1]; None before the first ones."""
    event = facts.last_event(video, "propagated")
    return None if event is None else event.payload.get("estimated_miou")


def stop_reason(
    facts: Facts, video: Video, finished_rounds: int, stopping: StoppingConfig, estimated: float | None = None
) -> str | None:
    """Why the loop ends after `finished_rounds`, or None if it goes on.

    estimated: mIoU of masks that are not in the log yet; None: that of the newest in the log
    """
    if finished_rounds >= stopping.rounds:
        return f"{finished_rounds} rounds are done (stopping.rounds)"
    if stopping.clicks is not None:
        spent = clicks_spent(facts, video.id)
        if spent >= stopping.clicks:
            return f"{spent} of {stopping.clicks} clicks are spent (stopping.clicks)"
    if stopping.quality is not None:
        quality = estimated_miou_of(facts, video.id) if estimated is None else estimated
        if quality is not None and quality >= stopping.quality:
            wanted = f"{100 * stopping.quality:g} % was wanted (stopping.quality)"
            return f"the estimated mIoU is {100 * quality:.1f} %, {wanted}"
    whole = {s.frame for s in asked(facts, video.id) if s.granularity is Granularity.FRAME}
    if len(whole) >= video.frames:
        return f"none of {video.frames} frames is left to ask about"
    ended = facts.last_event(video.id, "done")
    if ended is not None and ended.payload.get("exhausted"):
        return str(ended.payload["reason"])
    return None
