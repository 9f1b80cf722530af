"""What one fit leaves: the decoder, what was changed of the segmenter, how far to trust both; and their bytes."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from propagation.canvas import Canvas
from propagation.decoder import PixelDecoder
from propagation.devices import quick_inference
from propagation.segmenters import Features
from workspace.config import SegmenterConfig
from workspace.errors import UserError
from workspace.mask import UNKNOWN

_FORMAT = 2


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """classes: the class ids that have labels, ascending; a channel each
    error_ratio: how wrong masks of frames were whose labels were hidden, over how wrong their probabilities said; 1 if
    that could not be measured"""

    segmenter: SegmenterConfig
    backbone: float  # a checksum: a decoder is of use on its own backbone only
    classes: tuple[int, ...]
    decoder: PixelDecoder
    error_ratio: float

    def opinion(self, features: Features, sizes: Canvas, image: NDArray[np.uint8], device: torch.device) -> Tensor:
        """(K, *grid) log probabilities of the decoder alone for one frame.

        features: those that `from_bytes` gave the fine-tuned layers
        """
        with quick_inference(device):
            levels = features(sizes.to_input(image, device))
            logits = self.decoder.dense(levels, sizes.grid)[0]
        return torch.log_softmax(logits.float(), dim=0)


def index_of_class(classes: tuple[int, ...]) -> NDArray[np.uint8]:
    """(256,) uint8: the channel of each class id; 255 where it has none."""
    table = np.full(256, UNKNOWN, np.uint8)
    table[list(classes)] = np.arange(len(classes))
    return table


def checksum(features: Features) -> float:
    """A number that tells one backbone from another; 0 for one without parameters."""
    if not isinstance(features, nn.Module):
        return 0.0
    return float(sum(p.detach().double().abs().sum().cpu() for p in features.parameters()))


def to_bytes(model: Model, tuned: nn.Module | None) -> bytes:
    """`torch.save` of a plain dict; `torch.load(weights_only=True)` reads it.

    tuned: the features with their fine-tuned layers, kept in float16; None if they are as they came
    """
    buffer = io.BytesIO()
    layers = None if tuned is None else {name: p.detach().half().cpu() for name, p in tuned.named_parameters()}
    torch.save(
        {
            "format": _FORMAT,
            "segmenter": model.segmenter.model_dump(),
            "backbone": model.backbone,
            "classes": list(model.classes),
            "channels": list(model.decoder.channels),
            "decoder": {name: value.detach().cpu() for name, value in model.decoder.state_dict().items()},
            "tuned": layers,
            "error_ratio": model.error_ratio,
        },
        buffer,
    )
    return buffer.getvalue()


def error_ratio(data: bytes) -> float:
    """`Model.error_ratio` of the model of `to_bytes`."""
    return float(torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)["error_ratio"])


def from_bytes(data: bytes, features: Features, device: torch.device) -> Model:
    """The model of `to_bytes` on `device`; UserError if it was fitted on another backbone than `features`.

    features: as they came (`segmenters.features`); they get the model's fine-tuned layers
    """
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
    decoder.load_state_dict(state["decoder"])
    decoder.to(device).eval()
    if state["tuned"] is not None and isinstance(features, nn.Module):
        with torch.no_grad():
            for name, parameter in features.named_parameters():
                parameter.copy_(state["tuned"][name])
    return Model(segmenter, state["backbone"], classes, decoder, state["error_ratio"])
