"""What one fit leaves: the decoder and the fusion head, and their bytes."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from propagation.canvas import Canvas, image_tensor
from propagation.decoder import PixelDecoder
from propagation.fusion import FusionHead, Warped
from propagation.segmenters import Features
from workspace.config import SegmenterConfig
from workspace.errors import UserError
from workspace.mask import UNKNOWN

_FORMAT = 1
_OPINION_WEIGHT = 0.25  # of the decoder against the warped labels, where it is not learned


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """classes: the class ids that have labels, ascending; a channel each
    fusion: None where there is too little to learn it from, see `fit`"""

    segmenter: SegmenterConfig
    backbone: float  # a checksum: a decoder is of use on its own backbone only
    classes: tuple[int, ...]
    decoder: PixelDecoder
    fusion: FusionHead | None

    def opinion(self, features: Features, sizes: Canvas, image: NDArray[np.uint8], device: torch.device) -> Tensor:
        """(1, K, *grid) log probabilities of the decoder alone for one frame."""
        levels = features(sizes.to_input(image, device))
        return torch.log_softmax(self.decoder.dense(levels, sizes.grid), dim=1)

    def added(self, image: NDArray[np.uint8], warped: Warped, opinion: Tensor) -> Tensor:
        """(1, K, *work), what the networks add to the log of the warped labels; image: (*work, 3) uint8."""
        if self.fusion is None:
            placed = nn.functional.interpolate(opinion, scale_factor=2, mode="bilinear", align_corners=False)
            return _OPINION_WEIGHT * placed
        added: Tensor = self.fusion(image_tensor(image, opinion.device), warped, opinion)
        return added


def index_of_class(classes: tuple[int, ...]) -> NDArray[np.uint8]:
    """(256,) uint8: the channel of each class id; 255 where it has none."""
    table = np.full(256, UNKNOWN, np.uint8)
    table[list(classes)] = np.arange(len(classes))
    return table


def checksum(features: Features) -> float:
    """A number that tells one backbone from another; 0 for one without parameters."""
    if not isinstance(features, nn.Module):
        return 0.0
    return float(sum(p.double().abs().sum().cpu() for p in features.parameters()))


def to_bytes(model: Model) -> bytes:
    """`torch.save` of a plain dict; `torch.load(weights_only=True)` reads it."""
    buffer = io.BytesIO()
    torch.save(
        {
            "format": _FORMAT,
            "segmenter": model.segmenter.model_dump(),
            "backbone": model.backbone,
            "classes": list(model.classes),
            "channels": list(model.decoder.channels),
            "decoder": _cpu(model.decoder),
            "fusion": None if model.fusion is None else _cpu(model.fusion),
        },
        buffer,
    )
    return buffer.getvalue()


def from_bytes(data: bytes, features: Features, device: torch.device) -> Model:
    """The model of `to_bytes` on `device`; UserError if it was fitted on another backbone than `features`."""
    state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    if state["format"] != _FORMAT:
        raise UserError(f"The model has format {state['format']}, this program reads {_FORMAT}.", "Fit it again.")
    segmenter = SegmenterConfig(**state["segmenter"])
    own = checksum(features)
    if tuple(state["channels"]) != tuple(features.channels) or abs(state["backbone"] - own) > 1e-6 * max(1.0, own):
        raise UserError(
            f"The model was fitted on the segmenter {segmenter.name!r} with weights {segmenter.weights!r}, "
            "which are not the ones configured now.",
            "Fit it again, or set segmenter.name and segmenter.weights back.",
        )
    classes = tuple(state["classes"])
    with torch.random.fork_rng(devices=[]):  # making layers draws numbers that are overwritten at once
        decoder = PixelDecoder(state["channels"], len(classes))
        fusion = None if state["fusion"] is None else FusionHead(len(classes))
    decoder.load_state_dict(state["decoder"])
    decoder.to(device).eval()
    if fusion is not None:
        fusion.load_state_dict(state["fusion"])
        fusion.to(device).eval()
    return Model(segmenter, state["backbone"], classes, decoder, fusion)


def _cpu(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu() for name, value in module.state_dict().items()}
