"""Class per pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

UNKNOWN = 255  # "nobody looked here": never a class, never taught, never scored
MAX_CLASSES = 255

MaskArray = NDArray[np.uint8]


def check_mask(mask: NDArray[np.generic], height: int, width: int, classes: int) -> MaskArray:
    """`mask` itself if it is (height, width) uint8 with ids below `classes` or 255; ValueError otherwise."""
    if mask.shape != (height, width) or mask.dtype != np.uint8:
        raise ValueError(f"a mask must be ({height}, {width}) uint8, not {mask.shape} {mask.dtype}")
    ids = np.unique(mask)
    wrong = ids[(ids >= classes) & (ids != UNKNOWN)]
    if wrong.size:
        raise ValueError(f"class id {int(wrong[0])} in a mask of {classes} classes")
    return mask.astype(np.uint8, copy=False)
