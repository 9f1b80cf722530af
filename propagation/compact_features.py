"""Features that need no weights."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CompactFeatures(nn.Module):
    """Colour, edges and texture at five scales: nothing is learned before the video, so no weights are needed.

    Per scale (an average pyramid, strides 1 to 16, and 32): smoothed colour, absolute horizontal and vertical
    differences and local contrast of the three channels; at the coarsest, where in the frame it is.
    """

    channels = (3, 12, 12, 12, 12, 14)
    pretrained = False

    def forward(self, image: Tensor) -> list[Tensor]:
        x = image
        levels = [image]
        for number in range(len(self.channels) - 1):
            x = F.avg_pool2d(x, 2)
            smooth = _box(x)
            across = (
                F.pad(x, (0, 1, 0, 0), mode="replicate")[..., 1:] - F.pad(x, (1, 0, 0, 0), mode="replicate")[..., :-1]
            ).abs()
            down = (
                F.pad(x, (0, 0, 0, 1), mode="replicate")[..., 1:, :]
                - F.pad(x, (0, 0, 1, 0), mode="replicate")[..., :-1, :]
            ).abs()
            contrast = (_box(x * x) - smooth * smooth).clamp(min=0).sqrt()
            maps = [smooth, _box(across), _box(down), contrast]
            if number == len(self.channels) - 2:
                maps.append(_position(x))
            levels.append(torch.cat(maps, dim=1))
        return levels


def _box(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def _position(x: Tensor) -> Tensor:
    """(B, 2, H, W): x and y of each cell, from -1 to 1."""
    batch, _, height, width = x.shape
    across = (torch.arange(width, device=x.device) + 0.5) * (2 / width) - 1
    down = (torch.arange(height, device=x.device) + 0.5) * (2 / height) - 1
    grid = torch.stack(torch.meshgrid(down, across, indexing="ij")[::-1])
    return grid.to(x.dtype).expand(batch, 2, height, width)
