"""Teaching the click network with a simulated annotator who clicks where the network of now is wrong."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from assist.backends.cells import Cells
from assist.backends.classic import LONGEST_PX, Classic
from assist.backends.interface import OBEY_RADIUS_PX
from assist.backends.learned import looked, small_probability
from assist.click_network import STRIDE, ClickNetwork, Maps, click_maps
from assist.clicks import Click, box_around
from assist.examples import Example
from assist.obedience import obeyed
from assist.training.descent import Descent
from propagation.segmenters import Features
from workspace.mask import UNKNOWN

MOST_CLICKS = 6
_SMALLEST_PX = 60  # objects with fewer pixels on the small picture teach nothing
_TOGETHER = 2  # images per step of the weights
_FOCUS = 2.0  # exponent of the focal loss
_STARTED = 0.25  # of the lessons begin with a mask that is wrong in places, as those of the propagation are
_NEAR = 0.6  # of the lessons look at a part of the image around the object
_LARGEST = 2.0  # a part is enlarged at most so much


class ClickLesson:
    """One image per call of `learn`: the annotator clicks up to MOST_CLICKS times, each answer is corrected.

    The encoder stays as it is, so that a few hundred images suffice.
    """

    def __init__(self, encoder: Features, network: ClickNetwork, rate: float = 2e-3) -> None:
        """rate: the learning rate at its highest."""
        self._encoder, self._network = encoder, network
        self._classic = Classic()
        self.descent = Descent(network, rate, _TOGETHER)

    def learn(self, example: Example, done: float, rng: np.random.Generator) -> float | None:
        """The mean loss over the clicks; None if the image has no object.  done: 0 at the start, 1 at the end"""
        image, truth = drawn(example, rng)
        if truth is None:
            return None
        cells, maps = looked(self._encoder, self._classic, image)
        target = torch.from_numpy(_coarse(truth, maps))[None]
        features = self._network.image_maps(maps)
        losses: list[Tensor] = []
        mask = spoiled(truth == 1, rng) if rng.random() < _STARTED else np.zeros(truth.shape, bool)
        clicks: list[Click] = []
        for _ in range(int(rng.integers(1, MOST_CLICKS + 1))):
            click = inside_click(mask, truth, rng)
            if click is None:
                break
            clicks.append(click)
            logits = self._network(features, self._maps(cells, maps, clicks, mask))
            losses.append(mask_loss(logits, target))
            mask = small_probability(logits[0].detach(), maps) > 0.5
            mask = cv2.resize(mask.astype(np.uint8), truth.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
            mask = obeyed(mask, clicks, OBEY_RADIUS_PX)
        if not losses:
            return None
        return self.descent.down(torch.stack(losses).mean(), done)

    def _maps(self, cells: Cells, maps: Maps, clicks: Sequence[Click], before: NDArray[np.bool_]) -> Tensor:
        walked = self._classic.walked(cells, clicks, None, before)
        return click_maps(maps, clicks, None, before, walked[cells.ids].astype(np.float32))


def drawn(example: Example, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """One of an image's objects, if any, with the image or the part around it at a random size, perhaps mirrored, and a
    little brighter or darker."""
    image, objects = example.read(_SMALLEST_PX)
    if not objects:
        return image, None
    truth = objects[int(rng.integers(len(objects)))]
    if rng.random() < _NEAR:
        rows, columns = _part_around(truth == 1, rng)
        image, truth = image[rows, columns], truth[rows, columns]
    scale = min(LONGEST_PX * rng.uniform(0.5, 0.8) / max(truth.shape), _LARGEST)
    size = (max(1, round(truth.shape[1] * scale)), max(1, round(truth.shape[0] * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    image = cv2.resize(np.ascontiguousarray(image), size, interpolation=way)
    truth = cv2.resize(np.ascontiguousarray(truth), size, interpolation=cv2.INTER_NEAREST)
    if rng.random() < 0.5:
        image, truth = image[:, ::-1], truth[:, ::-1]
    tint = rng.uniform(0.8, 1.2) * rng.uniform(0.95, 1.05, 3)
    image = np.clip(image * tint, 0, 255).astype(np.uint8)
    enough = (truth == 1).sum() >= _SMALLEST_PX
    return image, np.ascontiguousarray(truth) if enough else None


def _part_around(inside: NDArray[np.bool_], rng: np.random.Generator) -> tuple[slice, slice]:
    """The rows and columns around an object with some of what lies beside it, not always in the middle."""
    box = box_around(inside)
    assert box is not None
    height, width = inside.shape
    side = max(box.height, box.width)
    room = rng.uniform(0.05, 0.8, 4) * side
    top, left = max(int(box.top - room[0]), 0), max(int(box.left - room[1]), 0)
    return slice(top, min(int(box.bottom + room[2]) + 1, height)), slice(left, min(int(box.right + room[3]) + 1, width))


def spoiled(inside: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """A mask as propagation brings it: a little beside its place, with pieces missing and pieces too many."""
    box = box_around(inside)
    if box is None:
        return inside
    side = max(box.height, box.width)
    down, right = rng.normal(0, 0.02 * side, 2)
    moved = cv2.warpAffine(inside.astype(np.uint8), np.array([[1.0, 0, right], [0, 1, down]]), inside.shape[::-1])
    if rng.random() < 0.5:
        px = 1 + 2 * int(rng.integers(1, max(2, int(0.03 * side))))
        kind = cv2.MORPH_OPEN if rng.random() < 0.5 else cv2.MORPH_CLOSE
        moved = cv2.morphologyEx(moved, kind, np.ones((px, px), np.uint8))
    edge = np.argwhere(cv2.morphologyEx(moved, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)))
    for _ in range(int(rng.integers(0, 5)) if len(edge) else 0):
        y, x = edge[int(rng.integers(len(edge)))]
        cv2.circle(moved, (int(x), int(y)), max(1, int(rng.uniform(0.04, 0.2) * side)), int(rng.integers(2)), -1)
    return np.asarray(moved > 0)


def inside_click(mask: NDArray[np.bool_], truth: NDArray[np.uint8], rng: np.random.Generator) -> Click | None:
    """A random point of the inner half of the larger mistake, as people click: not always in the very middle."""
    missed, surplus = ~mask & (truth == 1), mask & (truth == 0)
    depths = [
        cv2.distanceTransform(np.pad(m.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1] for m in (missed, surplus)
    ]
    positive = bool(depths[0].max() > depths[1].max())
    depth = depths[0] if positive else depths[1]
    if depth.max() < 1.5:
        return None
    rows, columns = np.nonzero(depth >= depth.max() * rng.uniform(0.5, 1.0))
    number = int(rng.integers(len(rows)))
    return Click(int(rows[number]), int(columns[number]), positive)


def mask_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Normalised focal loss and soft overlap.  logits: (B, h, w);  target: (B, h, w) in [0, 1], -1 where nobody knows

        sum_i |p_i - t_i|^gamma CE_i / sum_i |p_i - t_i|^gamma  +  1 - sum p t / sum (p + t - p t)

    Sofiiuk et al. 2019 (AdaptIS), arXiv:1909.07829; the overlap as in Rahman & Wang 2016.
    """
    known = (target >= 0).float()
    wanted = target.clamp(min=0)
    chance = torch.sigmoid(logits)
    weight = ((chance - wanted).abs() ** _FOCUS * known).detach()
    entropy = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    focal = (weight * entropy).sum(dim=(1, 2)) / weight.sum(dim=(1, 2)).clamp(min=1e-6)
    both, any_ = (chance * wanted * known), ((chance + wanted - chance * wanted) * known)
    overlap = both.sum(dim=(1, 2)) / any_.sum(dim=(1, 2)).clamp(min=1e-6)
    return (0.3 * focal + 1 - overlap).mean()


def _coarse(truth: NDArray[np.uint8], maps: Maps) -> NDArray[np.float32]:
    """(rows / 4, columns / 4): how much of each place belongs to the object; -1 where nobody knows, and beside it."""
    full = np.full((maps.rows, maps.columns), -1.0, np.float32)
    part = cv2.resize(truth, (maps.width, maps.height), interpolation=cv2.INTER_NEAREST)
    full[: maps.height, : maps.width] = np.where(part == UNKNOWN, -1.0, part)
    blocks = full.reshape(maps.rows // STRIDE, STRIDE, maps.columns // STRIDE, STRIDE)
    return np.where((blocks < 0).any(axis=(1, 3)), -1.0, blocks.mean(axis=(1, 3))).astype(np.float32)
