"""When a wanted quality is reached, if it goes on as it went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEAST_ROUNDS = 3
RECENT = 6  # rounds that are looked at: the first ones say little about the last per cents
_FARTHEST = 50.0  # times what was spent so far; beyond that it is no forecast


@dataclass(frozen=True, slots=True)
class Point:
    """After a round: clicks spent so far, quality (0 to 1), and when (seconds since the epoch)."""

    clicks: float
    quality: float
    at: float


@dataclass(frozen=True, slots=True)
class Projection:
    """`clicks`: how many more are needed, and `at`: when at the present pace; None where `reason` says why not.

    exponent: b of the fitted curve error = a * clicks ** -b
    """

    target: float
    clicks: int | None = None
    at: float | None = None
    exponent: float | None = None
    reason: str = ""


def project(points: Sequence[Point], target: float, most: float | None = None, now: float | None = None) -> Projection:
    """Fit error = a * clicks ** -b to the last rounds by least squares of the logarithms, and follow it to the target.

    points: one per round, oldest first;  target: quality wanted, 0 to 1
    most: clicks of drawing every frame, if known: whoever needs more than these will draw
    now: until when the pace is counted, so that a video that has long waited is foretold no day that is over; None for
    the last point
    """
    if points and points[-1].quality >= target:
        return Projection(target, 0, points[-1].at, reason="reached")
    # a point without clicks has no logarithm; one without errors is past every target
    used = [point for point in points if point.clicks > 0 and point.quality < 1][-RECENT:]
    clicks = np.log([point.clicks for point in used])
    if len(used) < LEAST_ROUNDS or len(set(clicks.tolist())) < LEAST_ROUNDS:
        return Projection(target, reason=f"known after {LEAST_ROUNDS} rounds with answers")
    errors = np.log([1 - point.quality for point in used])
    slope, offset = np.polyfit(clicks, errors, 1)
    # what does not fall by a hundredth of itself per doubling of the clicks is noise
    if slope > -0.015:
        return Projection(target, exponent=round(-float(slope), 3), reason="the last rounds did not lower the error")
    with np.errstate(over="ignore"):
        needed = float(np.exp((np.log(1 - target) - offset) / slope)) if target < 1 else float("inf")
    last = used[-1]
    if needed > _FARTHEST * last.clicks:
        return Projection(target, exponent=round(-float(slope), 3), reason="out of reach at this rate")
    if most is not None and needed > most:
        return Projection(target, exponent=round(-float(slope), 3), reason="drawing every frame would cost less")
    more = max(1, round(needed - last.clicks))
    until = last.at if now is None else max(now, last.at)
    pace = (last.clicks - used[0].clicks) / (until - used[0].at) if until > used[0].at else 0.0
    return Projection(target, more, until + more / pace if pace > 0 else None, round(-float(slope), 3))
