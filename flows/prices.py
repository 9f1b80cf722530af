"""What answers really cost beside what was expected of them: so that the next selection expects better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from flows.labels import is_imported, latest_versions
from flows.scoring import ScoredFrame
from selection.granularity import FRAME, patch_shape
from workspace.facts import Facts
from workspace.sample import Granularity, Sample

_FACTOR_LIMITS = 0.25, 4.0  # a round of few samples may be off by chance


@dataclass(frozen=True, slots=True)
class Prices:
    """frame: modelled clicks of drawing a whole frame, on average over those that were answered; None: none was
    patch: modelled clicks of drawing the patches that were answered, over those expected when they were chosen; None:
    none was"""

    frame: float | None = None
    patch: float | None = None

    def factor(self, name: str, of_frames: float | None) -> float:
        """What expected clicks of samples of a granularity are to be multiplied by.

        of_frames: expected clicks of a whole frame, on average; None if none is left. Until patches were answered they
        are corrected as frames are, but never downwards: both are judged by the same predicted outlines, and the best
        of thousands of patches are those that were judged too kindly.
        """
        frame = self.frame / of_frames if self.frame and of_frames else 1.0
        if name == FRAME:
            return frame
        if patch_shape(name) is None:
            return 1.0
        return max(1.0, frame) if self.patch is None else self.patch


def prices(facts: Facts, video: str) -> Prices:
    """From the event log of a video."""
    expected_each: dict[int, float] = {}
    for event in facts.events(video, "selected"):
        if event.payload.get("expected_clicks") and patch_shape(event.payload["granularity"]) is not None:
            expected_each[event.round] = event.payload["expected_clicks"] / len(event.payload["samples"])
    frames: list[float] = []
    paid, expected = 0.0, 0.0
    for event in latest_versions(event for event in facts.events(video, "label") if not is_imported(event)):
        if not event.payload["known_pixels"]:
            continue
        clicks = float(event.payload["clicks"]["drawing"])
        if Sample.parse(event.payload["sample"]).granularity is Granularity.FRAME:
            frames.append(clicks)
        elif event.round in expected_each:
            paid += clicks
            expected += expected_each[event.round]
    ratio = float(np.clip(paid / expected, *_FACTOR_LIMITS)) if expected else None
    return Prices(float(np.mean(frames)) if frames else None, ratio)


def repriced(
    offers: Mapping[str, Sequence[ScoredFrame]], known: Prices
) -> tuple[dict[str, list[ScoredFrame]], dict[str, float]]:
    """The offers of each granularity with their costs corrected, and the factor of each."""
    costs = [scored.scores.cost for scored in offers.get(FRAME, ()) if len(scored.scores.cost)]
    of_frames = float(np.concatenate(costs).mean()) if costs else None
    factors = {name: known.factor(name, of_frames) for name in offers}
    return {
        name: [
            replace(scored, scores=replace(scored.scores, cost=scored.scores.cost * np.float32(factors[name])))
            for scored in frames
        ]
        for name, frames in offers.items()
    }, factors
