"""Opinions about neighbouring frames, brought here along the flow and averaged: what flickers is noise.

A weighted mean of log probabilities, in which a neighbour counts less for each frame between and where the flow is not
to be believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

REACH = 3  # frames to each side
_PER_FRAME = 0.7


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """From each cell of a frame to the next frame in one direction.

    flow: (h, w, 2) float32, (dx, dy) in cells;  reliability: (h, w) float32 in [0, 1]
    """

    flow: Tensor
    reliability: Tensor


def brought(opinions: Sequence[Tensor], steps: Sequence[Step]) -> tuple[Tensor, Tensor]:
    """The mean opinion of the frames on one side, seen from here, and its weight.

    opinions: of the neighbours, nearest first, (K, h, w) log probabilities each;  steps: to each of them, from the one
    before it;  returns: (K, h, w) and (h, w); weight 0 where no neighbour has a say
    """
    mean, weight = torch.zeros_like(opinions[-1]), torch.zeros_like(opinions[-1][0])
    for opinion, step in zip(reversed(opinions), reversed(steps), strict=True):
        total = weight + 1
        joined = (mean * weight + opinion) / total
        moved = _moved(torch.cat([joined, total[None]]), step.flow)
        mean, weight = moved[:-1], moved[-1] * step.reliability * _PER_FRAME
    return mean, weight


def averaged(opinion: Tensor, sides: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Log probabilities (K, h, w) of a frame, of its own opinion and of what is brought from the sides."""
    total, weight = opinion, torch.ones_like(opinion[0])
    for mean, counts in sides:
        total = total + mean * counts
        weight = weight + counts
    return torch.log_softmax(total / weight, dim=0)


def _moved(maps: Tensor, flow: Tensor) -> Tensor:
    """maps (C, h, w) read at where `flow` (h, w, 2) in cells leads to."""
    height, width = maps.shape[-2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=maps.device), torch.arange(width, device=maps.device), indexing="ij"
    )
    at_x = (x + flow[..., 0] + 0.5) * (2 / width) - 1
    at_y = (y + flow[..., 1] + 0.5) * (2 / height) - 1
    grid = torch.stack([at_x, at_y], dim=-1)[None]
    return F.grid_sample(maps[None], grid, mode="bilinear", padding_mode="border", align_corners=False)[0]
