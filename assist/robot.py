"""The standard simulated annotator of interactive segmentation: it clicks in the middle of the larger mistake."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from assist.clicks import Click
from workspace.mask import UNKNOWN

MOST_CLICKS = 20


def next_click(mask: NDArray[np.bool_], truth: NDArray[np.uint8], clicks: Sequence[Click] = ()) -> Click | None:
    """Where the robot clicks next; None if the mask is right, or everything wrong has been clicked on.

    mask: (H, W) bool;  truth: (H, W) uint8, 1 the object, 0 not, 255 nobody knows (never wrong);  clicks: so far
    The point farthest from the border of the missed region or of the surplus region, whichever holds the farther one
    (the image's edge is a border too); ties to the surplus region, then to the first in raster order. Never twice on
    one pixel. The protocol of Xu et al. 2016, arXiv:1603.04042, as Sofiiuk et al. 2021 (arXiv:2102.06583) run it.
    """
    missed = _depth(~mask & (truth == 1))
    surplus = _depth(mask & (truth == 0))
    for click in clicks:
        missed[click.y, click.x] = surplus[click.y, click.x] = 0.0
    positive = bool(missed.max() > surplus.max())
    depth = missed if positive else surplus
    if depth.max() <= 0:
        return None
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return Click(int(y), int(x), positive)


def overlap(mask: NDArray[np.bool_], truth: NDArray[np.uint8]) -> float:
    """Intersection over union where the truth is known; 1 if both are empty."""
    known = truth != UNKNOWN
    union = ((mask | (truth == 1)) & known).sum()
    return float((mask & (truth == 1)).sum() / union) if union else 1.0


def click_through(
    segment: Callable[[Sequence[Click], NDArray[np.bool_]], NDArray[np.bool_]],
    truth: NDArray[np.uint8],
    start: NDArray[np.bool_] | None = None,
    most: int = MOST_CLICKS,
    enough: float = 1.0,
    least: int = 0,
) -> list[float]:
    """The overlap before the first click and after each.

    Ends early once it is `enough` after `least` clicks, or once nothing is left to click.

    segment: the clicks so far and the mask before the last one to the mask after it.  start: the mask to begin with.
    """
    mask = np.zeros(truth.shape, bool) if start is None else start
    clicks: list[Click] = []
    overlaps = [overlap(mask, truth)]
    while len(clicks) < most and (max(overlaps) < enough or len(clicks) < least):
        click = next_click(mask, truth, clicks)
        if click is None:
            break
        clicks.append(click)
        mask = segment(clicks, mask)
        overlaps.append(overlap(mask, truth))
    return overlaps


def clicks_to_reach(overlaps: Sequence[float], bar: float, most: int = MOST_CLICKS) -> int:
    """How many clicks it took (0: none were needed); `most` if the bar was never reached, as the protocol counts."""
    return next((number for number, value in enumerate(overlaps) if value >= bar), most)


def _depth(region: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Euclidean distance of each True pixel to the nearest False one or to the outside of the image; 0 elsewhere."""
    padded = np.pad(region.astype(np.uint8), 1)
    distance: NDArray[np.float32] = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.ascontiguousarray(distance[1:-1, 1:-1])
