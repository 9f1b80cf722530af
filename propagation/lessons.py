"""What there is to learn from: labels as they are, labels that flow carries on, frames as they look without theirs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from propagation.canvas import Canvas
from propagation.decoder import columns_at
from propagation.flow import log_agreement
from propagation.model import index_of_class
from propagation.segmenters import Features
from propagation.sources import FlowSource, FrameSource
from propagation.warp import Arrival, read, remembering, source_frames, travel, unpack
from workspace.mask import UNKNOWN, MaskArray

Beat = Callable[[float], None]

NO_FOLD = 254  # of a pixel that comes from a labeled frame which no decoder is kept from seeing
_VIEWS = 2  # of each labeled frame: as it is, and mirrored with other colours
_PIXELS_PER_VIEW = 8000
_PIXELS_PER_CARRIED_FRAME = 4000
_PIXELS_IN_ALL = 200_000  # bounds the memory: 0.25 GB of MobileNetV2 columns
_FLOW_PAIRS = 24
_PIXELS_PER_PAIR = 1500
_AGREES = -0.5  # log agreement above which the flow loss believes a vector
_RELIABLE_FROM_BOTH = -1.25  # log reliability of a carried label that both sides agree on
_RELIABLE_FROM_ONE = -0.5  # and of one that comes from one side only


@dataclass(frozen=True, slots=True, eq=False)
class PixelBank:
    """columns: (N, D) float16;  classes: (N,) int64 channels;  folds: (N, 2) uint8, the folds of the labeled frames
    that the label comes from"""

    columns: Tensor
    classes: Tensor
    folds: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """Labels that flow carries to an unlabeled frame: target (H, W) uint8 channels, 255 where not to be trusted;
    folds (2, H, W) uint8 of the labeled frames that they come from."""

    target: NDArray[np.uint8]
    folds: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Journey:
    """What the two passes over the video bring.

    arrived: per judged labeled frame what reaches it from the other labeled frames, earlier and later side,
    (2, 4, H, W) uint8 of `warp.read` each;  carried: per visited unlabeled frame
    """

    arrived: Mapping[int, Sequence[NDArray[np.uint8]]]
    carried: Mapping[int, Carried]


def journey(
    frames: FrameSource,
    labels: Mapping[int, MaskArray],
    flow: FlowSource,
    fold_of: Mapping[int, int],
    visited: Collection[int],
    sizes: Canvas,
    present: tuple[int, ...],
    beat: Beat,
) -> Journey:
    """fold_of: the judged labeled frames and their folds;  visited: unlabeled frames to carry labels to."""
    table = index_of_class(present)
    shape = (sizes.height, sizes.width)
    image_of = remembering(frames.__getitem__, 3 * sizes.height * sizes.width)
    label_of = remembering(labels.__getitem__, sizes.height * sizes.width)
    stops = [*fold_of, *visited]
    first, last = min(stops), max(stops)
    folds = np.full(len(frames) + 1, NO_FOLD, np.uint8)
    folds[list(fold_of)] = list(fold_of.values())
    arrived: dict[int, list[NDArray[np.uint8]]] = {index: [] for index in fold_of}
    seen: dict[int, list[tuple[Arrival, NDArray[np.uint8]]]] = {index: [] for index in visited}
    orders = range(min(labels), last + 1), range(max(labels), first - 1, -1)
    for number, order in enumerate(orders):
        for done, (index, arriving, track) in enumerate(travel(order, labels, flow, shape)):
            if index in arrived:
                arrived[index].append(read(arriving, index, image_of(index), label_of, image_of))
            elif index in seen:
                nearest = unpack(read(track, index, image_of(index), label_of, image_of))[0]
                seen[index].append((nearest, folds[source_frames(track)]))
            beat((number + (done + 1) / len(order)) / len(orders))
    return Journey(arrived, {index: _carried(sides, table) for index, sides in seen.items() if sides})


def _carried(sides: Sequence[tuple[Arrival, NDArray[np.uint8]]], table: NDArray[np.uint8]) -> Carried:
    """Labels of which both sides are rather sure and the same, or one side, all alone, is very sure."""
    one, fold_one = sides[0]
    other, fold_other = sides[-1]
    same = (one.classes == other.classes) & (
        np.minimum(one.log_reliability, other.log_reliability) > _RELIABLE_FROM_BOTH
    )
    target = np.where(same, one.classes, np.uint8(UNKNOWN))
    if len(sides) > 1:
        for this, that in ((one, other), (other, one)):
            alone = (that.classes == UNKNOWN) & (this.log_reliability > _RELIABLE_FROM_ONE)
            target = np.where(alone, this.classes, target)
    return Carried(table[target], np.stack([fold_one, fold_other]))


def pixel_bank(
    frames: FrameSource,
    labels: Mapping[int, MaskArray],
    fold_of: Mapping[int, int],
    carried: Mapping[int, Carried],
    backbone: Features,
    sizes: Canvas,
    present: tuple[int, ...],
    rng: np.random.Generator,
    device: torch.device,
    beat: Beat,
) -> PixelBank:
    """Pixels of the labeled frames in `fold_of`, seen twice each, and of the frames that labels are carried to.

    A frame of which only parts are labeled gives pixels in proportion, so that the parts do not outweigh the whole.
    """
    table = index_of_class(present)
    most_of = _pixels_wanted({index: int((labels[index] != UNKNOWN).sum()) for index in fold_of})
    wanted = _VIEWS * sum(most_of.values()) + len(carried) * _PIXELS_PER_CARRIED_FRAME
    share = min(1.0, _PIXELS_IN_ALL / wanted)
    parts: list[tuple[Tensor, NDArray[np.uint8], NDArray[np.uint8]]] = []
    total = _VIEWS * len(fold_of) + len(carried)

    def learn(image: NDArray[np.uint8], target: NDArray[np.uint8], folds: NDArray[np.uint8], most: int) -> None:
        rows, cols = _draw_pixels(target, max(1, int(most * share)), rng)
        if len(rows):
            levels = backbone(sizes.to_input(np.ascontiguousarray(image), device))
            at = (torch.from_numpy(rows).to(device), torch.from_numpy(cols).to(device))
            columns = columns_at(levels, *at, sizes.height, sizes.width).half()
            parts.append((columns, target[rows, cols], folds[:, rows, cols].T))
        beat(min(1.0, (len(parts) + 1) / total))

    for index, fold in fold_of.items():
        image, target = frames[index], table[labels[index]]
        folds = np.full((2, *target.shape), fold, np.uint8)
        for view in range(_VIEWS):
            if view:
                image, target = other_colours(image, rng)[:, ::-1], target[:, ::-1]
            learn(image, target, folds, most_of[index])
    for index, guess in carried.items():
        learn(frames[index], guess.target, guess.folds, _PIXELS_PER_CARRIED_FRAME)
    return PixelBank(
        torch.cat([columns for columns, _, _ in parts]),
        torch.from_numpy(np.concatenate([classes for _, classes, _ in parts]).astype(np.int64)).to(device),
        torch.from_numpy(np.concatenate([folds for _, _, folds in parts])).to(device),
    )


def flow_pairs(
    frames: FrameSource,
    flow: FlowSource,
    backbone: Features,
    sizes: Canvas,
    rng: np.random.Generator,
    device: torch.device,
    beat: Beat,
) -> tuple[Tensor, Tensor] | None:
    """Columns of pixels at t and of where the flow takes them at t+1, (N, D) float16 each; None without any.

    Only pixels at which forward and backward flow agree.
    """
    here: list[Tensor] = []
    there: list[Tensor] = []
    starts = evenly(range(len(frames) - 1), _FLOW_PAIRS)
    for number, index in enumerate(starts):
        forward = flow(index, index + 1)
        places = np.flatnonzero(log_agreement(forward, flow(index + 1, index)) > _AGREES)
        if not len(places):
            continue
        drawn = places[rng.integers(0, len(places), _PIXELS_PER_PAIR)]
        rows, cols = np.divmod(drawn, sizes.width)
        moved = forward[rows, cols]
        ends = ((rows, cols, index, here), (rows + moved[:, 1], cols + moved[:, 0], index + 1, there))
        for y, x, frame, kept in ends:
            levels = backbone(sizes.to_input(frames[frame], device))
            down, across = (torch.from_numpy(a.astype(np.float32)).to(device) for a in (y, x))
            kept.append(columns_at(levels, down, across, sizes.height, sizes.width).half())
        beat((number + 1) / len(starts))
    return (torch.cat(here), torch.cat(there)) if here else None


def _pixels_wanted(known: Mapping[int, int]) -> dict[int, int]:
    """Pixels to learn per view of each frame.  known: labeled pixels per frame, above 0"""
    most = max(known.values(), default=0)
    return {
        index: _PIXELS_PER_VIEW if 2 * count >= most else _PIXELS_PER_VIEW * count // most
        for index, count in known.items()
    }


def evenly(items: Sequence[int], most: int) -> list[int]:
    """All of `items`, or `most` of them, evenly spaced and the ends included."""
    if len(items) <= most:
        return list(items)
    if most == 1:
        return [items[len(items) // 2]]
    return [items[round(i)] for i in np.linspace(0, len(items) - 1, most)]


def _draw_pixels(
    target: NDArray[np.uint8], most: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(row, column) of labeled pixels; a class is drawn by the root of its share, so thin ones more densely."""
    flat = target.reshape(-1)
    known = np.flatnonzero(flat != UNKNOWN)
    if len(known) > most:
        counts = np.bincount(flat[known], minlength=256)
        odds = 1 / np.sqrt(counts[flat[known]])
        # the largest keys u^(1/w) are a weighted sample without replacement (Efraimidis & Spirakis 2006)
        keys = np.log(rng.random(len(known)) + 1e-300) / odds
        known = known[np.argpartition(-keys, most - 1)[:most]]
    return np.divmod(known, target.shape[1])


def other_colours(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Contrast by up to 20 % up or down, brightness by up to 20 grey levels, and each channel by up to 8 %."""
    changed = image * (rng.uniform(0.8, 1.2) * rng.uniform(0.92, 1.08, 3)) + rng.uniform(-20, 20)
    return np.asarray(changed.clip(0, 255), np.uint8)
