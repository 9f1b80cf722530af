"""Fine-tuning at test time: the layers that see the frame learn the video's labels together with the decoder.

Caelles et al. 2017, "One-Shot Video Object Segmentation", arXiv:1611.05198.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from propagation.canvas import Canvas, image_tensor
from propagation.decoder import PixelDecoder
from propagation.descent import descend, one_cycle
from propagation.lessons import other_colours
from propagation.losses import balancing_weights, label_loss
from propagation.sources import FrameSource
from propagation.warp import remembering
from workspace.mask import UNKNOWN, MaskArray

Beat = Callable[[float], None]

_CROP = (320, 448)  # px of the network's input, multiples of 32
_SCALES = (0.8, 1.25)
_BALANCE = 0.5  # classes weigh (share of the labeled pixels)^-0.5
_DECODER_RATE = 3.0  # of the backbone's learning rate
_COARSEST_STRIDE = 32


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """A piece of a labeled frame.  image: (h, w, 3) uint8 RGB;  target: (h, w) uint8 channels, 255 unknown"""

    image: NDArray[np.uint8]
    target: NDArray[np.uint8]


def tune(
    backbone: nn.Module,
    decoder: PixelDecoder,
    frames: FrameSource,
    labels: Mapping[int, MaskArray],
    learned: Mapping[int, float],
    index_of_class: NDArray[np.uint8],
    sizes: Canvas,
    steps: int,
    rate: float,
    rng: np.random.Generator,
    device: torch.device,
    beat: Beat,
) -> None:
    """Both learn in place, by cross-entropy on pieces of the labeled frames: scaled, mirrored, in other colours.

    backbone: `segmenters.Features` with parameters
    learned: the labeled frames to learn from, and how often each is looked at: 1 for a whole one, for one of which
    people labeled parts as much less as that is
    index_of_class: (256,) uint8, from class id to channel;  rate: the backbone's learning rate at its highest
    Unknown pixels teach nothing. Classes weigh by one over the root of their size, and a piece is cut around a pixel of
    a class drawn evenly: otherwise the few pixels of a thin class would be seen too seldom.
    """
    height, width = sizes.input
    image_of = remembering(lambda index: _resized(frames[index], height, width), 3 * height * width)
    target_of = remembering(lambda index: _shrunk(index_of_class[labels[index]], height, width), height * width)
    channels = decoder.last.out_features
    counts = np.zeros(256, np.int64)
    for index in learned:
        counts += np.bincount(target_of(index).reshape(-1), minlength=256)
    weights = balancing_weights(torch.from_numpy(counts[:channels]), _BALANCE).to(device)
    parameters = [p for p in backbone.parameters() if p.is_floating_point()]
    for parameter in parameters:
        parameter.requires_grad_(True)
    groups = [
        {"params": parameters, "lr": rate},
        {"params": list(decoder.parameters()), "lr": _DECODER_RATE * rate},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=1e-4)
    schedule = one_cycle(optimizer, steps, warm_up=0.1)
    queue: list[int] = []
    for step in range(steps):
        queue = queue or [int(i) for i in rng.permutation(in_proportion(learned, rng))]
        index = queue.pop()
        lesson = piece(image_of(index), target_of(index), rng)
        target = torch.from_numpy(lesson.target[::2, ::2].astype(np.int64))[None].to(device)
        h, w = lesson.target.shape
        logits = decoder.dense(backbone(image_tensor(lesson.image, device)), (h // 2, w // 2))
        descend(label_loss(logits, target, weights), optimizer, schedule)
        beat((step + 1) / steps)
    for parameter in parameters:
        parameter.requires_grad_(False)


def in_proportion(weights: Mapping[int, float], rng: np.random.Generator) -> NDArray[np.int64]:
    """As many draws as there are keys, each key as often as its weight asks for, rounded up or down at random.

    Systematic sampling; if all weights are the same, each key once. Weights are above 0.
    """
    keys, share = np.array(list(weights)), np.array(list(weights.values()))
    if (share == share[0]).all():
        return keys
    ends = np.cumsum(share) * (len(keys) / share.sum())
    return np.asarray(keys[np.searchsorted(ends[:-1], np.arange(len(keys)) + rng.random(), side="right")], np.int64)


def piece(image: NDArray[np.uint8], target: NDArray[np.uint8], rng: np.random.Generator) -> Lesson:
    """A random piece of at most 320x448 pixels with something known in it, if there is anything.

    image: (H, W, 3) uint8;  target: (H, W) uint8, 255 unknown;  both sides at least 32 pixels after scaling
    """
    scale = rng.uniform(*_SCALES)
    least = _COARSEST_STRIDE
    height, width = (max(least, round(side * scale)) for side in target.shape)
    image, target = _resized(image, height, width), _shrunk(target, height, width)
    h, w = (
        min(most, side // _COARSEST_STRIDE * _COARSEST_STRIDE)
        for most, side in zip(_CROP, (height, width), strict=True)
    )
    row, column = _somewhere_known(target, rng)
    y = int(np.clip(row - rng.integers(h), 0, height - h))
    x = int(np.clip(column - rng.integers(w), 0, width - w))
    image, target = image[y : y + h, x : x + w], target[y : y + h, x : x + w]
    if rng.random() < 0.5:
        image, target = image[:, ::-1], target[:, ::-1]
    return Lesson(np.ascontiguousarray(other_colours(image, rng)), np.ascontiguousarray(target))


def _somewhere_known(target: NDArray[np.uint8], rng: np.random.Generator) -> tuple[int, int]:
    """(row, column) of a pixel of a class drawn evenly from those that are here; any pixel if nothing is known."""
    present = np.flatnonzero(np.bincount(target.reshape(-1), minlength=256)[:UNKNOWN])
    if not len(present):
        return int(rng.integers(target.shape[0])), int(rng.integers(target.shape[1]))
    places = np.flatnonzero(target.reshape(-1) == rng.choice(present))
    row, column = divmod(int(rng.choice(places)), target.shape[1])
    return row, column


def _resized(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    method = cv2.INTER_AREA if height < image.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), np.uint8)


def _shrunk(target: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(target, (width, height), interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
