"""The decoder: class per pixel from a frame's feature maps, learned on sampled pixels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PixelDecoder(nn.Module):
    """A small perceptron on hypercolumns: the features of all levels at one pixel, interpolated.

    It learns on single pixels drawn from all labeled frames, so a step sees thousands of different places and thin
    classes can be drawn as often as wide ones; a whole frame is then decoded level by level, because the first layer
    is linear and may be applied before the interpolation.
    Hariharan et al. 2015, "Hypercolumns for Object Segmentation and Fine-grained Localization", arXiv:1411.5752;
    on learning from sampled pixels: Bansal et al. 2017, "PixelNet", arXiv:1702.06506.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: Sequence[int], classes: int, hidden: int = 96) -> None:
        super().__init__()
        self.channels = tuple(channels)
        width = sum(channels)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))
        self.first = nn.Linear(width, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, classes)

    def standardize_to(self, columns: Tensor) -> None:
        """Features come in at very different scales; columns: (N, D) of which mean and spread are kept."""
        self.mean.copy_(columns.mean(dim=0))
        self.std.copy_(columns.std(dim=0, unbiased=False) + 1e-4)

    def for_classes(self, had: Sequence[int], wanted: Sequence[int]) -> PixelDecoder:
        """This decoder with a channel for each class of `wanted`; those it `had` are kept, new ones start at random."""
        other = PixelDecoder(self.channels, len(wanted), self.first.out_features).to(self.mean.device)
        state = {name: value for name, value in self.state_dict().items() if not name.startswith("last.")}
        other.load_state_dict(state, strict=False)
        with torch.no_grad():
            for channel, name in enumerate(wanted):
                if name in had:
                    other.last.weight[channel] = self.last.weight[list(had).index(name)]
                    other.last.bias[channel] = self.last.bias[list(had).index(name)]
        return other

    def forward(self, columns: Tensor) -> Tensor:
        """columns: (N, D) float32;  returns: (N, K) logits"""
        hidden = F.relu(self.first((columns - self.mean) / self.std))
        return self.last(F.relu(self.second(hidden)))  # type: ignore[no-any-return]

    def dense(self, levels: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """levels: (B, C_i, h_i, w_i) each over the whole frame;  size: (h, w);  returns: (B, K, h, w) logits"""
        weight = self.first.weight / self.std
        sums: dict[tuple[int, int], Tensor] = {}  # levels of one size are interpolated together
        parts = torch.split(weight, list(self.channels), dim=1)
        bias: Tensor | None = self.first.bias - weight @ self.mean  # once, on any level: interpolation keeps constants
        for maps, part in zip(levels, parts, strict=True):
            finer = maps.shape[-2] > size[0]  # interpolate the fewer channels of the two: the order does not matter
            maps = _resized(maps, size) if finer else maps
            projected, bias = F.conv2d(maps, part[:, :, None, None], bias), None
            at = (projected.shape[-2], projected.shape[-1])
            sums[at] = sums[at].add_(projected) if at in sums else projected
        total = sums.pop(size, None)
        for projected in sums.values():
            placed = _resized(projected, size)
            total = placed if total is None else total.add_(placed)
        assert total is not None
        hidden = F.relu_(F.conv2d(F.relu_(total), self.second.weight[:, :, None, None], self.second.bias))
        return F.conv2d(hidden, self.last.weight[:, :, None, None], self.last.bias)


def _resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)


def columns_at(levels: Sequence[Tensor], rows: Tensor, columns: Tensor, height: int, width: int) -> Tensor:
    """Hypercolumns of single pixels.

    levels: (1, C_i, h_i, w_i) each over the whole frame;  rows, columns: (N,) pixels of the (height, width) frame
    returns: (N, sum C_i)
    """
    x = (columns + 0.5) * (2 / width) - 1
    y = (rows + 0.5) * (2 / height) - 1
    grid = torch.stack([x, y], dim=-1)[None, None].to(levels[0].dtype)
    sampled = [F.grid_sample(maps, grid, "bilinear", "border", align_corners=False)[0, :, 0].T for maps in levels]
    return torch.cat(sampled, dim=1)
