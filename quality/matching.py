"""Which instance of one label set is which of the other: by how much they overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workspace.instance import Instance

CONFIDENT, AMBIGUOUS, MULTIPLE, NONE = "confident", "ambiguous", "multiple", "none"
KINDS = (CONFIDENT, AMBIGUOUS, MULTIPLE, NONE)


@dataclass(frozen=True, slots=True)
class Match:
    """What one instance of the first set is in the second.

    first: its index;  second: the index of the one that overlaps most, None if none does;  iou: with that one
    kind: `confident` (IoU at or above the threshold), `multiple` (no confident one, but several candidates, or a
    candidate that several instances claim), `ambiguous` (a single candidate, below the threshold), or `none`
    """

    first: int
    second: int | None
    iou: float
    kind: str


def iou_matrix(first: Sequence[Instance], second: Sequence[Instance]) -> NDArray[np.float64]:
    """(len(first), len(second)) intersection over union of every pair of one image, whatever their classes."""
    out = np.zeros((len(first), len(second)))
    areas = [one.area for one in second]
    for i, a in enumerate(first):
        area = a.area
        for j, b in enumerate(second):
            if _boxes_meet(a, b):
                shared = _shared(a, b)
                out[i, j] = shared / (area + areas[j] - shared) if shared else 0.0
    return out


def match(overlap: NDArray[np.float64], confident_iou: float = 0.95, least_iou: float = 0.1) -> list[Match]:
    """The matches of the first set's instances, in their order.

    overlap: (N, M) of `iou_matrix`;  confident_iou: at or above it two instances are surely the same (above 0.5,
    so that one of disjoint instances has one such partner at most);  least_iou: below it they have nothing to do
    with each other. Classes play no part: how often matched instances differ in class is a result (`class_confusion`).
    """
    if not 0.5 < confident_iou <= 1 or not 0 <= least_iou <= confident_iou:
        raise ValueError(f"confident_iou {confident_iou} must lie in (0.5, 1] and least_iou {least_iou} below it")
    candidate = (overlap >= least_iou) & (overlap > 0)
    sure = overlap >= confident_iou
    # an instance that has its sure partner is nobody else's candidate
    free = ~sure.any(axis=0)
    found = []
    for i in range(len(overlap)):
        mine = np.flatnonzero(sure[i] if sure[i].any() else candidate[i] & free)
        if not mine.size:
            found.append(Match(i, None, 0.0, NONE))
            continue
        j = int(mine[overlap[i, mine].argmax()])
        if sure[i].any():
            kind = CONFIDENT
        else:
            rivals = candidate[:, j] & ~sure.any(axis=1)
            kind = MULTIPLE if mine.size > 1 or rivals.sum() > 1 else AMBIGUOUS
        found.append(Match(i, j, float(overlap[i, j]), kind))
    return found


def partners(overlap: NDArray[np.float64], least_iou: float = 0.5) -> list[tuple[int, int]]:
    """One-to-one pairs (i, j), the largest overlap first; ties to the lowest indices.

    overlap: (N, M);  least_iou: pairs below it stay apart.  Everingham et al. 2010 (PASCAL VOC), without scores.
    """
    pairs: list[tuple[int, int]] = []
    order = np.lexsort((*np.indices(overlap.shape)[::-1].reshape(2, -1), -overlap.ravel()))
    taken: tuple[set[int], set[int]] = (set(), set())
    for flat in order:
        i, j = divmod(int(flat), overlap.shape[1])
        if overlap[i, j] < max(least_iou, 1e-12):
            break
        if i not in taken[0] and j not in taken[1]:
            pairs.append((i, j))
            taken[0].add(i)
            taken[1].add(j)
    return pairs


def _boxes_meet(a: Instance, b: Instance) -> bool:
    (ay, ax, ah, aw), (by, bx, bh, bw) = a.box, b.box
    return ay < by + bh and by < ay + ah and ax < bx + bw and bx < ax + aw


def _shared(a: Instance, b: Instance) -> int:
    top, left = max(a.y, b.y), max(a.x, b.x)
    bottom = min(a.y + a.mask.shape[0], b.y + b.mask.shape[0])
    right = min(a.x + a.mask.shape[1], b.x + b.mask.shape[1])
    one, other = (m.mask[top - m.y : bottom - m.y, left - m.x : right - m.x] for m in (a, b))
    return int(np.count_nonzero(one & other))
