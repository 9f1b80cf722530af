"""The samples of one frame with what they are worth and what they cost, from per-pixel maps of that frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selection.expected_clicks import Outlines, expected_frame_clicks, expected_patch_clicks, hedged
from selection.patches import grid, patch_sums
from selection.superpixels import Superpixels, superpixel_sums
from workspace.mask import UNKNOWN


@dataclass(frozen=True, slots=True, eq=False)
class FrameMaps:
    """What is known about one frame.

    open: (H, W) bool, pixels nobody was asked about yet: all others count nothing
    gain, uncertainty: (H, W) float32, per pixel, at least 0;  doubt: (H, W) float32, chance that the pixel is wrong;
    motion: (2, H, W) float32, y, x in pixels from the frame before to the frame after, halved;
    outline: of the predicted mask
    """

    open: NDArray[np.bool_]
    gain: NDArray[np.float32]
    uncertainty: NDArray[np.float32]
    doubt: NDArray[np.float32]
    motion: NDArray[np.float32]
    outline: Outlines


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """The P samples of one frame.

    box: (P, 4) int64, y, x, height, width in pixels (of a superpixel: of what surrounds it)
    gain: (P,) float32, sum over the open pixels;  uncertainty: (P,) float32, mean over them, 0 if there are none
    motion: (P, 2) float32, mean y, x in pixels per frame
    cost: (P,) float32, expected clicks, at least 1;  open: (P,) int64, number of open pixels
    """

    box: NDArray[np.int64]
    gain: NDArray[np.float32]
    uncertainty: NDArray[np.float32]
    motion: NDArray[np.float32]
    cost: NDArray[np.float32]
    open: NDArray[np.int64]


def score_frame(maps: FrameMaps) -> Scores:
    """The frame as one sample."""
    height, width = maps.open.shape
    cost = np.array([expected_frame_clicks(maps.outline)], np.float32)
    box = np.array([[0, 0, height, width]], np.int64)
    gain, doubt, number = (np.array([(m * maps.open).sum()], np.float64) for m in _summed(maps))
    return _scores(box, gain, doubt, number, maps.motion.mean(axis=(1, 2))[None], cost)


def score_patches(maps: FrameMaps, patch_height: int, patch_width: int) -> Scores:
    """The patches of the frame's grid, in its order."""
    height, width = maps.open.shape
    gain, doubt, number = (patch_sums(m * maps.open, patch_height, patch_width) for m in _summed(maps))
    whole = patch_sums(np.ones((height, width), np.uint8), patch_height, patch_width)
    doubt_share = patch_sums(maps.doubt, patch_height, patch_width) / whole
    cost = hedged(expected_patch_clicks(maps.outline, patch_height, patch_width), doubt_share)
    motion = (patch_sums(maps.motion, patch_height, patch_width) / whole).T
    return _scores(grid(height, width, patch_height, patch_width), gain, doubt, number, motion, cost)


def score_superpixels(maps: FrameMaps, regions: Superpixels) -> Scores:
    """The superpixels of the frame, in the order of their ids.

    A superpixel gets one class whatever is in it. By the predicted mask, a share 1 - purity of it would be taught
    wrongly and about the same share of what it is right about, so its gain counts (2 purity - 1) times, or not at all.
    """
    ids, count = regions.ids, regions.count
    gain, doubt, number = (
        superpixel_sums(m * maps.open, ids, count) for m in (maps.gain, maps.uncertainty, np.uint8(1))
    )
    classes = np.bincount(
        (ids.astype(np.int64) * (UNKNOWN + 1) + maps.outline.mask).ravel(), minlength=count * (UNKNOWN + 1)
    ).reshape(count, UNKNOWN + 1)
    purity = classes.max(axis=1) / np.maximum(classes.sum(axis=1), 1)
    whole = superpixel_sums(np.ones(ids.shape), ids, count)
    motion = np.stack([superpixel_sums(part, ids, count) / whole for part in maps.motion], axis=1)
    worth = gain * np.maximum(2 * purity - 1, 0)
    return _scores(_surrounding(ids, count), worth, doubt, number, motion, np.ones(count, np.float32))


def _summed(maps: FrameMaps) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    return maps.gain, maps.uncertainty, np.ones(maps.open.shape, np.float32)


def _scores(
    box: NDArray[np.int64],
    gain: NDArray[np.floating],
    uncertainty: NDArray[np.floating],
    number: NDArray[np.floating],
    motion: NDArray[np.floating],
    cost: NDArray[np.float32],
) -> Scores:
    mean = (uncertainty / np.maximum(number, 1)).astype(np.float32)
    pixels = np.rint(number).astype(np.int64)
    return Scores(box, gain.astype(np.float32), mean, motion.astype(np.float32), np.maximum(cost, 1), pixels)


def _surrounding(ids: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """(count, 4) int64: y, x, height, width of the rectangle around each region."""
    rows, columns = (part.ravel() for part in np.indices(ids.shape))
    flat = ids.ravel()
    low, high = np.full((2, count), max(ids.shape), np.int64), np.full((2, count), -1, np.int64)
    for axis, values in enumerate((rows, columns)):
        np.minimum.at(low[axis], flat, values)
        np.maximum.at(high[axis], flat, values)
    return np.asarray(np.concatenate([low, high - low + 1]).T, np.int64)


def at_pixels(cells: NDArray[np.floating], stride: int, height: int, width: int) -> NDArray[np.float32]:
    """Every cell's value at each of its stride x stride pixels.  cells: (h, w);  returns: (height, width) float32"""
    return np.repeat(np.repeat(cells, stride, axis=0), stride, axis=1)[:height, :width].astype(np.float32)
