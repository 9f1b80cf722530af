"""The size at which the networks see a frame, and the way back to the frame's own pixels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

_LARGEST_WORK_SIDE = 960
_COARSEST_STRIDE = 32


@dataclass(frozen=True, slots=True)
class Canvas:
    """Sizes for frames of (height, width) pixels.

    `work`: (h, w), both even, at which warped labels and the decoder's opinion meet: the frame itself, padded by at
    most a pixel, or made smaller if its longer side exceeds 960. `grid`: half of it. `input`: what the backbone sees,
    the whole frame scaled to multiples of 32.
    """

    height: int
    width: int
    work: tuple[int, int]
    input: tuple[int, int]

    @property
    def grid(self) -> tuple[int, int]:
        return self.work[0] // 2, self.work[1] // 2

    @property
    def scaled(self) -> bool:
        return max(self.height, self.width) > _LARGEST_WORK_SIDE

    def to_work(self, array: NDArray[np.uint8], nearest: bool) -> NDArray[np.uint8]:
        """(height, width[, C]) at the work size; nearest: for class ids, which must not be averaged."""
        h, w = self.work
        if self.scaled:
            method = cv2.INTER_NEAREST_EXACT if nearest else cv2.INTER_AREA
            return np.asarray(cv2.resize(array, (w, h), interpolation=method), np.uint8)
        bottom, right = h - self.height, w - self.width
        return np.pad(array, ((0, bottom), (0, right)) + ((0, 0),) * (array.ndim - 2), mode="edge")

    def planes_to_work(self, planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(..., height, width) at the work size, each plane on its own, by nearest pixel."""
        flat = planes.reshape(-1, self.height, self.width)
        return np.stack([self.to_work(plane, nearest=True) for plane in flat]).reshape(*planes.shape[:-2], *self.work)

    def to_input(self, image: NDArray[np.uint8], device: torch.device) -> Tensor:
        """(height, width, 3) uint8 as (1, 3, *input) float32 in [0, 1]."""
        h, w = self.input
        method = cv2.INTER_AREA if h < self.height else cv2.INTER_LINEAR
        resized = cv2.resize(image, (w, h), interpolation=method)
        return image_tensor(np.ascontiguousarray(resized, np.uint8), device)

    def from_work(self, values: Tensor) -> Tensor:
        """(B, C, *work) at (B, C, height, width)."""
        if self.scaled:
            return F.interpolate(values, size=(self.height, self.width), mode="bilinear", align_corners=False)
        return values[..., : self.height, : self.width]


def canvas(height: int, width: int, input_side: int) -> Canvas:
    """input_side: longer side in pixels for the backbone; a frame is enlarged at most twofold."""
    longest = max(height, width)
    shrink = min(1.0, _LARGEST_WORK_SIDE / longest)
    work = (2 * max(1, _ceil(height * shrink / 2)), 2 * max(1, _ceil(width * shrink / 2)))
    scale = min(2.0, input_side / longest)
    h, w = (max(1, round(side * scale / _COARSEST_STRIDE)) * _COARSEST_STRIDE for side in (height, width))
    return Canvas(height, width, work, (h, w))


def image_tensor(image: NDArray[np.uint8], device: torch.device) -> Tensor:
    """(H, W, 3) uint8 as (1, 3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(image).to(device).permute(2, 0, 1)[None].float() / 255


def _ceil(value: float) -> int:
    return int(np.ceil(value - 1e-9))
