"""Fitting at test time: learn a video's few labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from propagation.canvas import Canvas, canvas, image_tensor
from propagation.decoder import PixelDecoder
from propagation.devices import torch_device
from propagation.fusion import FusionHead, arrived_tensor, fuse
from propagation.lessons import NO_FOLD, Journey, PixelBank, evenly, flow_pairs, journey, pixel_bank
from propagation.losses import balancing_weights, flow_loss, label_loss, overlap_loss
from propagation.model import Model, checksum, from_bytes, index_of_class, to_bytes
from propagation.segmenters import Features, features
from propagation.sources import FlowSource, FrameSource
from workspace.config import PropagationConfig, SegmenterConfig
from workspace.errors import UserError
from workspace.mask import UNKNOWN, MaskArray

Beat = Callable[[float], None]

_LABELED_FRAMES = 60  # learned from per fit, evenly spaced if there are more
_CARRIED_FRAMES = 24
_PIXELS_PER_STEP = 4096
_FOLDS = 5
_LEAST_FOR_FUSION = 8  # labeled frames
_FUSION_BALANCE = 0.25
_FUSION_RATE = 2.0  # of the decoder's learning rate
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

    frames, flow: see sources.py;  labels: frame index to (H, W) uint8 class ids below `classes`, 255 unknown; frames
    may be labeled in part;  previous: the last round's model (its decoder is where this one starts, if it fits);
    beat: called with the fraction done at least every second or so; what it raises ends the fit
    Raises UserError if no pixel is labeled. The same input gives the same bytes on the same kind of device.

    1. The decoder learns L_labels + flow_loss_weight * L_flow: labels at pixels of the labeled frames, and of others
       where flow from both sides carries the same label; agreement at pixels of frame pairs.
    2. The fusion head learns L_labels (and the overlap of each class) on labeled frames as they look to someone who
       does not know their labels: labels warped from the *other* labeled frames only, and opinions of decoders that
       never saw them (cross-fitting). Otherwise it would learn to trust a decoder that knows these frames by heart.
       It is left out, and the decoder counts a fixed quarter, with fewer than 8 labeled frames, and for a backbone that
       is not pretrained: then opinions on frames that a decoder never saw are too poor to learn their worth from.
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
    whole, parts = frames_to_learn(known, _LABELED_FRAMES)
    folds = _FOLDS if len(whole) >= _LEAST_FOR_FUSION and backbone.pretrained else 0
    fold_of = {index: number % max(1, folds) for number, index in enumerate(whole)}
    visited = evenly([i for i in range(len(frames)) if i not in fold_of], _CARRIED_FRAMES)

    rng = np.random.default_rng(settings.seed)
    with (
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True),
        _own_random(settings.seed, device),
    ):
        trip = journey(frames, labels, flow, fold_of, visited, sizes, present, _part(beat, 0.0, 0.15))
        with torch.no_grad():
            bank = pixel_bank(
                frames,
                labels,
                fold_of | dict.fromkeys(parts, NO_FOLD),
                trip.carried,
                backbone,
                sizes,
                present,
                rng,
                device,
                _part(beat, 0.15, 0.25),
            )
            pairs = flow_pairs(frames, flow, backbone, sizes, rng, device, _part(beat, 0.25, 0.35))
        start = _previous_decoder(previous, backbone, present, device)
        share = 0.5 / (folds + 1)
        decoders = [
            _fit_decoder(bank, pairs, fold, len(present), backbone, settings, start, _part(beat, begin, begin + share))
            for fold, begin in zip([None, *range(folds)], 0.35 + share * np.arange(folds + 1), strict=True)
        ]
        fusion = None
        if folds:
            judges = {index: decoders[1 + fold] for index, fold in fold_of.items()}
            examples = _examples(frames, labels, trip, judges, backbone, sizes, present, device, _part(beat, 0.85, 0.9))
            fusion = _fit_fusion(examples, counts[list(present)], settings, rng, device, _part(beat, 0.9, 1.0))
    beat(1.0)
    return to_bytes(Model(segmenter, checksum(backbone), present, decoders[0], fusion))


@dataclass(frozen=True, slots=True, eq=False)
class _Example:
    """One labeled frame without its labels.

    image: (*work, 3);  target: (*work) channels;  sides: earlier and later, packed, (2, 4, *work);  opinion: (K, *grid)
    """

    image: NDArray[np.uint8]
    target: NDArray[np.uint8]
    sides: Sequence[NDArray[np.uint8]]
    opinion: NDArray[np.float16]


def frames_to_learn(known: Mapping[int, int], most: int) -> tuple[list[int], list[int]]:
    """The labeled frames to learn from: whole ones, and those of which people labeled parts.

    known: labeled pixels per frame; a frame with less than half of the most is labeled in part
    most: of both together; whole frames come first, and of too many the evenly spaced ones
    People are asked about parts of frames where the model was unsure. A fusion head that learned there would take the
    labels that arrive for worse than they are everywhere else, so it learns on whole frames only.
    """
    labeled = [index for index in sorted(known) if known[index] > 0]
    half = max((known[index] for index in labeled), default=0) / 2
    whole = evenly([index for index in labeled if known[index] >= half], most)
    return whole, evenly([index for index in labeled if known[index] < half], most - len(whole))


@contextmanager
def _own_random(seed: int, device: torch.device) -> Iterator[None]:
    """Torch's global random numbers begin at `seed` inside and go on outside as if nothing had been."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _pixels_per_class(labels: Mapping[int, MaskArray], classes: int) -> NDArray[np.int64]:
    counts = np.zeros(256, np.int64)
    for index in sorted(labels):
        counts += np.bincount(labels[index].reshape(-1), minlength=256)
    return counts[:classes]


