"""Known mistakes, planted into good labels: what an error finder is measured on."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from workspace.mask import UNKNOWN, MaskArray

LEAST_SHARE = 0.001  # of the frame: smaller things are not chosen, nor those larger than the most
MOST_SHARE = 0.2
SHIFT_PX = 3

Plant = Callable[[MaskArray, int, np.random.Generator], MaskArray | None]
"""A mask (H, W), the number of classes and a source of chance to the same mask with one mistake in it, or to None if
there is nothing in it that the mistake could be made on."""


def wrong_class(mask: MaskArray, classes: int, rng: np.random.Generator) -> MaskArray | None:
    """An object gets another class that the mask holds too. With two classes, see `phantom`."""
    if classes == 2:
        return phantom(mask, rng)
    member = _object(mask, rng)
    if member is None:
        return None
    others = np.setdiff1d(mask, [mask[member][0], UNKNOWN])
    return np.where(member, rng.choice(others), mask).astype(np.uint8) if others.size else None


def phantom(mask: MaskArray, rng: np.random.Generator) -> MaskArray | None:
    """Background is taken for the object: a copy of its shape, half as wide and high, where it touches no object."""
    member = _object(mask, rng)
    if member is None:
        return None
    rows, columns = np.flatnonzero(member.any(axis=1)), np.flatnonzero(member.any(axis=0))
    shape = member[rows[0] : rows[-1] + 1 : 2, columns[0] : columns[-1] + 1 : 2]
    height, width = shape.shape
    for _ in range(50):
        y, x = rng.integers(0, mask.shape[0] - height + 1), rng.integers(0, mask.shape[1] - width + 1)
        place = mask[y : y + height, x : x + width]
        if not (place[shape] == 1).any():
            changed = mask.copy()
            changed[y : y + height, x : x + width][shape] = 1
            return changed
    return None


def missing_object(mask: MaskArray, classes: int, rng: np.random.Generator) -> MaskArray | None:
    """An object is not there: what surrounds it goes on instead."""
    member = _object(mask, rng)
    return None if member is None else _filled(mask, member)


def shifted_contour(mask: MaskArray, classes: int, rng: np.random.Generator) -> MaskArray | None:
    """An object lies 3 px beside its place, in any direction."""
    member = _object(mask, rng)
    if member is None:
        return None
    angle = rng.uniform(0, 2 * np.pi)
    down, right = round(SHIFT_PX * np.sin(angle)), round(SHIFT_PX * np.cos(angle))
    moved = ndimage.shift(member, (down, right), order=0, cval=False)
    return np.where(moved, mask[member][0], _filled(mask, member)).astype(np.uint8)


def swapped_ids(mask: MaskArray, classes: int, rng: np.random.Generator) -> MaskArray | None:
    """Two objects of different classes carry each other's."""
    if classes == 2:
        return None
    one = _object(mask, rng)
    other = None if one is None else _object(mask, rng, besides=int(mask[one][0]))
    if one is None or other is None:
        return None
    changed = mask.copy()
    changed[one], changed[other] = mask[other][0], mask[one][0]
    return changed


KINDS: dict[str, Plant] = {
    "wrong_class": wrong_class,
    "missing_object": missing_object,
    "shifted_contour": shifted_contour,
    "swapped_ids": swapped_ids,
}


def _object(mask: MaskArray, rng: np.random.Generator, besides: int | None = None) -> NDArray[np.bool_] | None:
    """(H, W) bool: an 8-connected region of one class, neither tiny nor most of the frame; of two classes, class 1."""
    candidates: list[NDArray[np.bool_]] = []
    binary = int(mask[mask != UNKNOWN].max(initial=0)) <= 1
    for k in np.unique(mask):
        if k in (UNKNOWN, besides) or (binary and k == 0):
            continue
        count, regions, stats, _ = cv2.connectedComponentsWithStats((mask == k).view(np.uint8), connectivity=8)
        share = stats[:, cv2.CC_STAT_AREA] / mask.size
        most = 0.9 if binary else MOST_SHARE
        candidates += [regions == r for r in range(1, count) if LEAST_SHARE <= share[r] <= most]
    return candidates[rng.integers(len(candidates))] if candidates else None


def _filled(mask: MaskArray, member: NDArray[np.bool_]) -> MaskArray:
    """`mask` with the class of the nearest known pixel outside of `member` in it."""
    hidden = member | (mask == UNKNOWN)
    if hidden.all():
        return mask.copy()
    y, x = ndimage.distance_transform_edt(hidden, return_distances=False, return_indices=True)
    return np.where(member, mask[y, x], mask).astype(np.uint8)
