"""Fitting at test time: learn a video's few labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from propagation.canvas import Canvas, canvas, image_tensor
from propagation.decoder import PixelDecoder, columns_at
from propagation.devices import torch_device
from propagation.flow import log_agreement
from propagation.fusion import FusionHead, arrived_tensor, fuse
from propagation.losses import balancing_weights, flow_loss, label_loss, overlap_loss
from propagation.model import Model, checksum, from_bytes, index_of_class, to_bytes
from propagation.segmenters import Features, features
from propagation.sources import FlowSource, FrameSource
from propagation.warp import pack, read, remembering, travel
from workspace.config import PropagationConfig, SegmenterConfig
from workspace.errors import UserError
from workspace.mask import UNKNOWN, MaskArray

Beat = Callable[[float], None]

_VIEWS = 2  # of each labeled frame: as it is, and mirrored with other colours
_PIXELS_PER_VIEW = 8000
_PIXELS_IN_ALL = 240_000  # bounds the memory: 0.3 GB of MobileNetV2 columns
_FRAMES_IN_ALL = 60  # labeled frames learned from per fit, evenly spaced if there are more
_FLOW_PAIRS = 24
_PIXELS_PER_PAIR = 1500
_AGREES = -0.5  # log agreement above which the flow loss believes a vector
_PIXELS_PER_STEP = 4096
_FOLDS = 3
_CLASS_BALANCE = 0.5
_FUSION_BALANCE = 0.25
_CROP = (288, 384)


def fit(
    frames: FrameSource,
    labels: Mapping[int, MaskArray],
    flow: FlowSource,
    classes: int,
    segmenter: SegmenterConfig,
    settings: PropagationConfig,
    previous: bytes | None,
    beat: Beat,
) -> bytes:
    """Learn the labels of one video; the model's bytes, for `propagate`.

    frames, flow: see sources.py;  labels: frame index to (H, W) uint8 class ids below `classes`, 255 unknown; frames may
    be labeled in part;  previous: the last round's model (its decoder is where this one starts, if it fits);
    beat: called with the fraction done at least every second or so; what it raises ends the fit
    Raises UserError if no pixel is labeled. The same input gives the same bytes on the same kind of device.

    1. The decoder learns L_labels + flow_loss_weight * L_flow on pixels of the labeled frames and of frame pairs.
    2. The fusion head learns L_labels (and the overlap of each class) on labeled frames as they look to someone who does not know their labels: labels
       warped from the *other* labeled frames only, and opinions of decoders that never saw them (cross-fitting).
       Otherwise it would learn to trust a decoder that knows these frames by heart.
    """
    device = torch_device(settings.device)
    backbone = features(segmenter, device, settings.seed)
    height, width = frames[0].shape[:2]
    sizes = canvas(height, width, segmenter.input_side)
    counts = _pixels_per_class(labels, classes)
    if not counts.any():
        raise UserError("No pixel is labeled yet.", "Answer at least one sample, then run again.")
    present = tuple(int(c) for c in np.flatnonzero(counts))
    known = {index: int((labels[index] != UNKNOWN).sum()) for index in sorted(labels)}
    learned = frames_to_learn(known, _FRAMES_IN_ALL)
    judged = frames_to_judge(known, learned)
    folds = min(_FOLDS, len(judged)) if len(judged) > 1 else 0
    rest = [index for index in learned if index not in judged]
    fold_of = {index: k % max(1, folds) for group in (judged, rest) for k, index in enumerate(group)}

    rng = np.random.default_rng(settings.seed)
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True), torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        bank = _pixel_bank(frames, labels, fold_of, backbone, sizes, present, rng, device, _part(beat, 0.0, 0.15))
        pairs = _flow_pairs(frames, flow, backbone, sizes, rng, device, _part(beat, 0.15, 0.2))
        start = _previous_decoder(previous, backbone, present, device)
        share = 0.5 / (folds + 1)
        decoders = [
            _fit_decoder(bank, pairs, fold, len(present), backbone, settings, start, _part(beat, 0.2 + k * share, 0.2 + (k + 1) * share))
            for k, fold in enumerate([None, *range(folds)])
        ]
        fusion = None
        if folds:
            judges = {index: decoders[1 + fold_of[index]] for index in judged}
            examples = _examples(frames, labels, flow, judges, backbone, sizes, present, device, _part(beat, 0.7, 0.8))
            fusion = _fit_fusion(examples, counts[list(present)], settings, rng, device, _part(beat, 0.8, 1.0))
    beat(1.0)
    return to_bytes(Model(segmenter, checksum(backbone), present, decoders[0], fusion))


@dataclass(frozen=True, slots=True, eq=False)
class _Bank:
    """columns: (N, D) float16;  classes: (N,) int64, channels;  fold: (N,) int64, which decoder must not see them"""

    columns: Tensor
    classes: Tensor
    fold: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class _Example:
    """One labeled frame without its labels: image (*work, 3), target (*work) channels, sides packed (2, 4, *work), opinion (K, *grid)."""

    image: NDArray[np.uint8]
    target: NDArray[np.uint8]
    sides: tuple[NDArray[np.uint8], NDArray[np.uint8]]
    opinion: NDArray[np.float16]


def _pixels_per_class(labels: Mapping[int, MaskArray], classes: int) -> NDArray[np.int64]:
    counts = np.zeros(256, np.int64)
    for index in sorted(labels):
        counts += np.bincount(labels[index].reshape(-1), minlength=256)
    return counts[:classes]


def frames_to_learn(known: Mapping[int, int], most: int) -> list[int]:
    """The frames to learn from, in order: whole ones first, then those of which people labeled parts.

    known: labeled pixels per frame;  most: if there are more frames, evenly spaced ones
    """
    labeled = [index for index in sorted(known) if known[index] > 0]
    half = max((known[index] for index in labeled), default=0) / 2
    whole = _evenly([index for index in labeled if known[index] >= half], most)
    parts = _evenly([index for index in labeled if known[index] < half], most - len(whole))
    return sorted(whole + parts)


def frames_to_judge(known: Mapping[int, int], learned: Sequence[int]) -> list[int]:
    """Of these, the frames on which the fusion head learns how far to trust labels that arrive: whole ones, if it can.

    People are asked about parts of frames where the model was unsure. A head that learned there would take the labels
    that arrive for worse than they are everywhere else.
    """
    half = max((known[index] for index in learned), default=0) / 2
    whole = [index for index in learned if known[index] >= half]
    return whole if len(whole) > 1 else list(learned)


def _evenly(items: Sequence[int], most: int) -> list[int]:
    if len(items) <= most:
        return list(items)
    if most == 1:
        return [items[len(items) // 2]]
    return [items[round(i)] for i in np.linspace(0, len(items) - 1, most)]


def _part(beat: Beat, begin: float, end: float) -> Beat:
    return lambda fraction: beat(begin + (end - begin) * fraction)


def _pixel_bank(
    frames: FrameSource,
    labels: Mapping[int, MaskArray],
    fold_of: Mapping[int, int],
    backbone: Features,
    sizes: Canvas,
    present: tuple[int, ...],
    rng: np.random.Generator,
    device: torch.device,
    beat: Beat,
) -> _Bank:
    table = index_of_class(present)
    # a labeled pixel counts the same wherever it is: parts of frames must not outweigh the whole ones
    known = {index: int((labels[index] != UNKNOWN).sum()) for index in sorted(fold_of)}
    per_pixel = min(
        _PIXELS_PER_VIEW / max(known.values()), _PIXELS_IN_ALL / (_VIEWS * sum(known.values()))
    )
    columns, classes, folds = [], [], []
    for number, index in enumerate(sorted(fold_of)):
        image, target = frames[index], table[labels[index]]
        for view in range(_VIEWS):
            if view:
                image, target = _other_colours(image, rng)[:, ::-1], target[:, ::-1]
            rows, cols = _draw_pixels(target, max(1, int(known[index] * per_pixel)), rng)
            levels = backbone(sizes.to_input(np.ascontiguousarray(image), device))
            at = (torch.from_numpy(rows).to(device), torch.from_numpy(cols).to(device))
            columns.append(columns_at(levels, *at, sizes.height, sizes.width).half())
            classes.append(torch.from_numpy(target[rows, cols].astype(np.int64)).to(device))
            folds.append(torch.full((len(rows),), fold_of[index], device=device))
            beat((number + (view + 1) / _VIEWS) / len(fold_of))
    return _Bank(torch.cat(columns), torch.cat(classes), torch.cat(folds))


def _draw_pixels(
    target: NDArray[np.uint8], most: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(row, column) of labeled pixels; thin classes are drawn more densely, by the root of their share."""
    flat = target.reshape(-1)
    known = np.flatnonzero(flat != UNKNOWN)
    counts = np.bincount(flat[known], minlength=256)
    odds = 1 / np.sqrt(counts[flat[known]])
    # the largest keys u^(1/w) are a weighted sample without replacement (Efraimidis & Spirakis 2006)
    keys = np.log(rng.random(len(known)) + 1e-300) / odds
    drawn = known[np.argpartition(-keys, min(most, len(known)) - 1)[:most]]
    return np.divmod(drawn, target.shape[1])


