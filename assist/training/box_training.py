"""Teaching the box network with boxes drawn roughly around the objects of masks."""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from assist.box_jitter import drawn_roughly
from assist.box_network import POSITIONS, BoxNetwork, crop_around, cut, edges_in_crop, place_maps
from assist.clicks import box_around
from assist.encoder import encoded
from assist.examples import Example
from assist.training.descent import Descent
from propagation.segmenters import Features
from workspace.mask import UNKNOWN

_BOXES = 4  # drawn around one object, each from another crop
_TOGETHER = 2  # images per step of the weights
_SPREAD = 1.0  # positions: the target is a bell of this width, as the neighbours of the right place are nearly right
_SMALLEST_PX = 60


class BoxLesson:
    """One object per call of `learn`, with several boxes around it. The encoder stays as it is."""

    def __init__(self, encoder: Features, network: BoxNetwork, rate: float = 2e-3) -> None:
        """rate: the learning rate at its highest."""
        self._encoder, self._network = encoder, network
        self.descent = Descent(network, rate, _TOGETHER)

    def learn(self, example: Example, done: float, rng: np.random.Generator) -> float | None:
        """The loss; None if the image has no object.  done: 0 at the start, 1 at the end"""
        image, objects = example.read(_SMALLEST_PX)
        objects = [truth for truth in objects if is_whole(truth)]
        if not objects:
            return None
        right = box_around(objects[int(rng.integers(len(objects)))] == 1)
        assert right is not None
        losses = []
        for _ in range(_BOXES):
            drawn = drawn_roughly(right, rng)
            crop = crop_around(drawn)
            pixels, place, edges = cut(image, crop), place_maps(drawn, crop), edges_in_crop(right, crop)
            if rng.random() < 0.5:
                pixels = np.ascontiguousarray(pixels[:, ::-1])
                place = place.flip(3) * torch.tensor([1, -1, 1])[:, None, None]  # left is -1 again
                edges = np.array([POSITIONS - edges[1], POSITIONS - edges[0], edges[2], edges[3]], np.float32)
            pixels = cv2.convertScaleAbs(pixels, alpha=rng.uniform(0.8, 1.2))
            levels, _, _ = encoded(self._encoder, pixels, 32)
            losses.append(edge_loss(self._network(levels, place), torch.from_numpy(edges)[None]))
        return self.descent.down(torch.stack(losses).mean(), done)


def is_whole(truth: NDArray[np.uint8]) -> bool:
    """Whether an object's edges are known: what is cut off where nobody looked has no box.

    truth: (H, W) uint8, 1 the object, 0 not, 255 nobody knows
    """
    around = cv2.dilate((truth == 1).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return not bool((around & (truth == UNKNOWN)).any())


def edge_loss(logits: Tensor, edges: Tensor) -> Tensor:
    """Cross-entropy with a bell around each edge.  logits: (B, 4, POSITIONS);  edges: (B, 4), 0 to POSITIONS

    Edges beyond the crop count as at its end: the classification cannot say more.
    """
    places = torch.arange(POSITIONS) + 0.5
    bell = torch.exp(-0.5 * ((places - edges.clamp(0.5, POSITIONS - 0.5)[..., None]) / _SPREAD) ** 2)
    target = bell / bell.sum(dim=-1, keepdim=True)
    return -(target * F.log_softmax(logits, dim=-1)).sum(dim=-1).mean()
