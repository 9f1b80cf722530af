"""Labels from both sides become one distribution per pixel: the floor that the decoder's opinion is added to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from propagation.warp import DISTANCE_OF, LOG_RELIABILITY_OF, RESIDUAL_OF
from workspace.mask import UNKNOWN, MaskArray

_RELIABILITY_WEIGHT = 0.25
_RESIDUAL_WEIGHT = 6.0
_HALF_LIFE_FRAMES = 60.0
_LEAST_DOUBT = 0.02
_MOST_DOUBT = 0.9  # so that the labels that arrive still decide while nothing else is known

# Per byte of `warp.read`. Reliable flow, similar colour, and a short way count; in between two labels this fades from
# one to the other.
_BY_RELIABILITY = np.exp(_RELIABILITY_WEIGHT * LOG_RELIABILITY_OF).astype(np.float32)
_BY_RESIDUAL = np.exp(-_RESIDUAL_WEIGHT * RESIDUAL_OF).astype(np.float32)
_BY_DISTANCE = (1 / (1 + DISTANCE_OF)).astype(np.float32)
_BY_LONG_DISTANCE = (1 / (1 + DISTANCE_OF / _HALF_LIFE_FRAMES)).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Warped:
    """What flow alone says about a frame.

    log_probability: (K, H, W) float32, the fused warped labels; uniform where no label arrives
    mask: (H, W) uint8, the class id of the label that counts most; 255 where none arrives
    """

    log_probability: Tensor
    mask: MaskArray


def fuse(sides: Sequence[NDArray[np.uint8]], classes: Sequence[int], device: torch.device) -> Warped:
    """The fused warped labels of all sources.

    sides: of the earlier and of the later side, (2, 4, H, W) uint8 of `warp.read` each
    classes: the class ids of the K channels; any other label counts as unknown
    """
    channels = np.full(256, UNKNOWN, np.uint8)
    channels[list(classes)] = np.arange(len(classes))
    arrived = np.concatenate(sides)
    label = channels[arrived[:, 0]]
    known = label != UNKNOWN
    common = _BY_RELIABILITY[arrived[:, 1]]
    common *= _BY_RESIDUAL[arrived[:, 3]]
    common *= known
    weight = common * _BY_DISTANCE[arrived[:, 2]]
    total = weight.sum(axis=0)
    doubt = 1 - (common * _BY_LONG_DISTANCE[arrived[:, 2]]).max(axis=0)
    doubt = np.where(total > 0, doubt.clip(_LEAST_DOUBT, _MOST_DOUBT), np.float32(1))
    shares = torch.from_numpy(weight * ((1 - doubt) / np.maximum(total, 1e-12))).to(device)
    channel = torch.from_numpy(np.where(known, label, 0).astype(np.int64)).to(device)
    probability = torch.from_numpy(doubt / len(classes)).to(device).expand(len(classes), -1, -1).contiguous()
    for source in range(len(label)):
        probability.scatter_add_(0, channel[source, None], shares[source, None])
    return Warped(probability.log_(), _heaviest(arrived[:, 0], weight, known))


def _heaviest(label: NDArray[np.uint8], weight: NDArray[np.float32], known: NDArray[np.bool_]) -> MaskArray:
    """(H, W) uint8, of the labels (S, H, W) that of the highest weight; the first of equals, 255 where none is known"""
    best = np.where(known[0], label[0], np.uint8(UNKNOWN))
    most = np.where(known[0], weight[0], np.float32(-1))
    for source in range(1, len(label)):
        better = known[source] & (weight[source] > most)
        best[better] = label[source][better]
        np.copyto(most, weight[source], where=better)
    return best
