"""Greedy by expected gain per click: what one click buys, given what was picked before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selection.expected_error import REACH_PER_FRAME

_SPENT = 0.05  # beyond where a label mends less than this share, it discounts nothing
_POOL_PER_PICK = 40  # the greedy choice looks at so many of the best candidates for each one it may pick
_POOL_AT_LEAST = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Picks:
    """index: (B,) int64, in picking order;  gain: (B,) float64, expected error each removes, overlaps discounted"""

    index: NDArray[np.int64]
    gain: NDArray[np.float64]


def greedy_gain(
    frame: NDArray[np.int64],
    box: NDArray[np.int64] | None,
    motion: NDArray[np.float32] | None,
    gain: NDArray[np.float32],
    cost: NDArray[np.float32],
    budget: int,
    clicks: float | None = None,
    mend: NDArray[np.float32] | None = None,
    per_frame: float = REACH_PER_FRAME,
) -> Picks:
    """Pick, one by one, the sample with the highest gain / cost; then discount what that one mends as well.

    frame: (N,);  box: (N, 4) y, x, height, width, None: whole frames
    mend: (N,) in [0, 1], the share of each sample's error that a label in the next frame mends; None: all of it
    motion: (N, 2) y, x in pixels per frame, None: still;  gain: (N,), at least 0;  cost: (N,), above 0
    budget: at most so many samples;  clicks: at most this much cost in all (but always one sample); None: no limit
    A pick in frame t mends in frame t + d the part of a sample that it covers once it has moved for d frames,
    mend * per_frame^|d| of it (all of it in its own frame): so much of that sample's gain is gone. Ties go to the
    lowest index.
    The greedy choice for budgeted maximum coverage: Khuller, Moss & Naor 1999.
    """
    pool = _best(gain / cost, budget)
    pool = pool[np.argsort(frame[pool], kind="stable")]  # frames of a neighbourhood side by side
    at, price = frame[pool], cost[pool].astype(np.float64)
    left = gain[pool].astype(np.float64)
    where = None if box is None else box[pool].astype(np.float64)
    moving = None if motion is None else motion[pool].astype(np.float64)
    reach = int(np.log(_SPENT) / np.log(per_frame)) if 0 < per_frame < 1 else 0
    ratio = left / price
    picked: list[int] = []
    gains: list[float] = []
    spent = 0.0
    while len(picked) < min(budget, len(pool)):
        best = int(np.argmax(ratio))
        if clicks is not None and picked and spent + price[best] > clicks:
            break
        picked.append(best)
        gains.append(float(left[best]))
        spent += float(price[best])
        near = slice(*np.searchsorted(at, [at[best] - reach, at[best] + reach + 1]))
        away = np.abs(at[near] - at[best])
        mended = per_frame ** away.astype(np.float64)
        if mend is not None:
            mended *= np.where(away == 0, 1, mend[pool[near]])
        if where is not None:
            moved = (at[near] - at[best])[:, None] * (0 if moving is None else moving[best])
            mended *= _covered(where[near], where[best, :2] + moved, where[best, 2:])
        left[near] *= 1 - mended
        ratio[near] = np.where(ratio[near] < 0, ratio[near], left[near] / price[near])
        ratio[best] = -1.0
    return Picks(pool[np.array(picked, np.int64)], np.array(gains))


def _best(ratio: NDArray[np.float32], budget: int) -> NDArray[np.int64]:
    """Indices of the highest ratios, ties to the lowest index: as many as the budget can make use of."""
    most = max(_POOL_AT_LEAST, _POOL_PER_PICK * budget)
    if len(ratio) <= most:
        return np.arange(len(ratio), dtype=np.int64)
    return np.sort(np.argsort(-ratio, kind="stable")[:most]).astype(np.int64)


def _covered(boxes: NDArray[np.float64], corner: NDArray[np.float64], size: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of each box (N, 4) that a rectangle of `size` (2,) covers when it stands at `corner` (N, 2), each y, x."""
    top = np.maximum(boxes[:, :2], corner)
    bottom = np.minimum(boxes[:, :2] + boxes[:, 2:], corner + size)
    overlap = np.maximum(bottom - top, 0)
    return np.asarray(overlap[:, 0] * overlap[:, 1] / (boxes[:, 2] * boxes[:, 3]), np.float64)
