"""A frame cut into a grid of rectangles, and per-pixel values summed per rectangle."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workspace.errors import UserError


def patch_size(text: str) -> tuple[int, int]:
    """Height and width of "32" or "HEIGHTxWIDTH"; UserError for anything else."""
    match = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", text)
    if match is None or int(match[1]) < 1 or (match[2] is not None and int(match[2]) < 1):
        raise UserError(
            f"{text!r} is not a patch size.", "Give the side in pixels, as in 32, or HEIGHTxWIDTH, as in 16x48."
        )
    return int(match[1]), int(match[2] or match[1])


def grid(height: int, width: int, patch_height: int, patch_width: int) -> NDArray[np.int64]:
    """The patches of a frame, row by row; those at the right and lower border may be smaller, so that none is left out.

    all in pixels;  returns: (P, 4) int64, each y, x, height, width as in `Sample.box`
    """
    y, x = np.arange(0, height, patch_height), np.arange(0, width, patch_width)
    tops, lefts = (part.ravel() for part in np.meshgrid(y, x, indexing="ij"))
    return np.stack(
        [tops, lefts, np.minimum(patch_height, height - tops), np.minimum(patch_width, width - lefts)], axis=1
    ).astype(np.int64)


def patch_sums(values: NDArray[Any], patch_height: int, patch_width: int) -> NDArray[np.float64]:
    """Sum of each patch of `grid`, in its order.

    values: (..., H, W), of any real dtype or bool;  returns: (..., P) float64
    """
    height, width = values.shape[-2:]
    # Along rows first: it reads memory in order and leaves little for the second pass.
    by_column = np.add.reduceat(values, np.arange(0, width, patch_width), axis=-1, dtype=np.float64)
    sums = np.add.reduceat(by_column, np.arange(0, height, patch_height), axis=-2)
    return np.asarray(sums.reshape(*values.shape[:-2], -1), np.float64)


def patch_means(
    values: NDArray[np.floating],
    counts: NDArray[np.bool_],
    patch_height: int,
    patch_width: int,
    weight: NDArray[np.floating] | None = None,
) -> NDArray[np.float32]:
    """Mean over the pixels that count of each patch of `grid`; 0 where none counts (there is nothing left to ask).

    values: (..., H, W), finite;  counts: (H, W) bool, False on unknown and on already labeled pixels
    weight: (H, W), from `uncertainty.class_weights`; None: every pixel the same
    returns: (..., P) float32, what `uncertainty.pooled` gives for each patch alone
    """
    sums = patch_sums(values * (counts if weight is None else counts * weight), patch_height, patch_width)
    number = patch_sums(counts, patch_height, patch_width)
    return np.asarray(sums / np.maximum(number, 1), np.float32)
