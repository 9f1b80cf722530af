"""Clicks to a mask without any learning: a random walk over cells of similar colour."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import spsolve

from assist.backends.cells import Cells, cells_of
from assist.clicks import Box, Click

LONGEST_PX = 480
_SHARPNESS = 1.0  # how much a change of colour holds the walker back, in units of the mean squared change
_LEAK = 0.002  # the least weight between neighbours: never quite cut off
_SEED_PX = 5
_SAME_COLOR = 0.02  # squared distance up to which a cell beside the clicked one is believed to be meant too
_COLOR_WIDTH = 0.08
_CERTAIN, _LIKELY = 100.0, 10.0
_COLOR_WEIGHT = 0.003
_EDGE_WEIGHT = 0.1
_PREVIOUS_WEIGHT = 0.02
_NETWORK_WEIGHT = 1.0
_CORE_WEIGHT = 0.1  # of the middle of a box
_REACH = 0.15  # how far around a click the previous mask is doubted, in parts of the longer side


class Classic:
    """Always there: needs no weights.

    Each cell's probability is that of a random walker from it to meet a positive click before a negative one, where
    steps across strong changes of colour are unlikely (Grady 2006, "Random Walks for Image Segmentation"), with the
    colours at the clicks, the image's edge (until there is a negative click), a box and the previous mask as weak
    opinions everywhere: Grady 2005, "Multilabel Random Walker Image Segmentation Using Prior Models".
    """

    version = "classic-1"

    def look(self, image: NDArray[np.uint8]) -> Cells:
        return cells_of(image, LONGEST_PX)

    def segment(
        self, looked: Cells, clicks: Sequence[Click], box: Box | None, previous: NDArray[np.bool_] | None
    ) -> NDArray[np.bool_]:
        return self.enlarged(looked, self.walked(looked, clicks, box, previous)) > 0.5

    def mend(self, looked: Cells, clicks: Sequence[Click], previous: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return self.segment(looked, clicks, None, previous)

    def walked(
        self,
        looked: Cells,
        clicks: Sequence[Click],
        box: Box | None,
        previous: NDArray[np.bool_] | None,
        thought: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """(N,) probability per cell.  thought: (N,) what a network thinks of each cell, instead of the weak opinions"""
        opinions = _Opinions(len(looked.area))
        inside, outside = _seeds(looked, clicks, opinions)
        if box is not None:
            held = looked.means(_small(box.pixels(looked.height, looked.width), looked))
            opinions.add(np.where(held > 0, 0.0, _LIKELY), 0.0)
            core = Box(*_shrunk(box, 0.25)).pixels(looked.height, looked.width)
            inner = looked.means(_small(core, looked)) > 0.5
            opinions.add(np.where(inner, _CORE_WEIGHT, 0.0), 1.0)
            inside, outside = inside | inner, outside | (held == 0)
        if thought is not None:
            opinions.add(np.full(len(looked.area), _NETWORK_WEIGHT), thought)
            return _walk(looked, opinions.weight, opinions.value)
        alike, unlike = _resemblance(looked, inside), _resemblance(looked, outside)
        size = looked.area / looked.area.mean()
        opinions.add(_COLOR_WEIGHT * size, (alike + 0.02) / (alike + unlike + 0.1))
        started = previous is not None and bool(previous.any())
        if box is None and not (started and any(not click.positive for click in clicks)):
            opinions.add(_EDGE_WEIGHT * looked.at_edge, 0.0)
        if previous is not None and started:
            trust: NDArray[np.float64] = np.ones(len(looked.area))
            if clicks:  # it was wrong there
                y, x = clicks[-1].y * looked.scale, clicks[-1].x * looked.scale
                away = np.hypot(looked.centre[:, 0] - y, looked.centre[:, 1] - x) / max(looked.ids.shape)
                trust = np.asarray(1 - np.exp(-((away / _REACH) ** 2)))
            opinions.add(_PREVIOUS_WEIGHT * trust, looked.means(_small(previous, looked)))
        return _walk(looked, opinions.weight, opinions.value)

    def enlarged(self, looked: Cells, walked: NDArray[np.float64]) -> NDArray[np.float32]:
        """(H, W) float32 in [0, 1] from (N,) per cell."""
        small = cv2.GaussianBlur(walked.astype(np.float32)[looked.ids], (0, 0), 1.0)
        full = cv2.resize(small, (looked.width, looked.height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(np.clip(full, 0.0, 1.0), np.float32)


class _Opinions:
    """The weighted mean of what several sources think of each cell."""

    def __init__(self, count: int) -> None:
        self.weight: NDArray[np.float64] = np.zeros(count)
        self.value: NDArray[np.float64] = np.zeros(count)

    def add(self, weight: NDArray[np.floating], value: NDArray[np.floating] | float) -> None:
        total = self.weight + weight
        mixed = (self.weight * self.value + weight * value) / np.maximum(total, 1e-12)
        self.weight, self.value = total, np.asarray(np.where(total > 0, mixed, self.value))


def _seeds(looked: Cells, clicks: Sequence[Click], opinions: _Opinions) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(N,) bool, cells at positive and at negative clicks; they get an opinion that nothing outweighs."""
    kinds = np.zeros((2, len(looked.area)), bool)
    height, width = looked.ids.shape
    for click in clicks:
        y, x = min(int(click.y * looked.scale), height - 1), min(int(click.x * looked.scale), width - 1)
        disk = np.zeros((height, width), np.uint8)
        cv2.circle(disk, (x, y), _SEED_PX, 1, -1)
        hit = int(looked.ids[y, x])
        near = np.unique(looked.ids[disk > 0])
        alike = ((looked.color[near, :3] - looked.color[hit, :3]) ** 2).sum(axis=1) < _SAME_COLOR
        weight = np.zeros(len(looked.area))
        weight[near[alike]] = _LIKELY
        weight[hit] = _CERTAIN
        opinions.add(weight, float(click.positive))
        kinds[int(not click.positive), near[alike]] = True
    return kinds[0], kinds[1]


