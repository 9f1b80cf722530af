"""Signs that a label is wrong, without knowing the truth: what other frames' labels and a model say against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from workspace.mask import UNKNOWN, MaskArray

LEAST_PX = 40  # regions of fewer pixels come and go between frames of every label set
SHIFTS_PX = (2, 3, 4)
_DIRECTIONS = 8


@dataclass(frozen=True, slots=True)
class Sign:
    """The strongest sign of one kind in one label; score 0 if there is none.

    score: higher is more suspicious; comparable between labels of one video, not between kinds of signs
    box: y, x, height, width in pixels, where;  class_id: what the label says there, 255 if it says several things
    instead: the class that others say, 255 if there is none;  share: of the region that is concerned, 0 to 1
    """

    score: float
    box: tuple[int, int, int, int] = (0, 0, 0, 0)
    class_id: int = UNKNOWN
    instead: int = UNKNOWN
    share: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """The 8-connected regions of one class of a mask: ids (H, W) int32 from 0, -1 where the mask is unknown;
    class_id, area: (R,);  box: (R, 4) y, x, height, width"""

    ids: NDArray[np.int32]
    class_id: NDArray[np.int64]
    area: NDArray[np.int64]
    box: NDArray[np.int64]


def regions_of(mask: MaskArray) -> Regions:
    """All regions of (H, W) uint8."""
    ids = np.full(mask.shape, -1, np.int32)
    classes: list[NDArray[np.int64]] = []
    stats: list[NDArray[np.int64]] = []
    found = 0
    for k in np.flatnonzero(np.bincount(mask.ravel(), minlength=256)[:UNKNOWN]):
        count, labels, table, _ = cv2.connectedComponentsWithStats((mask == k).view(np.uint8), connectivity=8)
        inside = labels > 0
        ids[inside] = labels[inside] + (found - 1)
        classes.append(np.full(count - 1, k))
        stats.append(table[1:].astype(np.int64))
        found += count - 1
    table = np.concatenate(stats) if stats else np.zeros((0, 5), np.int64)
    order = [cv2.CC_STAT_TOP, cv2.CC_STAT_LEFT, cv2.CC_STAT_HEIGHT, cv2.CC_STAT_WIDTH]
    class_id = np.concatenate(classes) if classes else np.zeros(0, np.int64)
    return Regions(ids, class_id, table[:, cv2.CC_STAT_AREA], table[:, order])


def both_sides(witnesses: NDArray[np.uint8]) -> tuple[MaskArray, MaskArray]:
    """What the labels before and those after say, each (H, W) uint8; 255 where nobody does.

    witnesses: (2, 2, H, W) uint8, from the earlier and from the later labels, the nearest and the one before it. Where
    one side is silent the other one's second witness speaks for it, so that two always have to agree.
    """
    earlier, later = (np.where(side[0] != UNKNOWN, side[0], side[1]) for side in witnesses)
    alone = later == UNKNOWN
    first = np.where(earlier == UNKNOWN, witnesses[1, 1], earlier)
    second = np.where(alone, witnesses[0, 1], later)
    return first.astype(np.uint8), second.astype(np.uint8)


def shift(label: MaskArray, witnesses: NDArray[np.uint8], regions: Regions) -> Sign:
    """A region that would agree better with the labels before and with those after if it lay some pixels beside.

    label: (H, W) uint8;  witnesses: see `both_sides`;  regions: `regions_of(label)`
    Of each region, the pixels that it gains by the same shift of 2 to 4 px on both sides (the smaller gain counts),
    over the root of its contour's length: contours that flicker at random gain by the root of their length.
    """
    sides = both_sides(witnesses)
    height, width = label.shape
    ids = np.where(regions.ids >= 0, regions.ids, len(regions.area)).astype(np.int32)
    count = len(regions.area) + 1
    still = [np.bincount(ids[side == label], minlength=count) for side in sides]
    gain = np.zeros(count)
    for down, right in _shifts():
        to_y, to_x = _overlap(down, height), _overlap(right, width)
        from_y, from_x = _overlap(-down, height), _overlap(-right, width)
        here, mine = ids[from_y, from_x], label[from_y, from_x]
        moved = [np.bincount(here[side[to_y, to_x] == mine], minlength=count) for side in sides]
        both = np.minimum(moved[0] - still[0], moved[1] - still[1])
        gain = np.maximum(gain, both)
    length = np.bincount(ids[_edges(regions.ids)], minlength=count)
    large = np.append((regions.area >= 2 * LEAST_PX) & (regions.area < 0.9 * label.size), False)
    score = np.where(large, gain / np.sqrt(np.maximum(length, 1)), 0)
    worst = int(score.argmax())
    if score[worst] <= 0:
        return Sign(0.0)
    box = tuple(int(v) for v in regions.box[worst])
    k = int(regions.class_id[worst])
    return Sign(float(score[worst]), box, k, k, float(gain[worst] / regions.area[worst]))  # type: ignore[arg-type]


def _shifts() -> list[tuple[int, int]]:
    angles = 2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    return sorted({(round(r * np.sin(a)), round(r * np.cos(a))) for r in SHIFTS_PX for a in angles})


def _overlap(by: int, length: int) -> slice:
    return slice(max(0, by), length + min(0, by))


def _edges(ids: NDArray[np.int32]) -> NDArray[np.bool_]:
    """(H, W) bool: pixels with a 4-neighbour of another region."""
    edge = np.zeros(ids.shape, bool)
    down, right = ids[1:] != ids[:-1], ids[:, 1:] != ids[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= right
    edge[:, :-1] |= right
    return edge


def disbelief(
    label: MaskArray, model: NDArray[np.float32], classes: tuple[int, ...], regions: Regions
) -> NDArray[np.float64]:
    """(R,) per region of a label, how little a model that never saw it believes in it: mean -log probability.

    model: (C, H, W) float32, probabilities of `classes`, which hold all that are in the label;  `doubts` turns these
    into signs once those of all labels are known
    """
    channel = np.zeros(256, np.int64)
    channel[list(classes)] = np.arange(len(classes))
    own = np.take_along_axis(model, channel[label][None], axis=0)[0]
    known = regions.ids >= 0
    total = np.bincount(regions.ids[known], weights=-np.log(own[known] + 1e-3), minlength=len(regions.area))
    return np.asarray(total / np.maximum(regions.area, 1), np.float64)


def doubts(disbelieved: Sequence[tuple[NDArray[np.float64], Regions]]) -> list[Sign]:
    """Per label, the region that the model believes in least, measured against other regions of its class.

    disbelieved: of each label of a video `disbelief` and the regions. Models are bad at some classes everywhere, so
    each region counts by how far it lies above its class's median, times the log of its pixels. That is the idea of
    confident learning's thresholds per class: Northcutt et al. 2021, arXiv:1911.00068.
    """
    value = np.concatenate([values for values, _ in disbelieved]) if disbelieved else np.zeros(0)
    class_id = np.concatenate([regions.class_id for _, regions in disbelieved]) if disbelieved else np.zeros(0)
    area = np.concatenate([regions.area for _, regions in disbelieved]) if disbelieved else np.zeros(0)
    large = area >= 2 * LEAST_PX
    usual = {k: float(np.median(value[large & (class_id == k)])) for k in np.unique(class_id[large])}
    signs = []
    for values, regions in disbelieved:
        above = np.array([v - usual.get(k, np.inf) for v, k in zip(values, regions.class_id, strict=True)])
        score = np.where(regions.area >= 2 * LEAST_PX, above * np.log(np.maximum(regions.area, 1)), -np.inf)
        worst = int(score.argmax()) if score.size else -1
        if worst < 0 or score[worst] <= 0:
            signs.append(Sign(0.0))
            continue
        box = tuple(int(v) for v in regions.box[worst])
        share = float(1 - np.exp(-values[worst]))
        signs.append(Sign(float(score[worst]), box, int(regions.class_id[worst]), UNKNOWN, share))  # type: ignore[arg-type]
    return signs
