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
    patch: modelled clicks of drawing the patches that were answered, over those expected when they were chosen; 1 if
    none was"""

    frame: float | None = None
    patch: float = 1.0

    def factor(self, name: str, expected: float) -> float:
        """What expected clicks of samples of a granularity are to be multiplied by; `expected`: of one, on average."""
        if name == FRAME:
            return self.frame / expected if self.frame and expected else 1.0
        return self.patch if patch_shape(name) is not None else 1.0


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
    ratio = float(np.clip(paid / expected, *_FACTOR_LIMITS)) if expected else 1.0
    return Prices(float(np.mean(frames)) if frames else None, ratio)


def repriced(
    offers: Mapping[str, Sequence[ScoredFrame]], known: Prices
) -> tuple[dict[str, list[ScoredFrame]], dict[str, float]]:
    """The offers of each granularity with their costs corrected, and the factor of each."""
    factors: dict[str, float] = {}
    for name, frames in offers.items():
        costs = [scored.scores.cost for scored in frames if len(scored.scores.cost)]
        factors[name] = known.factor(name, float(np.concatenate(costs).mean()) if costs else 0.0)
    return {
        name: [
            replace(scored, scores=replace(scored.scores, cost=scored.scores.cost * np.float32(factors[name])))
            for scored in frames
        ]
        for name, frames in offers.items()
    }, factors