def _resemblance(looked: Cells, seeds: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(N,) in [0, 1]: how close each cell's colour comes to that of any seed; 0 without seeds."""
    if not seeds.any():
        return np.zeros(len(looked.area))
    wanted = looked.color[seeds]
    if len(wanted) > 64:  # a box has hundreds; evenly spaced ones say the same
        wanted = wanted[np.linspace(0, len(wanted) - 1, 64).astype(int)]
    nearest = ((looked.color[:, None] - wanted[None]) ** 2).sum(axis=2).min(axis=1)
    return np.asarray(np.exp(-nearest / (2 * _COLOR_WIDTH**2)))


def _walk(looked: Cells, weight: NDArray[np.float64], value: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) the minimum of  sum w_ij (p_i - p_j)^2 + sum weight_i (p_i - value_i)^2."""
    count = len(weight)
    sharp = _SHARPNESS / max(float(looked.contrast.mean()) if looked.contrast.size else 1.0, 1e-9)
    edge = (np.exp(-sharp * looked.contrast) + _LEAK) * looked.border / 8
    i, j = looked.pairs[:, 0], looked.pairs[:, 1]
    diagonal = np.bincount(i, edge, count) + np.bincount(j, edge, count) + weight + 1e-9
    rows, columns = np.concatenate([i, j, np.arange(count)]), np.concatenate([j, i, np.arange(count)])
    matrix = sparse.csc_matrix((np.concatenate([-edge, -edge, diagonal]), (rows, columns)), shape=(count, count))
    return np.asarray(spsolve(matrix, weight * value)).reshape(count)


def _small(mask: NDArray[np.bool_], looked: Cells) -> NDArray[np.float32]:
    size = (looked.ids.shape[1], looked.ids.shape[0])
    return np.asarray(cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA))


def _shrunk(box: Box, part: float) -> tuple[float, float, float, float]:
    dx, dy = box.width * part, box.height * part
    return box.left + dx, box.top + dy, box.right - dx, box.bottom - dy
