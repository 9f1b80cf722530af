"""Boxes as people draw them, and how far they are from the right ones: the published protocol of box snapping."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from assist.clicks import Box

SHIFT = 0.1  # of each side, the most that the centre is off
SHRUNK, GROWN = 0.9, 1.1


def drawn_roughly(box: Box, rng: np.random.Generator) -> Box:
    """The centre moved by up to 10 % of each side, each side 0.9 to 1.1 times as long. May leave the image."""
    dx, dy = rng.uniform(-SHIFT, SHIFT, 2) * (box.width, box.height)
    fx, fy = rng.uniform(SHRUNK, GROWN, 2)
    x, y = (box.left + box.right) / 2 + dx, (box.top + box.bottom) / 2 + dy
    w, h = box.width * fx, box.height * fy
    return Box(x - w / 2, y - h / 2, x + w / 2, y + h / 2)


def box_overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    across = min(a.right, b.right) - max(a.left, b.left)
    down = min(a.bottom, b.bottom) - max(a.top, b.top)
    both = max(across, 0.0) * max(down, 0.0)
    return both / (a.width * a.height + b.width * b.height - both)


def box_scores(found: Sequence[Box], right: Sequence[Box]) -> dict[str, float]:
    """Shares, 0 to 1: overlap above 0.9; edges and corners at most 1 and 3 px off; and the mean overlap.

    A corner is off by the distance between the two points. ValueError if there are none.
    """
    if not right or len(found) != len(right):
        raise ValueError(f"{len(found)} boxes for {len(right)}")
    overlaps = np.array([box_overlap(a, b) for a, b in zip(found, right, strict=True)])
    off = np.abs(_edges(found) - _edges(right))
    corners = np.stack([np.hypot(off[:, x], off[:, y]) for x in (0, 2) for y in (1, 3)], axis=1)
    return {
        "iou90": float((overlaps > 0.9).mean()),
        "edge1": float((off <= 1).mean()),
        "edge3": float((off <= 3).mean()),
        "corner1": float((corners <= 1).mean()),
        "corner3": float((corners <= 3).mean()),
        "miou": float(overlaps.mean()),
    }


def _edges(boxes: Sequence[Box]) -> NDArray[np.float64]:
    return np.array([[b.left, b.top, b.right, b.bottom] for b in boxes])
