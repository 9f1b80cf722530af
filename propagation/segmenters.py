"""Segmenters by name: what looks at a frame and gives feature maps at several strides, for the decoder to learn on.

A video's few labels train the decoder on them (decoder.py), then both together (tuning.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn

from propagation.compact_features import CompactFeatures
from propagation.sam2_features import Sam2Features
from propagation.torchvision_features import TorchvisionFeatures, can_be_a_backbone
from workspace.config import SegmenterConfig
from workspace.errors import UserError


class Features(Protocol):
    """Maps of one batch of frames; sizes of the input are multiples of 32."""

    @property
    def channels(self) -> Sequence[int]: ...

    @property
    def pretrained(self) -> bool: ...

    def __call__(self, image: Tensor) -> list[Tensor]:
        """image: (B, 3, H, W) float32 RGB in [0, 1];  returns: per level (B, channels[i], H / stride, W / stride)

        All float32 on the image's device, finest first.
        """
        ...


_TORCHVISION = (
    "convnext_tiny",
    "deeplabv3_mobilenet_v3_large",
    "deeplabv3_resnet101",
    "deeplabv3_resnet50",
    "efficientnet_b0",
    "fcn_resnet101",
    "fcn_resnet50",
    "lraspp_mobilenet_v3_large",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "resnet18",
    "resnet50",
)

SEGMENTERS: dict[str, Callable[[str | None], Features]] = {
    "compact": lambda weights: CompactFeatures(),
    "sam2": Sam2Features,
    **{name: partial(TorchvisionFeatures, name) for name in _TORCHVISION},
}
"""Name to what makes its features from `segmenter.weights`. Those here keep the contract by test; any other network of
torchvision's that classifies images may be named as well."""


def features(config: SegmenterConfig, device: torch.device, seed: int) -> Features:
    """The feature maps of the configured segmenter, ready to use; the global random state is left alone.

    Without weights the backbone is a random one, the same for the same seed.
    """
    make = SEGMENTERS.get(config.name)
    if make is None:
        if not can_be_a_backbone(config.name):
            raise UserError(
                f"There is no segmenter {config.name!r}.",
                f"Set segmenter.name to one of: {', '.join(sorted(SEGMENTERS))}, or to another of torchvision's"
                " convolutional networks.",
            )
        make = partial(TorchvisionFeatures, config.name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = make(config.weights)
    if isinstance(made, nn.Module):
        made.to(device).eval().requires_grad_(False)
    return made
