"""Correcting a mask that was there before the first click: what the click is about changes, the rest stays."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from assist.backends.part import Part
from assist.clicks import Click

RADIUS_PX = 3  # of what an obstinate backend is made to change: less than around new masks, as mistakes are thin
_SIDE = 0.15  # of the part around a click, in the image's longer one
_LEAST_PX = 128


def is_mended(start: NDArray[np.bool_] | None, clicks: Sequence[Click]) -> bool:
    """Whether clicks correct the (H, W) mask with which they began: the first of them lies near it."""
    if start is None or not clicks or not start.any():
        return False
    part = near(start.shape[0], start.shape[1], clicks[0])
    return part is None or bool(start[part.top : part.bottom, part.left : part.right].any())


def mended(before: NDArray[np.bool_], answer: NDArray[np.bool_], click: Click) -> NDArray[np.bool_]:
    """(H, W) bool: `before`, with the answer's 8-connected region around a positive click added to it, or that around a
    negative one taken away.

    After the progressive merge of FocalClick (Chen et al. 2022, arXiv:2204.02574): a good mask is not lost for one
    mistake.
    """
    changes = answer & ~before if click.positive else before & ~answer
    if not changes[click.y, click.x]:
        return before
    _, ids = cv2.connectedComponents(changes.astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    return np.asarray(before ^ (ids == ids[click.y, click.x]))


def near(height: int, width: int, click: Click) -> Part | None:
    """The square part of a (height, width) image around a click, moved inside; None if that is all of the image."""
    side = max(_LEAST_PX, round(_SIDE * max(height, width)))
    tall, wide = min(side, height), min(side, width)
    if (tall, wide) == (height, width):
        return None
    top = min(max(click.y - tall // 2, 0), height - tall)
    left = min(max(click.x - wide // 2, 0), width - wide)
    return Part(top, left, top + tall, left + wide)
