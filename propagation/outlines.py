"""Outlines drawn where the picture has them: each pixel near one asks its neighbours of similar colour."""

from __future__ import annotations

from itertools import product

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_COLOUR = 20.0  # of 255: neighbours that differ by more than this say little
_REACH = 0.625  # of the radius: the deviation of the Gaussian over the distance
_SHARPER = 1.5  # a mean of distributions is less sure than they are; measured: so sure it errs as often as it says


def along_outlines(probability: Tensor, image: NDArray[np.uint8], radius: int) -> Tensor:
    """Class probabilities averaged by a joint bilateral filter wherever the classes near by are not all the same.

    probability: (K, H, W) float32 that sum to 1 over K;  image: (H, W, 3) uint8
    radius: of the neighbourhood in pixels; 0 leaves everything as it is
    returns: (K, H, W) float32, sums to 1 over K
        p'(x) ~ (sum_d w(x, d) p(x + d)) ^ 1.5        w = exp(-|d|^2 / 2 s^2 - |I(x) - I(x + d)|^2 / 2 c^2)
    Labels that arrive along the flow are jagged and a pixel off here and there, and the network sees half the pixels:
    the picture itself knows better where an outline is. Where only one class is near, nothing would change.
    Petschnigg et al. 2004, "Digital Photography with Flash and No-Flash Image Pairs"; Kopf et al. 2007, "Joint
    Bilateral Upsampling".
    """
    if not radius:
        return probability
    best = probability.argmax(dim=0).cpu().numpy().astype(np.uint8)
    near = np.flatnonzero(_several_near(best, radius))
    if not len(near):
        return probability
    device = probability.device
    height, width = best.shape
    row, column = np.divmod(near, width)
    here = torch.from_numpy(near).to(device)
    planes = probability.flatten(1)
    colours = torch.from_numpy(np.ascontiguousarray(image).reshape(-1, 3)).to(device)
    own = colours.index_select(0, here).float()
    total = planes.index_select(1, here)
    for dy, dx in _neighbours(radius):
        place = (row + dy).clip(0, height - 1) * width + (column + dx).clip(0, width - 1)  # repeated beyond the border
        there = torch.from_numpy(place).to(device)
        difference = colours.index_select(0, there).float().sub_(own).square_().sum(dim=1)
        farness = (dy * dy + dx * dx) / (2 * (_REACH * radius) ** 2)
        weight = difference.mul_(-1 / (2 * _COLOUR**2)).sub_(farness).exp_()
        total.addcmul_(planes.index_select(1, there), weight)
    total.pow_(_SHARPER)
    return planes.index_copy(1, here, total.div_(total.sum(dim=0))).view_as(probability)


def _neighbours(radius: int) -> list[tuple[int, int]]:
    """(dy, dx) within a disk, without (0, 0)."""
    reach = range(-radius, radius + 1)
    return [(dy, dx) for dy, dx in product(reach, reach) if 0 < dy * dy + dx * dx <= radius * radius + 1]


def _several_near(best: NDArray[np.uint8], radius: int) -> NDArray[np.bool_]:
    """(H, W) bool: whether more than one class is within `radius` rows and columns.  best: (H, W) uint8"""
    square = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    return np.asarray(cv2.dilate(best, square) != cv2.erode(best, square), np.bool_)
