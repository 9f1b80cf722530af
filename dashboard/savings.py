"""What drawing every frame of a video would cost, and what is saved against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from workspace.tallies import Work

LEAST_FRAMES = 3  # whole frames that people labeled, below which their mean says little


class Basis(StrEnum):
    """What the cost of drawing every frame was modelled on."""

    TRUTH = "true masks"
    PEOPLE = "frames that people labeled"
    PREDICTIONS = "predicted masks"


@dataclass(frozen=True, slots=True)
class Baseline:
    """Modelled clicks of drawing every frame from nothing (docs/clicks.md), and on which masks."""

    clicks: int
    basis: Basis

    def saved(self, spent: int) -> float:
        """Share of them that was not needed: 1 - spent / clicks; negative if more was spent."""
        return 1 - spent / self.clicks if self.clicks else 0.0


def baseline(
    frames: int, work: Work | None, propagated: Mapping[str, Any] | None, scored: Mapping[str, Any] | None
) -> Baseline | None:
    """The best basis there is; None before anything is known.

    frames: of the video;  work: of all days;  propagated, scored: payloads of the newest such events
    """
    if scored is not None and scored.get("drawing_every_frame"):
        return Baseline(int(scored["drawing_every_frame"]), Basis.TRUTH)
    if work is not None and work.frames >= LEAST_FRAMES:
        return Baseline(round(work.frame_drawing / work.frames * frames), Basis.PEOPLE)
    if propagated is not None and propagated.get("drawing_every_frame"):
        return Baseline(int(propagated["drawing_every_frame"]), Basis.PREDICTIONS)
    return None
