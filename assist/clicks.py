"""What an annotator does with the mouse: clicks and boxes, in pixels of the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Click:
    """On the pixel in row `y` and column `x`; positive: "this belongs to it", else "this does not"."""

    y: int
    x: int
    positive: bool


@dataclass(frozen=True, slots=True)
class Box:
    """Edges in pixels, not rounded: left < right, top < bottom; a box may reach beyond the image."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    def pixels(self, height: int, width: int) -> NDArray[np.bool_]:
        """(height, width) bool, the pixels whose centres lie inside."""
        rows, columns = np.arange(height) + 0.5, np.arange(width) + 0.5
        inside_y = (rows >= self.top) & (rows < self.bottom)
        inside_x = (columns >= self.left) & (columns < self.right)
        return np.asarray(inside_y[:, None] & inside_x[None, :])


def box_around(mask: NDArray[np.bool_]) -> Box | None:
    """The smallest box that holds all True pixels of a (H, W) mask; None if there are none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    return Box(float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))


def disks(clicks: Sequence[Click], height: int, width: int, radius_px: int) -> NDArray[np.float32]:
    """(2, height, width) float32: 1 within `radius_px` of a positive (first map) or a negative (second) click, else 0.

    Disks of a fixed radius, as inputs of a network better than Gaussians or distances: Benenson et al. 2019,
    arXiv:1903.10830.
    """
    maps = np.zeros((2, height, width), np.float32)
    for click in clicks:
        cv2.circle(maps[0 if click.positive else 1], (click.x, click.y), radius_px, 1.0, -1)
    return maps
