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

STRIDE = 4  # of the answer, in pixels of the small picture
PADDED_TO = 32  # sides of a picture are made multiples of this
_WIDTHS = (32, 64, 128)  # channels at the strides 4, 8 and 16
_STRIDES = (4, 8, 16)
_REACHES = (1, 2, 4, 1)  # dilations at stride 16, which together see half of a picture of 480 pixels
_GROUPS = 8
_NEAR_PX, _FAR_PX = 5, 40  # radii of the two disks per click, on the small picture
_COMPARED = 3  # so many of the coarsest maps are compared with what was clicked on
CLICK_MAPS = 4 + 2 + 1 + 2 * _COMPARED
WALKED = 6  # which of the click maps is the random walk's
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
    to use. The image's maps are made once per image, as in SAM (Kirillov et al. 2023, arXiv:2304.02643). Three scales,
    as in a U-Net (Ronneberger et al. 2015, arXiv:1505.04597): most of the layers are at the coarsest, where a click on
    a trunk and an arm far from it lie in each other's reach and a layer costs a sixteenth.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        """channels: of the encoder's maps."""
        super().__init__()
        fine, middle, deep = _WIDTHS
        self.project = nn.ModuleList([nn.Conv2d(count, sum(_WIDTHS), 1) for count in channels])
        self.clicks = nn.ModuleList([nn.Conv2d(CLICK_MAPS, width, 3, padding=1) for width in _WIDTHS])
        self.down = nn.ModuleList([nn.Conv2d(fine, middle, 3, padding=1), nn.Conv2d(middle, deep, 3, padding=1)])
        self.first, self.second = _Residual(fine), _Residual(middle)
        self.around = nn.Sequential(*[_Residual(deep, reach) for reach in _REACHES])
        self.whole = nn.Linear(deep, deep)  # what the picture holds at all
        self.up = nn.ModuleList([nn.Conv2d(deep, middle, 1), nn.Conv2d(middle, fine, 1)])
        self.third, self.last = _Residual(middle), _Residual(fine)
        self.logit = nn.Conv2d(fine, 1, 1)
        self.trust = nn.Parameter(torch.tensor(0.5))  # in the random walk
        with torch.no_grad():  # begins as the random walk
            for parameter in self.logit.parameters():
                parameter.zero_()

    def image_maps(self, maps: Maps) -> tuple[Tensor, ...]:
        """Per scale (1, width, rows / stride, columns / stride), what does not depend on clicks."""
        sizes = [(maps.rows // stride, maps.columns // stride) for stride in _STRIDES]
        totals = [torch.zeros((1, width, *size)) for width, size in zip(_WIDTHS, sizes, strict=True)]
        for project, level in zip(self.project, maps.levels, strict=True):
            if level.shape[-2] > sizes[0][0]:
                level = F.adaptive_avg_pool2d(level, sizes[0])
            for number, part in enumerate(project(level).split(_WIDTHS, dim=1)):
                totals[number] = totals[number] + _resized(part, sizes[number])
        return tuple(totals)

    def forward(self, image_maps: Sequence[Tensor], click_maps: Tensor) -> Tensor:
        """image_maps: as above;  click_maps: (B, CLICK_MAPS, rows / 4, columns / 4);  returns: (B, h, w) logits"""
        told = [click_maps, F.avg_pool2d(click_maps, 2), F.avg_pool2d(click_maps, 4)]
        x, y, z = (maps + clicks(some) for maps, clicks, some in zip(image_maps, self.clicks, told, strict=True))
        x = self.first(F.relu(x))
        y = self.second(F.relu(y + self.down[0](F.avg_pool2d(x, 2))))
        z = F.relu(z + self.down[1](F.avg_pool2d(y, 2)))
        z = self.around(z + self.whole(z.mean(dim=(2, 3)))[:, :, None, None])
        y = self.third(F.relu(y + _resized(self.up[0](z), y.shape[-2:])))
        x = self.last(F.relu(x + _resized(self.up[1](y), x.shape[-2:])))
        logit: Tensor = self.logit(x)[:, 0] + self.trust * click_maps[:, WALKED]
        return logit


class _Residual(nn.Module):
    """x + relu(normalised(convolved(x))). Groups are normalised, as there is one picture at a time (Wu & He 2018)."""

    def __init__(self, width: int, reach: int = 1) -> None:
        super().__init__()
        self.layer = nn.Conv2d(width, width, 3, padding=reach, dilation=reach, bias=False)
        self.norm = nn.GroupNorm(_GROUPS, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + F.relu(self.norm(self.layer(x)))


def _resized(x: Tensor, size: Sequence[int]) -> Tensor:
    """Averaged where it is made smaller."""
    if x.shape[-2:] == torch.Size(size):
        return x
    if x.shape[-2] > size[0]:
        return F.adaptive_avg_pool2d(x, (size[0], size[1]))
    return F.interpolate(x, tuple(size), mode="bilinear", align_corners=False)


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
