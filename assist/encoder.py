"""The maps of an image that the assist's networks learn on."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from propagation.segmenters import Features, features
from workspace.config import SegmenterConfig


def encoder(name: str, weights: str | None, seed: int = 0) -> Features:
    """One of the segmenters' feature maps (propagation/segmenters.py); UserError if it cannot be had."""
    if weights is not None and Path(weights).exists():
        weights = str(Path(weights).resolve())
    return features(SegmenterConfig(name=name, weights=weights), torch.device("cpu"), seed)


def encoded(network: Features, picture: NDArray[np.uint8], multiple: int) -> tuple[list[Tensor], int, int]:
    """The maps of a (h, w, 3) uint8 RGB picture, and its sides after padding to multiples of `multiple`."""
    height, width = picture.shape[:2]
    rows, columns = -(-height // multiple) * multiple, -(-width // multiple) * multiple
    image = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() / 255
    image = F.pad(image, (0, columns - width, 0, rows - height), mode="replicate")
    with torch.no_grad():
        return [level.float() for level in network(image)], rows, columns


def smaller(image: NDArray[np.uint8], longest_px: int) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 made smaller so that its longer side is at most `longest_px`."""
    scale = min(1.0, longest_px / max(image.shape[:2]))
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA), np.uint8)
