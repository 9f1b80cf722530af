"""What drawing a sample will cost, judged by the predicted mask; fast enough for every patch of a video.

The exact click model (clicks.py) cuts out every patch and traces its outlines. Here a frame is traced once, and what
the patches cost is summed from that.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from selection.clicks import polygons
from selection.patches import patch_sums
from workspace.mask import UNKNOWN, MaskArray

_DOUBT_WEIGHT = 4.5


@dataclass(frozen=True, slots=True, eq=False)
class Outlines:
    """The outlines of one predicted mask.

    mask: (H, W) uint8;  vertices: (H, W) uint16, polygon vertices at each pixel;  regions: (R, 4) int64, top, left,
    bottom, right (inclusive) of every 8-connected region
    """

    mask: MaskArray
    vertices: NDArray[np.uint16]
    regions: NDArray[np.int64]


def outlines(mask: MaskArray) -> Outlines:
    """mask: (H, W) uint8, 255 = unknown, nobody's region."""
    vertices = np.zeros(mask.shape, np.uint16)
    boxes = [np.zeros((0, 4), np.int64)]
    for k in np.unique(mask[mask != UNKNOWN]):
        member = mask == k
        for polygon in polygons(member):
            np.add.at(vertices, (polygon[:, 1], polygon[:, 0]), 1)
        _, _, stats, _ = cv2.connectedComponentsWithStats(member.view(np.uint8), connectivity=8)
        left, top, width, height = stats[1:, :4].T.astype(np.int64)
        boxes.append(np.stack([top, left, top + height - 1, left + width - 1], axis=1))
    return Outlines(mask, vertices, np.concatenate(boxes))


def hedged(clicks: NDArray[np.float32], doubt: NDArray[np.floating]) -> NDArray[np.float32]:
    """Expected clicks of a frame's samples, drawn towards their mean where the mask they were judged by is in doubt.

    clicks: (P,), by the predicted mask;  doubt: (P,) in [0, 1], expected share of wrong pixels in each
        c + (1 - exp(-4.5 doubt)) (mean c - c)
    A mask in doubt is ragged where the truth is plain, and plain where the truth is not. Whoever looks for much gain
    at few clicks finds the latter first: unhedged, such picks cost twice what was expected. 4.5 fits what patches of
    16, 32 and 64 pixels really cost on one street sequence.
    """
    trust = np.exp(-_DOUBT_WEIGHT * doubt)
    return np.asarray(trust * clicks + (1 - trust) * clicks.mean(), np.float32)


def expected_frame_clicks(outline: Outlines) -> int:
    """Exactly `clicks.frame_clicks` of the predicted mask, at least 1."""
    return max(1, int(outline.vertices.sum()) + len(outline.regions))


def expected_patch_clicks(outline: Outlines, patch_height: int, patch_width: int) -> NDArray[np.float32]:
    """About `clicks.patch_clicks` of each patch of `patches.grid`, from the outlines of the whole frame.

    returns: (P,) float32, at least 1
    Vertices strictly inside and crossings of the border are as in the click model, but for the vertices of polygons
    thinned per patch. Regions: one, one more for every two crossings (a boundary that enters and leaves cuts the patch
    in two), and those strictly inside.
    """
    height, width = outline.mask.shape
    y, x = np.arange(height), np.arange(width)
    on_row = (y % patch_height == 0) | (y % patch_height == patch_height - 1) | (y == height - 1)
    on_column = (x % patch_width == 0) | (x % patch_width == patch_width - 1) | (x == width - 1)
    border = on_row[:, None] | on_column[None, :]
    inside = patch_sums(np.where(border, 0, outline.vertices), patch_height, patch_width)
    change = np.zeros((height, width), np.uint8)
    mask = outline.mask
    across = (mask[:, 1:] != mask[:, :-1]) & on_row[:, None] & (x[1:] % patch_width != 0)[None, :]
    down = (mask[1:] != mask[:-1]) & on_column[None, :] & (y[1:] % patch_height != 0)[:, None]
    change[:, 1:] += across
    change[1:] += down
    crossings = patch_sums(change, patch_height, patch_width)
    columns = -(-width // patch_width)
    top, left, bottom, right = outline.regions.T
    apart = ~(on_row[top] | on_row[bottom] | on_column[left] | on_column[right])
    whole = apart & (top // patch_height == bottom // patch_height) & (left // patch_width == right // patch_width)
    patch_of = (top // patch_height * columns + left // patch_width)[whole]
    islands = np.bincount(patch_of, minlength=crossings.shape[-1])
    return np.asarray(inside + crossings * 1.5 + islands + 1, np.float32)
