"""Labels from both sides and the decoder's opinion become one distribution per pixel.

The warped labels come first: their log is what everything else is added to, and what is added starts at zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from propagation.warp import unpack
from workspace.mask import UNKNOWN, MaskArray

SOURCES = 4  # two from earlier frames, two from later ones
EVIDENCE = 3 * SOURCES  # channels of `Warped.evidence`
_RELIABILITY_WEIGHT = 0.5
_RESIDUAL_WEIGHT = 3.0
_HALF_LIFE_FRAMES = 60.0
_LEAST_DOUBT = 0.02
_MOST_DOUBT = 0.9  # so that the labels that arrive still decide while nothing else is known


@dataclass(frozen=True, slots=True, eq=False)
class Warped:
    """What flow alone says about a batch of frames.

    log_probability: (B, K, H, W) float32, the fused warped labels; uniform where no label arrives
    evidence: (B, 12, H, W) float32; per source log reliability, log distance, residual, about 0 to 2 and 0 if unknown
    """

    log_probability: Tensor
    evidence: Tensor


def log_weight(log_reliability: Tensor, distance: Tensor, residual: Tensor) -> Tensor:
    """How much a warped label counts against the one from the other side (log, <= 0).

    Reliable flow, similar colour, and a short way count; in between two labels this fades from one to the other.
    """
    return _RELIABILITY_WEIGHT * log_reliability - _RESIDUAL_WEIGHT * residual - torch.log1p(distance)


def fuse(arrived: Tensor, classes: int) -> Warped:
    """The fused warped labels of all sources.

    arrived: (B, S, 4, H, W) float32; per source the class (255: none), log reliability, distance, residual
    classes: K
    """
    label, log_reliability, distance, residual = arrived.unbind(dim=2)
    known = label != UNKNOWN
    weight = log_weight(log_reliability, distance, residual).exp() * known
    batch, _, height, width = weight.shape
    probability = torch.zeros((batch, classes, height, width), device=weight.device)
    channel = torch.where(known, label, 0).long()
    for source in range(weight.shape[1]):
        probability.scatter_add_(1, channel[:, source, None], weight[:, source, None])
    total = weight.sum(dim=1, keepdim=True)
    trust = log_weight(log_reliability, distance / _HALF_LIFE_FRAMES, residual).exp() * known
    doubt = (1 - trust.amax(dim=1, keepdim=True)).clamp(min=_LEAST_DOUBT, max=_MOST_DOUBT)
    doubt = doubt.masked_fill(total <= 0, 1.0)
    mixed = probability.mul_((1 - doubt) / total.clamp(min=1e-12)).add_(doubt / classes)
    evidence = torch.stack([log_reliability / 4, torch.log1p(distance) / 3, residual * 4], dim=2) * known[:, :, None]
    return Warped(mixed.log_(), evidence.flatten(1, 2))


def arrived_tensor(packed: Sequence[NDArray[np.uint8]], index_of_class: NDArray[np.uint8]) -> Tensor:
    """(1, S, 4, H, W) float32 for `fuse`.

    packed: of the earlier and of the later side;  index_of_class: (256,) uint8, from class id to channel, 255 for none
    """
    arrivals = [arrival for side in packed for arrival in unpack(side)]
    out = np.empty((1, len(arrivals), 4, *arrivals[0].classes.shape), np.float32)
    for place, arrival in zip(out[0], arrivals, strict=True):
        place[0] = index_of_class[arrival.classes]
        place[1:] = arrival.log_reliability, arrival.distance, arrival.residual
    return torch.from_numpy(out)


class FusionHead(nn.Module):
    """What to add to the log of the warped labels, from how they arrived, the decoder's opinion and the colours.

    Small on purpose, because a handful of labeled frames is all it learns from. It works on a grid of half the frame's
    height and width. The last layer starts at zero: so does what is added.
    """

    def __init__(self, classes: int, width: int = 24) -> None:
        super().__init__()
        self.enter = nn.Conv2d(2 * classes + EVIDENCE + 12, width, 1)
        self.around = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, groups=width), nn.Conv2d(width, width, 1))
        self.last = nn.Conv2d(width + 2 * classes, classes, 1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(self, image: Tensor, warped: Warped, opinion: Tensor) -> Tensor:
        """image: (B, 3, H, W) in [0, 1], H and W even;  opinion: (B, K, H/2, W/2) log probabilities of the decoder
        returns: (B, K, H, W) to add to `warped.log_probability`
        """
        arrived = F.avg_pool2d(warped.log_probability.exp(), 2).log()
        said = torch.cat([arrived, opinion.clamp(min=-10)], dim=1) / 4
        seen = torch.cat([said, F.avg_pool2d(warped.evidence, 2), F.pixel_unshuffle(image - 0.5, 2)], dim=1)
        x = F.relu(self.enter(seen.contiguous(memory_format=torch.channels_last)))
        x = x + F.relu(self.around(x))
        added: Tensor = self.last(torch.cat([x, said], dim=1))
        return F.interpolate(added, scale_factor=2, mode="bilinear", align_corners=False)


def flow_only_mask(arrived: Tensor) -> MaskArray:
    """(H, W) uint8, of all labels that arrive the one that counts most; 255 where none does.

    arrived: (1, S, 4, H, W) as for `fuse`, with class ids
    """
    label, log_reliability, distance, residual = arrived[0].unbind(dim=1)
    weight = log_weight(log_reliability, distance, residual).masked_fill(label == UNKNOWN, -torch.inf)
    chosen = label.gather(0, weight.argmax(dim=0, keepdim=True))[0]
    return np.asarray(chosen.cpu().numpy(), np.uint8)
