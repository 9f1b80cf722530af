"""How sure a measured mIoU is: intervals by resampling frames."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quality.scores import miou

REPEATS = 1000
LEAST_FRAMES = 5  # fewer say next to nothing about how frames differ


@dataclass(frozen=True, slots=True)
class Interval:
    """mIoU over `frames` frames and the middle 95 % of its resamples, 0 to 1; low and high None for too few frames."""

    value: float
    low: float | None
    high: float | None
    frames: int


def miou_interval(tables: NDArray[np.int64], rng: np.random.Generator, block: int = 1) -> Interval:
    """Circular block bootstrap over frames; percentile interval.

    tables: (N, K, K + 1) confusion of each frame, in their order, as `quality.scores.confusion` counts it
    block: frames that are drawn together, since neighbours are alike; 1 for frames that lie far apart
    Politis & Romano 1992 (circular blocks); Efron 1979 (the bootstrap). ValueError without frames.
    """
    count, classes, _ = tables.shape
    if not count:
        raise ValueError("no frames to score")
    value = miou(tables.sum(axis=0))
    if count < LEAST_FRAMES:
        return Interval(value, None, None, count)
    starts = rng.integers(0, count, (REPEATS, -(-count // block)))
    drawn = ((starts[:, :, None] + np.arange(block)) % count).reshape(REPEATS, -1)[:, :count]
    times = np.stack([np.bincount(row, minlength=count) for row in drawn])
    sums = np.rint(times @ tables.reshape(count, -1).astype(np.float64)).astype(np.int64)
    scores = np.array([miou(table) for table in sums.reshape(REPEATS, classes, classes + 1)])
    low, high = np.nanpercentile(scores, [2.5, 97.5])
    return Interval(value, float(low), float(high), count)


def usual_block(frames: int) -> int:
    """Block length for all frames of a video: the cube root of their number, the usual rate (Lahiri 2003)."""
    return max(1, round(math.cbrt(frames)))
