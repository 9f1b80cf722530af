"""The network that moves the edges of a roughly drawn box onto the object in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from assist.clicks import Box

MARGIN = 0.35  # of the box's sides, around it
CROP_PX = 192  # the crop's side as the encoder sees it
POSITIONS = 96  # an edge lies at one of so many places along the crop
_GRID = CROP_PX // 4
_WIDTH = 48
_EDGES = 2  # left and right, or top and bottom


@dataclass(frozen=True, slots=True)
class Crop:
    """The part of an image that is looked at, in pixels of the image, not rounded; it may reach beyond the image."""

    left: float
    top: float
    width: float
    height: float


class BoxNetwork(nn.Module):
    """Four distributions, one per edge, over positions along the crop.

    After AWS's Snapper ("Automated bounding box annotation, box snapping", 2023): features of a crop around the box,
    pooled along columns for the left and right edge and along rows for the upper and lower one, and each edge found by
    classification over positions, independent of the others, without knowing any class.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        """channels: of the encoder's maps."""
        super().__init__()
        self.project = nn.ModuleList([nn.Conv2d(count, _WIDTH, 1) for count in channels])
        self.place = nn.Conv2d(3, _WIDTH, 1)  # where the drawn box is, and where in the crop a place is
        self.mix = nn.ModuleList([nn.Conv2d(_WIDTH, _WIDTH, 3, padding=d, dilation=d) for d in (1, 2, 4)])
        self.along = nn.ModuleList([_Along() for _ in range(2)])  # columns, rows

    def forward(self, levels: Sequence[Tensor], place: Tensor) -> Tensor:
        """levels: the encoder's maps of the crop;  place: (B, 3, 48, 48);  returns: (B, 4, POSITIONS) logits

        Edges in the order left, right, top, bottom.
        """
        x = self.place(place)
        for project, level in zip(self.project, levels, strict=True):
            if level.shape[-1] > _GRID:
                x = x + project(F.adaptive_avg_pool2d(level, (_GRID, _GRID)))
            else:
                x = x + F.interpolate(project(level), (_GRID, _GRID), mode="bilinear", align_corners=False)
        x = F.relu(x)
        for layer in self.mix:
            x = x + F.relu(layer(x))
        inside = place[:, :1]
        columns, rows = self.along
        across = columns(x, inside)
        down = rows(x.transpose(2, 3), inside.transpose(2, 3))
        return torch.cat([across, down], dim=1)


class _Along(nn.Module):
    """Pooled over the rows that the box covers, then two edges along the columns."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(2 * _WIDTH, 96, 5, padding=2)
        self.second = nn.Conv1d(96, 96, 9, padding=4)
        self.third = nn.Conv1d(96, _EDGES, 5, padding=2)

    def forward(self, x: Tensor, inside: Tensor) -> Tensor:
        """x: (B, WIDTH, h, w);  inside: (B, 1, h, w), 1 in the box;  returns: (B, 2, POSITIONS)"""
        covered = inside.amax(dim=3, keepdim=True)  # (B, 1, h, 1)
        mean = (x * covered).sum(dim=2) / covered.sum(dim=2).clamp(min=1e-6)
        highest = (x * covered).amax(dim=2)
        pooled = F.interpolate(torch.cat([mean, highest], dim=1), POSITIONS, mode="linear", align_corners=False)
        y = F.relu(self.first(pooled))
        y = y + F.relu(self.second(y))
        edges: Tensor = self.third(y)
        return edges


def crop_around(box: Box) -> Crop:
    dx, dy = MARGIN * box.width, MARGIN * box.height
    return Crop(box.left - dx, box.top - dy, box.width + 2 * dx, box.height + 2 * dy)


def cut(image: NDArray[np.uint8], crop: Crop) -> NDArray[np.uint8]:
    """(CROP_PX, CROP_PX, 3) uint8 of a (H, W, 3) image, its edge repeated beyond it; pixel centres at halves."""
    if crop.width > CROP_PX or crop.height > CROP_PX:  # averaged first: picking single pixels would alias
        x0, y0 = max(int(crop.left), 0), max(int(crop.top), 0)
        x1 = min(int(np.ceil(crop.left + crop.width)), image.shape[1])
        y1 = min(int(np.ceil(crop.top + crop.height)), image.shape[0])
        part = image[y0:y1, x0:x1]
        fx, fy = min(1.0, CROP_PX / crop.width), min(1.0, CROP_PX / crop.height)
        size = (max(1, round(part.shape[1] * fx)), max(1, round(part.shape[0] * fy)))
        fx, fy = size[0] / part.shape[1], size[1] / part.shape[0]
        image = cv2.resize(np.ascontiguousarray(part), size, interpolation=cv2.INTER_AREA)
        crop = Crop((crop.left - x0) * fx, (crop.top - y0) * fy, crop.width * fx, crop.height * fy)
    sx, sy = crop.width / CROP_PX, crop.height / CROP_PX
    matrix = np.array([[sx, 0, crop.left + 0.5 * sx - 0.5], [0, sy, crop.top + 0.5 * sy - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(
        np.ascontiguousarray(image), matrix, (CROP_PX, CROP_PX), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(warped, np.uint8)


def place_maps(box: Box, crop: Crop) -> Tensor:
    """(1, 3, 48, 48): 1 inside the box, and where a place is across and down, -1 to 1."""
    scale_x, scale_y = _GRID / crop.width, _GRID / crop.height
    drawn = Box(
        (box.left - crop.left) * scale_x,
        (box.top - crop.top) * scale_y,
        (box.right - crop.left) * scale_x,
        (box.bottom - crop.top) * scale_y,
    )
    line = torch.linspace(-1, 1, _GRID)
    inside = torch.from_numpy(drawn.pixels(_GRID, _GRID).astype(np.float32))
    return torch.stack([inside, line.expand(_GRID, _GRID), line[:, None].expand(_GRID, _GRID)])[None]


def edges_in_crop(box: Box, crop: Crop) -> NDArray[np.float32]:
    """(4,) left, right, top, bottom in positions, 0 to POSITIONS."""
    across = (np.array([box.left, box.right]) - crop.left) / crop.width
    down = (np.array([box.top, box.bottom]) - crop.top) / crop.height
    return np.asarray(np.concatenate([across, down]) * POSITIONS, np.float32)


def box_of_edges(edges: NDArray[np.floating], crop: Crop) -> Box:
    """The reverse of `edges_in_crop`."""
    left, right = (float(e) / POSITIONS * crop.width + crop.left for e in edges[:2])
    top, bottom = (float(e) / POSITIONS * crop.height + crop.top for e in edges[2:])
    return Box(left, top, right, bottom)
