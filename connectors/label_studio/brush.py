"""Label Studio's run lengths of a brush region, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.label_studio.run_lengths import announced, pack, unpack

ALPHA = 128  # hand-drawn strokes are anti-aliased: half covered counts as painted


def encode_brush(pixels: NDArray[np.bool_]) -> list[int]:
    """(H, W) bool to the run lengths of an RGBA image whose painted pixels are 255 in all four channels."""
    return list(pack(pixels))


def decode_brush(rle: Any, height: int, width: int) -> NDArray[np.bool_]:
    """(height, width) bool, True where alpha is at least 128. ValueError for anything that is not such an image."""
    values = height * width * 4
    if not isinstance(rle, list):
        raise ValueError("it has no run lengths")
    try:
        data = bytes(rle)
        if len(data) < 8 or announced(data) != values:  # checked first: it decides the memory taken
            raise ValueError(f"its run lengths are not of {width}x{height} pixels")
        alpha = unpack(data, first=3, step=4).reshape(height, width)
    except (TypeError, ValueError, IndexError, OverflowError) as error:
        raise ValueError(f"its run lengths cannot be read: {error}") from None
    return np.asarray(alpha >= ALPHA)
