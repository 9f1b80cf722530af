"""Labels as careless people would have drawn them: every object a little too wide, too narrow, or beside its place."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from workspace.instance import Instance, regions
from workspace.mask import UNKNOWN, MaskArray

Noise = Callable[[MaskArray, float, np.random.Generator], MaskArray]
"""A mask (H, W), a strength in pixels and a source of chance to the distorted mask."""


def dilation(mask: MaskArray, px: float, rng: np.random.Generator) -> MaskArray:
    """Every object is `px` too wide on all sides; a small one grows over a large one, not the other way round."""
    return redrawn(mask, lambda one: px)


def random_offset(mask: MaskArray, px: float, rng: np.random.Generator) -> MaskArray:
    """Every object is too wide or too narrow by its own offset, evenly between -px and px."""
    return redrawn(mask, lambda one: float(rng.uniform(-px, px)))


def mixed(mask: MaskArray, px: float, rng: np.random.Generator) -> MaskArray:
    """Every object is too wide, too narrow, or beside its place by `px`, whichever chance has it."""

    def offset(one: Instance) -> float | tuple[int, int]:
        kind = rng.integers(3)
        if kind < 2:
            return px if kind else -px
        angle = rng.uniform(0, 2 * np.pi)
        return round(px * np.sin(angle)), round(px * np.cos(angle))

    return redrawn(mask, offset)


NOISES: dict[str, Noise] = {"dilation": dilation, "random": random_offset, "mixed": mixed}


def redrawn(mask: MaskArray, offset: Callable[[Instance], float | tuple[int, int]]) -> MaskArray:
    """Draw every region again, the largest first, each grown (or shrunk) by an offset in pixels or moved by (dy, dx).

    mask: (H, W) uint8; where it is unknown it stays so. What an object leaves gets the class that lay nearest to it
    outside of the object. The largest region stays as it is: it is what the others lie on.
    """
    height, width = mask.shape
    order = sorted(regions(mask), key=lambda one: (-one.area, one.class_id, one.y, one.x))
    canvas = mask.copy()
    for one in order[1:]:
        place = np.s_[
            max(0, one.y - 1) : one.y + one.mask.shape[0] + 1, max(0, one.x - 1) : one.x + one.mask.shape[1] + 1
        ]
        member = one.on(height, width)[place]
        hidden = member | (mask[place] == UNKNOWN)
        if not hidden.all():
            rows, columns = ndimage.distance_transform_edt(hidden, return_distances=False, return_indices=True)
            canvas[place][member] = mask[place][rows, columns][member]
    for one in order[1:]:
        by = offset(one)
        dy, dx = by if isinstance(by, tuple) else (0, 0)
        member = one.mask if isinstance(by, tuple) else grown(one.mask, by)
        pad = (member.shape[0] - one.mask.shape[0]) // 2
        top, left = one.y - pad + dy, one.x - pad + dx
        y, x = max(0, top), max(0, left)
        bottom, right = min(height, top + member.shape[0]), min(width, left + member.shape[1])
        if y < bottom and x < right:
            canvas[y:bottom, x:right][member[y - top : bottom - top, x - left : right - left]] = one.class_id
    return np.where(mask == UNKNOWN, np.uint8(UNKNOWN), canvas).astype(np.uint8)


def grown(member: NDArray[np.bool_], by_px: float) -> NDArray[np.bool_]:
    """A mask grown by a disc of `by_px`, or shrunk if that is negative.

    member: (h, w) bool;  returns: (h + 2p, w + 2p) bool with p = ceil(|by_px|) + 1. Beyond `member` is outside.
    """
    pad = int(np.ceil(abs(by_px))) + 1
    inside = np.pad(member, pad)
    if by_px == 0 or not member.any():
        return inside
    outside = (~inside).view(np.uint8)
    if by_px > 0:
        return np.asarray(cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= by_px)
    depth = cv2.distanceTransform(inside.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(depth > -by_px)