def _part(beat: Beat, begin: float, end: float) -> Beat:
    return lambda fraction: beat(begin + (end - begin) * fraction)


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
    bank: PixelBank,
    pairs: tuple[Tensor, Tensor] | None,
    without: int | None,
    classes: int,
    backbone: Features,
    settings: PropagationConfig,
    start: PixelDecoder | None,
    beat: Beat,
) -> PixelDecoder:
    """without: the fold whose labels it must not see; such a decoder never starts from `start`, which saw them all."""
    device = bank.columns.device
    rows = torch.arange(len(bank.classes), device=device)
    if without is not None:
        rows = rows[(bank.folds != without).all(dim=1)]
    decoder = PixelDecoder(backbone.channels, classes)
    decoder.to(device)
    if without is None and start is not None:
        decoder.load_state_dict(start.state_dict())
    else:
        decoder.standardize_to(bank.columns[rows[:: max(1, len(rows) // 20_000)]].float())
    even = torch.ones(classes, device=device)  # the pixels were drawn in balance already
    random = torch.Generator().manual_seed(settings.seed + 1)
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=settings.learning_rate, weight_decay=1e-2)
    steps = settings.decoder_steps
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=steps + 1)
    for step in range(steps):
        drawn = rows[torch.randint(len(rows), (_PIXELS_PER_STEP,), generator=random).to(device)]
        loss = label_loss(decoder(bank.columns[drawn].float()), bank.classes[drawn], even)
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
    trip: Journey,
    judges: Mapping[int, PixelDecoder],
    backbone: Features,
    sizes: Canvas,
    present: tuple[int, ...],
    device: torch.device,
    beat: Beat,
) -> list[_Example]:
    """Each labeled frame as it looks without its labels; judges: per labeled frame, a decoder that never saw it."""
    table = index_of_class(present)
    examples = []
    for number, (index, judge) in enumerate(judges.items()):
        image = frames[index]
        with torch.no_grad():
            levels = backbone(sizes.to_input(image, device))
            opinion = torch.log_softmax(judge.dense(levels, sizes.grid), dim=1)[0].half().cpu().numpy()
        target = sizes.to_work(table[labels[index]], nearest=True)
        examples.append(_Example(sizes.to_work(image, nearest=False), target, trip.arrived[index], opinion))
        beat((number + 1) / len(judges))
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
    rate = _FUSION_RATE * settings.learning_rate
    optimizer = torch.optim.AdamW(head.parameters(), lr=rate, weight_decay=1e-3)
    steps = settings.fusion_steps
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps + 1)
    queue: list[int] = []
    for step in range(steps):
        queue = queue or [int(i) for i in rng.permutation(len(examples))]
        image, target, sides, opinion = _crop(examples[queue.pop()], rng)
        warped = fuse(arrived_tensor(sides, _SAME).to(device), len(counts))
        said = torch.from_numpy(opinion)[None].to(device).float()
        logits = warped.log_probability + head(image_tensor(image, device), warped, said)
        known = torch.from_numpy(target.astype(np.int64))[None].to(device)
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
    rows, cols = slice(y, y + h), slice(x, x + w)
    image, target = example.image[rows, cols], example.target[rows, cols]
    opinion = example.opinion[:, y // 2 : (y + h) // 2, x // 2 : (x + w) // 2]
    sides = [side[..., rows, cols] for side in example.sides]
    if rng.random() < 0.5:
        sides.reverse()
    if rng.random() < 0.5:
        image, target, opinion = image[:, ::-1], target[:, ::-1], opinion[..., ::-1]
        sides = [side[..., ::-1] for side in sides]
    whole = np.ascontiguousarray
    return whole(image), whole(target), [whole(side) for side in sides], whole(opinion)


def _descend(loss: Tensor, optimizer: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LRScheduler) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], 1.0)
    optimizer.step()
    schedule.step()
