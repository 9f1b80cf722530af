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
from assist.backends.learned import looked, small_probability
from assist.click_network import STRIDE, ClickNetwork, Maps, click_maps
from assist.clicks import Click
from assist.encoder import smaller
from assist.examples import Example, objects_of
from assist.training.descent import Descent
from propagation.segmenters import Features
from workspace.mask import UNKNOWN

MOST_CLICKS = 5
_SMALLEST_PX = 60  # objects with fewer pixels on the small picture teach nothing
_TOGETHER = 4  # images per step of the weights
_FOCUS = 2.0  # exponent of the focal loss


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
        mask = np.zeros(truth.shape, bool)
        clicks: list[Click] = []
        for _ in range(int(rng.integers(2, MOST_CLICKS + 1))):
            click = inside_click(mask, truth, rng)
            if click is None:
                break
            clicks.append(click)
            logits = self._network(features, self._maps(cells, maps, clicks, mask))
            losses.append(mask_loss(logits, target))
            mask = small_probability(logits[0].detach(), maps) > 0.5
            mask = cv2.resize(mask.astype(np.uint8), truth.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
        if not losses:
            return None
        return self.descent.down(torch.stack(losses).mean(), done)

    def _maps(self, cells: Cells, maps: Maps, clicks: Sequence[Click], before: NDArray[np.bool_]) -> Tensor:
        walked = self._classic.walked(cells, clicks, None, before)
        return click_maps(maps, clicks, None, before, walked[cells.ids].astype(np.float32))


def drawn(example: Example, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """An image at a random size, mirrored or not, a little brighter or darker, and one of its objects, if any."""
    image, mask = example.read()
    image = smaller(image, int(LONGEST_PX * rng.uniform(0.6, 0.9)))
    mask = cv2.resize(mask, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_NEAREST)
    if rng.random() < 0.5:
        image, mask = image[:, ::-1], mask[:, ::-1]
    tint = rng.uniform(0.8, 1.2) * rng.uniform(0.95, 1.05, 3)
    image = np.clip(image * tint, 0, 255).astype(np.uint8)
    objects = objects_of(np.ascontiguousarray(mask), example.classes, _SMALLEST_PX)
    return image, objects[int(rng.integers(len(objects)))] if objects else None


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
