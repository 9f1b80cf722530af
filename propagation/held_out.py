"""What a frame's label should be, by those who do not know it: other frames' labels, decoders fitted without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from propagation.canvas import canvas
from propagation.decoder import PixelDecoder
from propagation.descent import descend, one_cycle
from propagation.devices import torch_device
from propagation.lessons import PixelBank, evenly, pixel_bank
from propagation.losses import label_loss
from propagation.segmenters import Features, features
from propagation.sources import FlowSource, FrameSource
from propagation.warp import Track, travel
from workspace.config import PropagationConfig, SegmenterConfig
from workspace.mask import UNKNOWN, MaskArray

Beat = Callable[[float], None]

_FOLDS = 3
_TEACHERS = 42  # labeled frames that the decoders learn from, evenly spaced if there are more
_STEPS = 120
_PIXELS_PER_STEP = 4096
_INPUT_SIDE = 480  # the backbone's
_AT_ONCE = 24  # labeled frames whose sources are in memory together
_BESIDE = 4  # labeled frames beyond them on each side that may still speak


@dataclass(frozen=True, slots=True, eq=False)
class Witnesses:
    """Where flow comes from to a labeled frame: two labeled pixels of earlier frames and two of later ones, per pixel.

    sources: (2, 2, H, W) int32, the labeled frame: of the earlier and of the later side the nearest and the one before
    it, -1 where there is none;  at: of the same shape, int32, the flat index of the pixel in it
    """

    frame: int
    sources: NDArray[np.int32]
    at: NDArray[np.int32]

    def read(self, label_of: Callable[[int], MaskArray]) -> NDArray[np.uint8]:
        """(2, 2, H, W) uint8, the classes that these pixels have in `label_of`; 255 where there is none."""
        classes = np.full(self.sources.shape, UNKNOWN, np.uint8)
        for source in np.flatnonzero(np.bincount(self.sources.ravel() + 1)[1:]):
            here = self.sources == source
            classes[here] = label_of(int(source)).ravel()[self.at[here]]
        return classes


def witnesses(
    labels: Mapping[int, MaskArray], flow: FlowSource, shape: tuple[int, int], beat: Beat
) -> Iterator[Witnesses]:
    """The witnesses of every labeled frame, in order.

    labels: frame index to (H, W) uint8, 255 unknown: only which pixels are known matters here;  flow: see sources.py
    shape: H, W. Memory does not grow with the number of labels.
    """
    indices = sorted(labels)
    for begin in range(0, len(indices), _AT_ONCE):
        some = indices[begin : begin + _AT_ONCE]
        around = indices[max(0, begin - _BESIDE) : begin + _AT_ONCE + _BESIDE]
        known = {index: labels[index] for index in around}
        sides: dict[int, list[tuple[NDArray[np.int32], NDArray[np.int32]]]] = {index: [] for index in some}
        for order in (range(around[0], some[-1] + 1), range(around[-1], some[0] - 1, -1)):
            for index, arriving, _ in travel(order, known, flow, shape):
                if index in sides:
                    sides[index].append(_sources(arriving))
        for number, index in enumerate(some):
            sources, at = (np.stack([side[part] for side in sides[index]]) for part in range(2))
            yield Witnesses(index, sources, at)
            beat((begin + number + 1) / len(indices))


def _sources(track: Track) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(2, H, W) source frames and flat indices of one side's track."""
    states = np.stack(track.states)
    height, width = states.shape[1:3]
    row = np.rint(states[..., 1]).clip(0, height - 1).astype(np.int32)
    column = np.rint(states[..., 2]).clip(0, width - 1).astype(np.int32)
    return states[..., 0].astype(np.int32), row * width + column


@dataclass(frozen=True, slots=True, eq=False)
class Opinion:
    """model: (C, H, W) float32, probabilities of the C `classes` in a labeled frame, by a decoder that never saw its
    label;  classes: those that anybody labeled"""

    frame: int
    classes: tuple[int, ...]
    model: NDArray[np.float32]


def opinions(
    frames: FrameSource,
    labels: Mapping[int, MaskArray],
    classes: int,
    segmenter: SegmenterConfig,
    settings: PropagationConfig,
    beat: Beat,
) -> Iterator[Opinion]:
    """Every labeled frame in turn, as a model sees it that does not know its label; nothing for fewer than two.

    Arguments as for `propagation.fit.fit`. The decoders are cross-fitted: each learns two thirds of at most 42 labeled
    frames and judges the others.
    """
    indices = [index for index in sorted(labels) if (labels[index] != UNKNOWN).any()]
    if len(indices) < 2:
        return
    counts = np.zeros(256, np.int64)
    for index in indices:
        counts += np.bincount(labels[index].ravel(), minlength=256)
    present = tuple(int(k) for k in np.flatnonzero(counts[:classes]))
    device = torch_device(settings.device)
    backbone = features(segmenter, device, settings.seed)
    height, width = frames[0].shape[:2]
    sizes = canvas(height, width, min(segmenter.input_side, _INPUT_SIDE))
    teachers = evenly(indices, _TEACHERS)
    folds = min(_FOLDS, len(teachers))
    fold_of = {index: number % folds for number, index in enumerate(teachers)}
    rng = np.random.default_rng(settings.seed)
    with torch.no_grad():
        bank = pixel_bank(
            frames, labels, fold_of, {}, backbone, sizes, present, rng, device, lambda part: beat(0.4 * part)
        )
    judges = [_judge(bank, fold, len(present), backbone, settings) for fold in range(folds)]
    beat(0.5)
    for done, index in enumerate(indices):
        with torch.no_grad():
            levels = backbone(sizes.to_input(frames[index], device))
            # a frame that taught nobody may be judged by anyone
            opinion = judges[fold_of.get(index, 0)].dense(levels, sizes.grid)
            model = F.interpolate(opinion, size=sizes.work, mode="bilinear", align_corners=False).softmax(dim=1)
            said = sizes.from_work(model)[0].cpu().numpy()
        beat(0.5 + 0.5 * (done + 1) / len(indices))
        yield Opinion(index, present, said)


def _judge(
    bank: PixelBank, without: int, classes: int, backbone: Features, settings: PropagationConfig
) -> PixelDecoder:
    """A decoder that learns every fold but one."""
    device = bank.columns.device
    rows = torch.arange(len(bank.classes), device=device)[(bank.folds != without).all(dim=1)]
    random = torch.Generator().manual_seed(settings.seed + 1 + without)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(settings.seed)
        decoder = PixelDecoder(backbone.channels, classes)
        decoder.to(device)
        decoder.standardize_to(bank.columns[rows[:: max(1, len(rows) // 20_000)]].float())
        optimizer = torch.optim.AdamW(decoder.parameters(), lr=settings.learning_rate, weight_decay=1e-2)
        schedule = one_cycle(optimizer, _STEPS)
        even = torch.ones(classes, device=device)
        for _ in range(_STEPS):
            drawn = rows[torch.randint(len(rows), (_PIXELS_PER_STEP,), generator=random).to(device)]
            descend(label_loss(decoder(bank.columns[drawn].float()), bank.classes[drawn], even), optimizer, schedule)
    return decoder.eval()
