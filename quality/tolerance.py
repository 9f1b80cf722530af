"""How far a contour may lie off: what an overlap demands of the pixels, for objects of a size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from quality.comparison import SIZES, size_of
from workspace.instance import Instance


@dataclass(frozen=True, slots=True)
class Tolerance:
    """For the objects of one size and one demand.

    median_px, strict_px: the contour offset that half of the objects stand, and that nine of ten do;  per_size: the
    median of the offset over the root of the object's area, so that tolerance = per_size * sqrt(area)
    """

    size: str
    iou: float
    objects: int
    median_px: float
    strict_px: float
    per_size: float


def offset_iou(member: NDArray[np.bool_], by_px: float) -> float:
    """IoU of a mask with itself grown (or, negative, shrunk) by a disc of `by_px` pixels.

    member: (H, W) bool, not empty; it grows beyond the array, too
    """
    area = int(member.sum())
    pad = math.ceil(abs(by_px)) + 1
    outwards, inwards = _distances(member, pad)
    if by_px >= 0:
        return float(area / (area + (outwards <= by_px).sum()))
    return float((inwards > -by_px).sum() / area)


def allowed_offset_px(member: NDArray[np.bool_], iou: float) -> float:
    """The largest offset, outwards or inwards, at which a mask still has that IoU with itself.

    member: (H, W) bool, not empty;  iou: in (0, 1);  returns: pixels; between the distances that
    pixels of this mask can have, in proportion
    For a disc of radius r it is r (1 - sqrt(iou)): in proportion to size, and shrinking is what decides. In general
    about (1 - iou) * area / perimeter.
    """
    if not 0 < iou < 1:
        raise ValueError(f"an IoU of {iou} is no demand")
    area = int(member.sum())
    if not area:
        raise ValueError("the mask is empty")
    limits = []
    # a disc of the same area bounds what growing can allow
    pad = math.ceil(math.sqrt(area) * (1 / math.sqrt(iou) - 1)) + 2
    outwards, inwards = _distances(member, pad)
    for distance, most in ((outwards, area / iou - area), (inwards, area - iou * area)):
        steps, counts = np.unique(distance, return_counts=True)
        limits.append(float(np.interp(most, [0, *np.cumsum(counts)], [0, *steps])))
    return min(limits)


def tolerances(objects: Iterable[Instance], ious: Sequence[float]) -> list[Tolerance]:
    """The tolerance for each size and demand, over real shapes; sizes that no object has are left out."""
    found: dict[tuple[str, float], list[tuple[float, float]]] = {}
    for one in objects:
        for iou in ious:
            pair = allowed_offset_px(one.mask, iou), math.sqrt(one.area)
            found.setdefault((size_of(one.area), iou), []).append(pair)
    out = []
    for size in SIZES:
        for iou in ious:
            if (size, iou) in found:
                allowed, side = np.array(found[size, iou]).T
                median, strict = np.quantile(allowed, 0.5), np.quantile(allowed, 0.1)
                out.append(
                    Tolerance(size, iou, len(side), float(median), float(strict), float(np.median(allowed / side)))
                )
    return out


def _distances(member: NDArray[np.bool_], pad: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Of each pixel outside (at most `pad` beyond the array) the way to the mask; of each inside the way out of it."""
    inside = np.pad(member, pad)
    out = cv2.distanceTransform((~inside).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    into = cv2.distanceTransform(inside.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(out[~inside]), np.asarray(into[inside])
