"""Labels from both sides and the decoder's opinion become one distribution per pixel.

The warped labels come first: their log is what everything else is added to, and what is added starts at zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from propagation.warp import Side
from workspace.mask import UNKNOWN, MaskArray

EVIDENCE = 6  # channels of `Warped.evidence`
_RELIABILITY_WEIGHT = 0.5
_RESIDUAL_WEIGHT = 3.0
_HALF_LIFE_FRAMES = 60.0
_LEAST_DOUBT = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Warped:
    """What flow alone says about a batch of frames.

    log_probability: (B, K, H, W) float32, the fused warped labels; uniform where no label arrives
    evidence: (B, 6, H, W) float32; per side log reliability, log distance, residual, each about 0 to 2 and 0 if unknown
    """

    log_probability: Tensor
    evidence: Tensor


def log_weight(log_reliability: Tensor, distance: Tensor, residual: Tensor) -> Tensor:
    """How much a warped label counts against the one from the other side (log, <= 0).

    Reliable flow, similar colour, and a short way count; in between two labels this fades from one to the other.
    """
    return _RELIABILITY_WEIGHT * log_reliability - _RESIDUAL_WEIGHT * residual - torch.log1p(distance)


def fuse_sides(sides: tuple[Tensor, Tensor], classes: int) -> Warped:
    """The fused warped labels of both sides.

    sides: earlier and later, each (B, 4, H, W) float32: class (255: none), log reliability, distance, residual
    classes: K
    """
    first = sides[0]
    batch, _, height, width = first.shape
    probability = torch.zeros((batch, classes, height, width), device=first.device)
    doubt = torch.ones((batch, 1, height, width), device=first.device)
    total = torch.zeros((batch, 1, height, width), device=first.device)
    evidence = []
    for side in sides:
        label, log_reliability, distance, residual = side.split(1, dim=1)
        known = label != UNKNOWN
        weight = log_weight(log_reliability, distance, residual).exp() * known
        probability.scatter_add_(1, torch.where(known, label, 0).long(), weight)
        total += weight
        trust = (_RELIABILITY_WEIGHT * log_reliability - _RESIDUAL_WEIGHT * residual - distance / _HALF_LIFE_FRAMES).exp()
        doubt = torch.minimum(doubt, torch.where(known, 1 - trust, 1.0))
        evidence += [log_reliability / 4 * known, torch.log1p(distance) / 3 * known, residual * 4 * known]
    doubt = doubt.clamp(min=_LEAST_DOUBT, max=0.9)
    mixed = probability / total.clamp(min=1e-12) * (1 - doubt) + doubt / classes
    uniform = torch.full_like(mixed, 1 / classes)
    return Warped(torch.where(total > 0, mixed, uniform).log(), torch.cat(evidence, dim=1))


def side_tensor(side: Side, index_of_class: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(4, H, W) float32 for `fuse_sides`; index_of_class: (256,) uint8, from class id to channel, 255 for none."""
    label = index_of_class[side.classes].astype(np.float32)
    return np.stack([label, side.log_reliability, side.distance, side.residual])


class FusionHead(nn.Module):
    """What to add to the log of the warped labels, from how they arrived, the decoder's opinion and the colours.

    It works on a grid of half the frame's height and width and gives four values per cell, one per pixel of it
    (Shi et al. 2016, sub-pixel convolution, arXiv:1609.05158). The last layer starts at zero: so does what is added.
    """

    def __init__(self, classes: int, width: int = 48) -> None:
        super().__init__()
        seen = 2 * classes + EVIDENCE + 12
        self.enter = nn.Conv2d(seen, width, 1)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(3))
        self.last = nn.Conv2d(width + 2 * classes, 4 * classes, 1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(self, image: Tensor, warped: Warped, opinion: Tensor) -> Tensor:
        """image: (B, 3, H, W) in [0, 1], H and W even;  opinion: (B, K, H/2, W/2) log probabilities of the decoder
        returns: (B, K, H, W) to add to `warped.log_probability`
        """
        arrived = F.avg_pool2d(warped.log_probability.exp(), 2).log()
        said = torch.cat([arrived, opinion.clamp(min=-10)], dim=1)
        colours = F.pixel_unshuffle(image - 0.5, 2)
        x = F.relu(self.enter(torch.cat([said / 4, F.avg_pool2d(warped.evidence, 2), colours], dim=1)))
        for block in self.blocks:
            x = x + block(x)
        return F.pixel_shuffle(self.last(torch.cat([x, said / 4], dim=1)), 2)


class _Block(nn.Sequential):
    def __init__(self, width: int) -> None:
        super().__init__(
            nn.Conv2d(width, width, 5, padding=2, groups=width),
            nn.Conv2d(width, 2 * width, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(2 * width, width, 1),
        )


def flow_only_mask(sides: tuple[Side, Side]) -> MaskArray:
    """(H, W) uint8, the label that counts more of the two that arrive; 255 where none does."""
    weights = []
    for side in sides:
        parts = (torch.from_numpy(np.ascontiguousarray(a)) for a in (side.log_reliability, side.distance, side.residual))
        weights.append(torch.where(torch.from_numpy(side.classes != UNKNOWN), log_weight(*parts), -torch.inf))
    return np.where((weights[0] >= weights[1]).numpy(), sides[0].classes, sides[1].classes)