def _other_colours(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Brightness by up to 8 %, contrast by up to 20 %, and each channel by up to 8 % up or down."""
    changed = image * (rng.uniform(0.8, 1.2) * rng.uniform(0.92, 1.08, 3)) + rng.uniform(-20, 20)
    return np.asarray(changed.clip(0, 255), np.uint8)


def _flow_pairs(
    frames: FrameSource,
    flow: FlowSource,
    backbone: Features,
    sizes: Canvas,
    rng: np.random.Generator,
    device: torch.device,
    beat: Beat,
) -> tuple[Tensor, Tensor] | None:
    """Columns of pixels at t and of where the flow takes them at t+1, (N, D) float16 each; None without any."""
    here, there = [], []
    starts = _evenly(range(len(frames) - 1), _FLOW_PAIRS)
    for number, index in enumerate(starts):
        forward = flow(index, index + 1)
        agrees = log_agreement(forward, flow(index + 1, index)) > _AGREES
        places = np.flatnonzero(agrees)
        if not len(places):
            continue
        drawn = places[rng.integers(0, len(places), _PIXELS_PER_PAIR)]
        rows, cols = np.divmod(drawn, sizes.width)
        moved = forward[rows, cols]
        ends = ((rows, cols, index, here), (rows + moved[:, 1], cols + moved[:, 0], index + 1, there))
        for y, x, frame, kept in ends:
            levels = backbone(sizes.to_input(frames[frame], device))
            at = (torch.from_numpy(a.astype(np.float32)).to(device) for a in (y, x))
            kept.append(columns_at(levels, *at, sizes.height, sizes.width).half())
        beat((number + 1) / len(starts))
    return (torch.cat(here), torch.cat(there)) if here else None


def _previous_decoder(
    previous: bytes | None, backbone: Features, present: tuple[int, ...], device: torch.device
) -> PixelDecoder | None:
    """Last round's decoder, if it was fitted on this backbone and these classes."""
    if previous is None:
        return None
    try:
        model = from_bytes(previous, backbone, device)
    except UserError:
        return None
    return model.decoder if model.classes == present else None


def _fit_decoder(
    bank: _Bank,
    pairs: tuple[Tensor, Tensor] | None,
    without: int | None,
    classes: int,
    backbone: Features,
    settings: PropagationConfig,
    start: PixelDecoder | None,
    beat: Beat,
) -> PixelDecoder:
    """without: the fold whose pixels it must not see; such a decoder never starts from `start`, which saw them all."""
    device = bank.columns.device
    rows = torch.arange(len(bank.classes), device=device) if without is None else torch.nonzero(bank.fold != without)[:, 0]
    decoder = PixelDecoder(backbone.channels, classes)
    decoder.to(device)
    decoder.standardize_to(bank.columns[rows[:: max(1, len(rows) // 20_000)]].float())
    counts = torch.bincount(bank.classes[rows], minlength=classes)
    weights = balancing_weights(counts, 0.0)
    random = torch.Generator().manual_seed(settings.seed + 1)
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=settings.learning_rate, weight_decay=1e-2)
    steps = settings.decoder_steps
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=steps + 1)
    for step in range(steps):
        drawn = rows[torch.randint(len(rows), (_PIXELS_PER_STEP,), generator=random).to(device)]
        loss = label_loss(decoder(bank.columns[drawn].float()), bank.classes[drawn], weights)
        if pairs is not None and settings.flow_loss_weight > 0:
            drawn = torch.randint(len(pairs[0]), (_PIXELS_PER_STEP // 4,), generator=random).to(device)
            here, there = (decoder(side[drawn].float()) for side in pairs)
            loss = loss + settings.flow_loss_weight * flow_loss(here, there, torch.ones_like(drawn, dtype=torch.bool))
        _descend(loss, optimizer, schedule)
        beat((step + 1) / steps)
    return decoder.eval()


def _examples(
    frames: FrameSource,
    labels: Mapping[int, MaskArray],
    flow: FlowSource,
    judges: Mapping[int, PixelDecoder],
    backbone: Features,
    sizes: Canvas,
    present: tuple[int, ...],
    device: torch.device,
    beat: Beat,
) -> list[_Example]:
    """Each labeled frame as it looks without its labels; judges: per labeled frame, a decoder that never saw it."""
    table = index_of_class(present)
    shape = (sizes.height, sizes.width)
    image_of = remembering(frames.__getitem__, 3 * sizes.height * sizes.width)
    label_of = remembering(labels.__getitem__, sizes.height * sizes.width)
    first, last = min(labels), max(labels)
    arrived: dict[int, list[NDArray[np.uint8]]] = {index: [] for index in judges}
    for number, order in enumerate((range(first, last + 1), range(last, first - 1, -1))):
        for done, (index, arriving, _) in enumerate(travel(order, labels, flow, shape)):
            if index in judges:
                side = pack(read(arriving, index, image_of(index), label_of, image_of))
                side[:, 0] = table[side[:, 0]]
                arrived[index].append(sizes.planes_to_work(side))
            beat(0.45 * (number + (done + 1) / len(order)))
    examples = []
    for number, (index, judge) in enumerate(judges.items()):
        with torch.inference_mode():
            levels = backbone(sizes.to_input(frames[index], device))
            opinion = torch.log_softmax(judge.dense(levels, sizes.grid), dim=1)[0].half().cpu().numpy()
        target = sizes.to_work(table[labels[index]], nearest=True)
        earlier, later = arrived[index]
        examples.append(_Example(sizes.to_work(frames[index], nearest=False), target, (earlier, later), opinion))
        beat(0.9 + 0.1 * (number + 1) / len(judges))
    return examples


def _fit_fusion(
    examples: Sequence[_Example],
    counts: NDArray[np.int64],
    settings: PropagationConfig,
    rng: np.random.Generator,
    device: torch.device,
    beat: Beat,
) -> FusionHead:
    head = FusionHead(len(counts))
    head.to(device)
    weights = balancing_weights(torch.from_numpy(counts), _FUSION_BALANCE).to(device)
    optimizer = torch.optim.AdamW(head.parameters(), lr=2 * settings.learning_rate, weight_decay=1e-3)
    steps = settings.fusion_steps
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2 * settings.learning_rate, total_steps=steps + 1)
    queue: list[int] = []
    for step in range(steps):
        queue = queue or [int(i) for i in rng.permutation(len(examples))]
        image, target, sides, opinion = _crop(examples[queue.pop()], rng)
        warped = fuse(arrived_tensor(sides, _SAME).to(device), len(counts))
        said = torch.from_numpy(opinion)[None].to(device).float()
        added = head(image_tensor(image, device), warped, said)
        known = torch.from_numpy(target.astype(np.int64))[None].to(device)
        logits = warped.log_probability + added
        _descend(label_loss(logits, known, weights) + overlap_loss(logits, known), optimizer, schedule)
        beat((step + 1) / steps)
    return head.eval()


_SAME = np.arange(256, dtype=np.uint8)


def _crop(
    example: _Example, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], list[NDArray[np.uint8]], NDArray[np.float16]]:
    """A random piece of at most 288x384 pixels, mirrored or not, with the two sides in random order."""
    height, width = example.target.shape
    h, w = min(_CROP[0], height), min(_CROP[1], width)
    y, x = 2 * rng.integers(0, (height - h) // 2 + 1), 2 * rng.integers(0, (width - w) // 2 + 1)
    here = np.s_[y : y + h, x : x + w]
    cell = np.s_[:, y // 2 : (y + h) // 2, x // 2 : (x + w) // 2]
    image, target, opinion = example.image[here], example.target[here], example.opinion[cell]
    sides = [side[(..., *here)] for side in example.sides]
    if rng.random() < 0.5:
        sides.reverse()
    if rng.random() < 0.5:
        image, target, opinion = image[:, ::-1], target[:, ::-1], opinion[..., ::-1]
        sides = [side[..., ::-1] for side in sides]
    whole = np.ascontiguousarray
    return whole(image), whole(target), [whole(side) for side in sides], whole(opinion)


def _descend(
    loss: Tensor, optimizer: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LRScheduler
) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], 1.0)
    optimizer.step()
    schedule.step()
