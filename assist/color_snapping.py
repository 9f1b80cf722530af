"""A roughly drawn box snaps to what has other colours than its surroundings: without any learning, always there."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from assist.box_network import MARGIN
from assist.clicks import Box
from assist.snapping import Snapped

SIDE_PX = 128  # of the crop that is looked at
_FARTHEST = 0.16  # an edge is off by at most so much of the side: 0.1 by the centre and 0.05 by the size, and a little
_CORE = 0.8  # of the box's sides: its middle belongs to the object
_FIRST_ROUNDS, _MORE_ROUNDS = 1, 2  # of colour models and cuts
_STEADY = 0.1  # of the side: an edge that moves so far between the rounds is not believed at all
_AT_THE_END_PX = 1.5  # an edge so close to where it may lie at most is there because it might not lie farther
_CONNECTED = 0.1  # parts with fewer pixels in the box, in those of the largest, are not the object's
_LEAST_PX = 8


class ColorSnapper:
    """GrabCut (Rother et al. 2004) in the crop around the box; the edges of the mask it ends with.

    The colours beyond where people draw boxes are the surroundings', those in the middle of the box the object's. An
    edge that would lie as far from the drawn one as people never miss stays as it was drawn. Confidence is how little
    an edge has moved after the first round.
    """

    version = "snap-colour-1"

    def snap(self, image: NDArray[np.uint8], box: Box) -> Snapped:
        """image: (H, W, 3) uint8 RGB;  box: at least partly inside it. The result is inside."""
        height, width = image.shape[:2]
        left, right = np.clip((box.left - MARGIN * box.width, box.right + MARGIN * box.width), 0, width)
        top, bottom = np.clip((box.top - MARGIN * box.height, box.bottom + MARGIN * box.height), 0, height)
        x0, y0, x1, y1 = int(left), int(top), int(np.ceil(right)), int(np.ceil(bottom))
        if min(x1 - x0, y1 - y0, box.width, box.height) < _LEAST_PX:
            return Snapped(_inside(box, height, width), (0.0, 0.0, 0.0, 0.0))
        part = np.ascontiguousarray(image[y0:y1, x0:x1])
        shrinks = max(part.shape[:2]) > SIDE_PX
        way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        crop = cv2.resize(part, (SIDE_PX, SIDE_PX), interpolation=way)
        down, across = (y1 - y0) / SIDE_PX, (x1 - x0) / SIDE_PX
        small = Box(
            (box.left - x0) / across, (box.top - y0) / down, (box.right - x0) / across, (box.bottom - y0) / down
        )
        places = [_edges(mask, small) for mask in _cut(np.asarray(crop, np.uint8), small)]
        drawn = np.array([small.left, small.right, small.top, small.bottom])
        if not places:
            return Snapped(_inside(box, height, width), (0.0, 0.0, 0.0, 0.0))
        sides = np.array([small.width, small.width, small.height, small.height])
        confidence = np.clip(1 - np.abs(places[0] - places[-1]) / (_STEADY * sides), 0, 1)
        astray = np.abs(places[-1] - drawn) > _FARTHEST * sides - _AT_THE_END_PX
        e, f, g, h = (float(value) for value in np.where(astray, drawn, places[-1]))
        edges = Box(x0 + e * across, y0 + g * down, x0 + f * across, y0 + h * down)
        a, b, c, d = (float(value) for value in np.where(astray, 0.0, confidence))
        return Snapped(_inside(edges, height, width), (a, b, c, d))


def _cut(crop: NDArray[np.uint8], box: Box) -> list[NDArray[np.bool_]]:
    """(SIDE_PX, SIDE_PX) bool after the first and after all rounds; empty where there are no surroundings."""
    rows, columns = np.mgrid[:SIDE_PX, :SIDE_PX] + 0.5
    u = np.abs(columns - (box.left + box.right) / 2) / (box.width / 2)
    v = np.abs(rows - (box.top + box.bottom) / 2) / (box.height / 2)
    away = np.maximum(u, v)
    state = np.where(away < 1, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    state[away > 1 + 2 * _FARTHEST] = cv2.GC_BGD
    state[away < _CORE / 2] = cv2.GC_FGD
    if not (state == cv2.GC_BGD).any():
        return []
    models, masks = (np.zeros((1, 65)), np.zeros((1, 65))), []
    cv2.setRNGSeed(0)  # its colour models begin with k-means
    for rounds, mode in ((_FIRST_ROUNDS, cv2.GC_INIT_WITH_MASK), (_MORE_ROUNDS, cv2.GC_EVAL)):
        cv2.grabCut(crop, state, None, *models, rounds, mode)
        masks.append(_connected((state == cv2.GC_FGD) | (state == cv2.GC_PR_FGD), away < 1))
    return masks


def _connected(mask: NDArray[np.bool_], in_box: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The 8-connected parts that are not much smaller in the box than the largest."""
    count, ids = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    sizes = np.bincount(ids[in_box], minlength=count)
    sizes[0] = 0
    kept = (sizes > 0) & (sizes >= _CONNECTED * sizes.max())
    return np.asarray(kept[ids])


def _edges(mask: NDArray[np.bool_], box: Box) -> NDArray[np.float64]:
    """(4,) left, right, top, bottom of a mask; those of the box if it is empty."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not columns.size:
        return np.array([box.left, box.right, box.top, box.bottom])
    return np.array([columns[0], columns[-1] + 1, rows[0], rows[-1] + 1], np.float64)


def _inside(box: Box, height: int, width: int) -> Box:
    left, right = (min(max(edge, 0.0), float(width)) for edge in (box.left, box.right))
    top, bottom = (min(max(edge, 0.0), float(height)) for edge in (box.top, box.bottom))
    return Box(left, top, right, bottom)
