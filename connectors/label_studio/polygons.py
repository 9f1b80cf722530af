"""Polygons to pixels, exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def polygon_pixels(points: Any, height: int, width: int) -> NDArray[np.bool_]:
    """(height, width) bool, True where a pixel's centre lies inside the polygon (non-zero winding, as browsers fill).

    points: (N, 2) x, y in percent of the image's width and height, N >= 3; the last joins the first; parts outside the
    image are cut off. A centre exactly on a left or upper edge is inside, on a right or lower edge outside, so that two
    polygons with a common edge share no pixel and leave none out. ValueError for anything else.
    """
    try:
        corners = np.asarray(points, np.float64)
    except (TypeError, ValueError):
        raise ValueError("its points are not numbers") from None
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3 or not np.isfinite(corners).all():
        raise ValueError("it has fewer than three points, or points that are not x, y")
    x, y = corners[:, 0] * width / 100, corners[:, 1] * height / 100
    winding = np.zeros((height, width + 1), np.int32)
    for x0, y0, x1, y1 in zip(x, y, np.roll(x, -1), np.roll(y, -1), strict=True):
        direction = 1 if y1 > y0 else -1
        top, bottom = min(y0, y1), max(y0, y1)
        # rows whose centre (row + 0.5) lies in [top, bottom)
        rows = np.arange(np.clip(np.ceil(top - 0.5), 0, height), np.clip(np.ceil(bottom - 0.5), 0, height)).astype(int)
        if rows.size:
            crossing = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            columns = np.clip(np.ceil(crossing - 0.5), 0, width).astype(int)
            winding[rows, columns] += direction  # everything to the right of the crossing
    return np.asarray(winding.cumsum(axis=1)[:, :width] != 0)
