"""Masks for all frames, from the labels of some."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from propagation.bands import decide
from propagation.canvas import Canvas, canvas
from propagation.devices import torch_device
from propagation.fit import fit
from propagation.fusion import arrived_tensor, fuse
from propagation.model import Model, from_bytes, index_of_class
from propagation.segmenters import Features, features
from propagation.sources import FlowSource, FrameSource
from propagation.warp import pack, read, remembering, travel
from workspace.config import PropagationConfig, SegmenterConfig
from workspace.mask import UNKNOWN, MaskArray

__all__ = ["FramePrediction", "Scratch", "fit", "propagate"]


@dataclass(frozen=True, slots=True, eq=False)
class FramePrediction:
    """What we believe about one frame.

    mask: (H, W) uint8 class ids; the people's pixels are in it as they gave them
    probabilities: (K, ceil(H/s), ceil(W/s)) float16, s = settings.probability_stride, averages over s by s pixels
    doubt: (ceil(H/s), ceil(W/s)) float16, average of 1 - highest probability; where two classes meet within a cell
    it is far below what the averaged probabilities suggest
    warped_mask: (H, W) uint8, by flow alone: the baseline; class 0 where no label arrives
    """

    index: int
    mask: MaskArray
    probabilities: NDArray[np.float16]
    doubt: NDArray[np.float16]
    warped_mask: MaskArray


class Scratch(Protocol):
    """What one pass over the video leaves for the next, on disk in the product: memory never grows with the length."""

    def put(self, name: str, array: NDArray[Any]) -> None: ...

    def get(self, name: str) -> NDArray[Any]: ...


def propagate(
    frames: FrameSource,
    labels: Mapping[int, MaskArray],
    flow: FlowSource,
    classes: int,
    segmenter: SegmenterConfig,
    settings: PropagationConfig,
    model: bytes | None,
    scratch: Scratch,
    wanted: Collection[int] | None,
    beat: Callable[[float], None],
) -> Iterator[FramePrediction]:
    """Every frame (or the `wanted` ones), in order.

    model: of `fit` with the same labels and segmenter; None: flow alone. Two passes: from the end, which leaves the
    labels of later frames in `scratch` as later-NNNNNN, (2, 4, H, W) uint8 per wanted frame; then from the beginning.
    """
    height, width = frames[0].shape[:2]
    wished = sorted(set(range(len(frames)) if wanted is None else wanted))
    if not wished:
        return
    device = torch_device(settings.device)
    fitted: tuple[Model, Features] | None = None
    if model is not None:
        backbone = features(segmenter, device, settings.seed)
        fitted = (from_bytes(model, backbone, device), backbone)
    sizes = canvas(height, width, segmenter.input_side)
    image_of = remembering(frames.__getitem__, 3 * height * width)
    label_of = remembering(labels.__getitem__, height * width)
    chosen = frozenset(wished)

    backward = range(len(frames) - 1, wished[0] - 1, -1)
    for done, (index, _, track) in enumerate(travel(backward, labels, flow, (height, width))):
        if index in chosen:
            scratch.put(f"later-{index:06d}", pack(read(track, index, image_of(index), label_of, image_of)))
        beat(0.3 * (done + 1) / len(backward))
    forward = range(wished[-1] + 1)
    for done, (index, _, track) in enumerate(travel(forward, labels, flow, (height, width))):
        if index in chosen:
            image = image_of(index)
            sides = (pack(read(track, index, image, label_of, image_of)), scratch.get(f"later-{index:06d}"))
            given = labels.get(index)
            yield _predict(index, image, sides, given, classes, sizes, fitted, settings.probability_stride, device)
        beat(0.3 + 0.7 * (done + 1) / len(forward))


def _predict(
    index: int,
    image: NDArray[np.uint8],
    sides: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    given: MaskArray | None,
    classes: int,
    sizes: Canvas,
    fitted: tuple[Model, Features] | None,
    stride: int,
    device: torch.device,
) -> FramePrediction:
    ids = tuple(range(classes)) if fitted is None else fitted[0].classes
    with torch.inference_mode():
        added, fused = (None, None) if fitted is None else _added(image, sides, sizes, *fitted, device)
        made = decide(sides, given, added, fused, ids, classes, sizes, stride, device)
    mask, warped = made.mask, np.where(made.warped_mask == UNKNOWN, np.uint8(0), made.warped_mask)
    if given is not None:
        mask, warped = (np.where(given != UNKNOWN, given, by_us) for by_us in (mask, warped))
    return FramePrediction(index, mask, made.probabilities, made.doubt, warped)


def _added(
    image: NDArray[np.uint8],
    sides: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    sizes: Canvas,
    model: Model,
    backbone: Features,
    device: torch.device,
) -> tuple[Tensor, Tensor | None]:
    """(1, K, *work), what the networks add to the log of the warped labels, and that log if it is of the frame's size
    (None if it is not)."""
    opinion = model.opinion(backbone, sizes, image, device)
    same_size = sizes.work == (sizes.height, sizes.width)
    packed = sides if same_size else [sizes.planes_to_work(side) for side in sides]
    at_work = fuse(arrived_tensor(packed, index_of_class(model.classes)).to(device), len(model.classes))
    added = model.added(sizes.to_work(image, nearest=False), at_work, opinion)
    return added, at_work.log_probability if same_size else None
