"""The network that turns clicks into a mask: pretrained maps of the image, maps of the clicks, and a small trunk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from assist.clicks import Box, Click, disks

STRIDE = 4
PADDED_TO = 32  # sides of a picture are made multiples of this
_WIDTH, _WIDE = 48, 64
_NEAR_PX, _FAR_PX = 5, 40  # radii of the two disks per click, on the small picture
_COMPARED = 3  # so many of the coarsest maps are compared with what was clicked on
CLICK_MAPS = 4 + 2 + 1 + 2 * _COMPARED
_SURE = 0.02  # probabilities go into the network as logits between those of this and of 1 - this


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """What the encoder says of a picture.

    levels: the encoder's maps, finest first, each (1, C, h, w);  compared: the coarsest with each place's mean-free
    vector of length 1;  rows, columns: of the padded picture, multiples of PADDED_TO;  scale: small picture / image;
    height, width: of the small picture before it was padded
    """

    levels: tuple[Tensor, ...]
    compared: tuple[Tensor, ...]
    rows: int
    columns: int
    height: int
    width: int
    scale: float


class ClickNetwork(nn.Module):
    """Logits of "is meant", added to those of the random walk, so that learning begins where that one ends.

    The inputs are those published: image, disks of positive and of negative clicks, the mask before (Sofiiuk et al.
    2021, arXiv:2102.06583); and how much each place looks like what was clicked on, which a few hundred images suffice
    to use. The image's maps are made once per image, as in SAM (Kirillov et al. 2023, arXiv:2304.02643).
    """

    def __init__(self, channels: Sequence[int]) -> None:
        """channels: of the encoder's maps."""
        super().__init__()
        self.project = nn.ModuleList([nn.Conv2d(count, _WIDTH, 1) for count in channels])
        self.clicks = nn.Conv2d(CLICK_MAPS, _WIDTH, 3, padding=1)
        self.first = nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1)
        self.down = nn.Conv2d(_WIDTH, _WIDE, 3, padding=1)
        self.around = nn.ModuleList([nn.Conv2d(_WIDE, _WIDE, 3, padding=d, dilation=d) for d in (1, 3, 6)])
        self.up = nn.Conv2d(_WIDE, _WIDTH, 1)
        self.last = nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1)
        self.logit = nn.Conv2d(_WIDTH, 1, 1)
        self.trust = nn.Parameter(torch.tensor(0.5))  # in the random walk
        with torch.no_grad():  # begins as the random walk
            for parameter in self.logit.parameters():
                parameter.zero_()

    def image_maps(self, maps: Maps) -> Tensor:
        """(1, WIDTH, rows / 4, columns / 4), what does not depend on clicks."""
        size = (maps.rows // STRIDE, maps.columns // STRIDE)
        total = torch.zeros((1, _WIDTH, *size))
        for project, level in zip(self.project, maps.levels, strict=True):
            if level.shape[-2] > size[0]:
                projected = project(F.adaptive_avg_pool2d(level, size))
            else:
                projected = F.interpolate(project(level), size, mode="bilinear", align_corners=False)
            total = total + projected
        return total

    def forward(self, image_maps: Tensor, click_maps: Tensor) -> Tensor:
        """image_maps: (B, WIDTH, h, w);  click_maps: (B, CLICK_MAPS, h, w);  returns: (B, h, w) logits"""
        x = F.relu(image_maps + self.clicks(click_maps))
        x = F.relu(self.first(x))
        deep = F.relu(self.down(F.avg_pool2d(x, 2)))
        for layer in self.around:
            deep = deep + F.relu(layer(deep))
        wide = F.interpolate(self.up(deep), x.shape[-2:], mode="bilinear", align_corners=False)
        x = F.relu(self.last(F.relu(x + wide)))
        logit: Tensor = self.logit(x)[:, 0] + self.trust * click_maps[:, 6]
        return logit


def compare(levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The coarsest maps, each place's vector less the picture's mean and of length 1."""
    return tuple(F.normalize(level - level.mean(dim=(2, 3), keepdim=True), dim=1) for level in levels[-_COMPARED:])


def click_maps(
    maps: Maps,
    clicks: Sequence[Click],
    box: Box | None,
    previous: NDArray[np.bool_] | None,
    walked: NDArray[np.float32],
) -> Tensor:
    """(1, CLICK_MAPS, rows / 4, columns / 4).

    clicks, box: in pixels of the image;  previous: (H, W) bool of the image, or None
    walked: (height, width) of the small picture, the random walk's probabilities
    """
    rows, columns = maps.rows, maps.columns
    small = [
        Click(
            min(int(click.y * maps.scale), maps.height - 1),
            min(int(click.x * maps.scale), maps.width - 1),
            click.positive,
        )
        for click in clicks
    ]
    before = np.zeros((rows, columns), np.float32)
    if previous is not None and previous.any():
        size = (maps.width, maps.height)
        before[: maps.height, : maps.width] = cv2.resize(
            previous.astype(np.float32), size, interpolation=cv2.INTER_AREA
        )
    inside = np.zeros((rows, columns), np.float32)
    if box is not None:
        edges = (box.left * maps.scale, box.top * maps.scale, box.right * maps.scale, box.bottom * maps.scale)
        inside[Box(*edges).pixels(rows, columns)] = 1.0
    sure = np.full((rows, columns), _SURE, np.float32)
    sure[: maps.height, : maps.width] = np.clip(walked, _SURE, 1 - _SURE)
    full = np.concatenate(
        [
            disks(small, rows, columns, _NEAR_PX),
            disks(small, rows, columns, _FAR_PX),
            before[None],
            inside[None],
            np.log(sure / (1 - sure))[None],
        ]
    )
    pooled = F.avg_pool2d(torch.from_numpy(full)[None], STRIDE)
    return torch.cat([pooled, *_likeness(maps, small)], dim=1)


def _likeness(maps: Maps, clicks: Sequence[Click]) -> list[Tensor]:
    """Per compared map (1, 2, rows / 4, columns / 4): the cosine with the most similar positive and negative click."""
    size, found = (maps.rows // STRIDE, maps.columns // STRIDE), []
    for level in maps.compared:
        height, width = level.shape[-2:]
        both = torch.zeros((1, 2, height, width))
        for kind in (True, False):
            places = [
                (click.y * height // maps.rows, click.x * width // maps.columns)
                for click in clicks
                if click.positive is kind
            ]
            if places:
                vectors = torch.stack([level[0, :, y, x] for y, x in places])
                both[0, int(not kind)] = torch.einsum("nc,chw->nhw", vectors, level[0]).amax(dim=0)
        found.append(F.interpolate(both, size, mode="bilinear", align_corners=False))
    return found
