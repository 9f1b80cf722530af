"""Segmenters by name: what looks at a frame and gives feature maps at several strides, for the decoder to learn on.

The features stay as they are; the few labels of a video train only the decoder (decoder.py) and the fusion (fusion.py).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from workspace.config import SegmenterConfig
from workspace.errors import UserError

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


class Features(Protocol):
    """Maps of one batch of frames; sizes of the input are multiples of 32."""

    @property
    def channels(self) -> Sequence[int]: ...

    @property
    def pretrained(self) -> bool: ...

    def __call__(self, image: Tensor) -> list[Tensor]:
        """image: (B, 3, H, W) float32 RGB in [0, 1];  returns: per level (B, channels[i], H / stride, W / stride)"""
        ...


class MobileNetV2Features(nn.Module):
    """The maps of MobileNetV2 at strides 2, 4, 8, 16, 16 and 32, with the frame's own colours at stride 1 in front.

    Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", arXiv:1801.04381.
    """

    channels = (3, 16, 24, 32, 64, 96, 320)
    _LEVELS = (1, 3, 6, 10, 13, 17)
    mean: Tensor
    std: Tensor

    def __init__(self, weights: str | None) -> None:
        super().__init__()
        network = torchvision.models.mobilenet_v2()
        if weights is not None:
            state = _state_dict(weights, torchvision.models.MobileNet_V2_Weights)
            _load(network, state, weights, "mobilenet_v2")
        self.pretrained = weights is not None
        self.layers: nn.Sequential = network.features[: self._LEVELS[-1] + 1].eval()
        _fold_batch_norms(self.layers)
        self.layers.to(memory_format=torch.channels_last)
        self.register_buffer("mean", torch.tensor(_IMAGENET_MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(_IMAGENET_STD)[:, None, None])

    def forward(self, image: Tensor) -> list[Tensor]:
        x = ((image - self.mean) / self.std).to(memory_format=torch.channels_last)
        levels = [x]
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if number in self._LEVELS:
                levels.append(x)
        return levels


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


SEGMENTERS: dict[str, Callable[[str | None], Features]] = {
    "compact": lambda weights: CompactFeatures(),
    "mobilenet_v2": MobileNetV2Features,
}


def features(config: SegmenterConfig, device: torch.device, seed: int) -> Features:
    """The feature maps of the configured segmenter, ready to use; the global random state is left alone.

    Without weights the backbone is a random one, the same for the same seed.
    """
    if config.name not in SEGMENTERS:
        raise UserError(
            f"There is no segmenter {config.name!r}.", f"Set segmenter.name to one of: {', '.join(sorted(SEGMENTERS))}."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = SEGMENTERS[config.name](config.weights)
    if isinstance(made, nn.Module):
        made.to(device).eval().requires_grad_(False)
    return made


def _state_dict(weights: str, known: type[torchvision.models.WeightsEnum]) -> dict[str, Tensor]:
    """From a local file, else by torchvision's name; nothing else is ever used in their place."""
    path = Path(weights).expanduser()
    if path.is_file():
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises pickle, zip, value and runtime errors for what is no state dict
            raise UserError(
                f"{weights} is no file of weights: {' '.join(str(error).split())[:200]}.",
                "Give a state dict saved by torch.save.",
            ) from None
        if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
            raise UserError(f"{weights} holds no state dict.", "Give a state dict saved by torch.save.")
        return state
    if weights not in known.__members__:
        raise UserError(
            f"segmenter.weights is {weights!r}, which is neither a file nor a name that torchvision knows.",
            f"Give the path of a state dict, one of {', '.join(known.__members__)}, or null for none.",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            downloaded: dict[str, Tensor] = known[weights].get_state_dict(
                progress=False, check_hash=True, weights_only=True
            )
            return downloaded
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"The weights {weights!r} cannot be downloaded: {error}.",
            "Set segmenter.weights to the path of a state dict on this machine, or to null to do without.",
        ) from None


def _load(network: nn.Module, state: dict[str, Tensor], weights: str, name: str) -> None:
    try:
        network.load_state_dict(
            {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
        )
    except RuntimeError as error:
        raise UserError(
            f"{weights} does not fit {name}: {' '.join(str(error).split())[:200]}.",
            f"Give a state dict of torchvision's {name}, or null for none.",
        ) from None


def _fold_batch_norms(layers: nn.Module) -> None:
    """Batch norms that follow a convolution become part of it: the same numbers in half the time on a CPU."""
    for block in layers.modules():
        if not isinstance(block, nn.Sequential):
            continue
        for first, second in zip(list(block)[:-1], list(block)[1:], strict=True):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                names = {id(child): name for name, child in block.named_children()}
                setattr(block, names[id(first)], fuse_conv_bn_eval(first, second))
                setattr(block, names[id(second)], nn.Identity())
