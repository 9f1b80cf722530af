"""Fitting at test time: learn a video's few labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from propagation.canvas import Canvas, canvas
from propagation.decoder import PixelDecoder
from propagation.descent import descend, one_cycle
from propagation.devices import torch_device
from propagation.estimate import ErrorSums, combined
from propagation.fusion import fuse
from propagation.lessons import NO_FOLD, Journey, PixelBank, evenly, flow_pairs, journey, pixel_bank
from propagation.losses import flow_loss, label_loss
from propagation.model import Model, checksum, from_bytes, index_of_class, to_bytes
from propagation.segmenters import Features, features
from propagation.sources import FlowSource, FrameSource
from propagation.tuning import tune
from workspace.config import PropagationConfig, SegmenterConfig
from workspace.errors import UserError
from workspace.mask import UNKNOWN, MaskArray

Beat = Callable[[float], None]

_LABELED_FRAMES = 60  # learned from per fit, evenly spaced if there are more
_CARRIED_FRAMES = 24
_PIXELS_PER_STEP = 4096
_FOLDS = 3


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
    may be labeled in part;  previous: the last round's model, where this one starts if it is of the same segmenter
    beat: called with the fraction done at least every second or so; what it raises ends the fit
    Raises UserError if no pixel is labeled. The same input gives the same bytes on the same kind of device.

    1. The decoder learns L_labels + flow_loss_weight * L_flow on the features as they come: labels at pixels of the
       labeled frames, and of others where flow from both sides carries the same label; agreement at pixels of frame
       pairs.
    2. If the features are pretrained, their layers and the decoder learn L_labels together (tuning.py).
    3. How far the probabilities may be believed is measured on labeled frames as they look to someone who does not
       know their labels: labels warped from the *other* labeled frames only, and opinions of decoders that never saw
       them (cross-fitting, step 1 only).
    """
    device = torch_device(settings.device)
    backbone = features(segmenter, device, settings.seed)
    own = checksum(backbone)
    height, width = frames[0].shape[:2]
    sizes = canvas(height, width, segmenter.input_side)
    counts = _pixels_per_class(labels, classes)
    if not counts.any():
        raise UserError("No pixel is labeled yet.", "Answer at least one sample, then run again.")
    present = tuple(int(c) for c in np.flatnonzero(counts))
    known = {index: int((labels[index] != UNKNOWN).sum()) for index in sorted(labels)}
    whole, parts = frames_to_learn(known, _LABELED_FRAMES)
    folds = min(_FOLDS, len(whole)) if len(whole) > 1 else 0
    fold_of = {index: number % max(1, folds) for number, index in enumerate(whole)}
    visited = evenly([i for i in range(len(frames)) if i not in fold_of], _CARRIED_FRAMES)

    rng = np.random.default_rng(settings.seed)
    with (
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True),
        _own_random(settings.seed, device),
    ):
        trip = journey(frames, labels, flow, fold_of, visited, sizes, present, _part(beat, 0.0, 0.1))
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
                _part(beat, 0.1, 0.2),
            )
            pairs = flow_pairs(frames, flow, backbone, sizes, rng, device, _part(beat, 0.2, 0.3))
        steps = max(1, settings.decoder_steps // 2)  # the judges need not be as good, but there are several
        judges = [
            _fit_decoder(bank, pairs, fold, len(present), backbone, settings, steps, _part(beat, begin, begin + 0.06))
            for fold, begin in zip(range(folds), 0.3 + 0.06 * np.arange(folds), strict=True)
        ]
        with torch.no_grad():
            ratio = _error_ratio(
                frames,
                labels,
                trip,
                fold_of,
                judges,
                backbone,
                sizes,
                present,
                settings.outline_radius,
                device,
                beat,
            )
        tunable = isinstance(backbone, nn.Module) and backbone.pretrained and settings.tuning_steps > 0
        warm = _previous(previous, backbone, device)
        decoder = None if warm is None else warm.decoder.for_classes(warm.classes, present)
        if decoder is None or not tunable:  # layers that were tuned no longer give the features of the bank
            steps, rest = settings.decoder_steps, _part(beat, 0.5, 0.65 if tunable else 1.0)
            decoder = _fit_decoder(bank, pairs, None, len(present), backbone, settings, steps, rest, decoder)
        tuned = None
        if tunable and isinstance(backbone, nn.Module):
            learned = looks(known)
            table = index_of_class(present)
            steps, rate = settings.tuning_steps, settings.tuning_rate
            tune(
                backbone, decoder, frames, labels, learned, table, sizes, steps, rate, rng, device, _part(beat, 0.65, 1)
            )
            tuned = backbone
            ratio = min(ratio, 1.0)  # the judges' features were not tuned: where they err more, that is not its fault
    beat(1.0)
    return to_bytes(Model(segmenter, own, present, decoder.eval(), ratio), tuned)


def frames_to_learn(known: Mapping[int, int], most: int) -> tuple[list[int], list[int]]:
    """The labeled frames to learn from: whole ones, and those of which people labeled parts.

    known: labeled pixels per frame; a frame with less than half of the most is labeled in part
    most: of both together; whole frames come first, and of too many the evenly spaced ones
    People are asked about parts of frames where the model was unsure. Judged there, the probabilities would look worse
    than they are everywhere else, so they are judged on whole frames only.
    """
    labeled = [index for index in sorted(known) if known[index] > 0]
    half = max((known[index] for index in labeled), default=0) / 2
    whole = evenly([index for index in labeled if known[index] >= half], most)
    return whole, evenly([index for index in labeled if known[index] < half], most - len(whole))


def looks(known: Mapping[int, int]) -> dict[int, float]:
    """How often fine-tuning looks at each labeled frame: at whole ones alike, at parts as much less as they are.

    known: labeled pixels per frame;  returns: 1 for a frame with at least half of the most, otherwise the share of that
    Looked at like whole frames, hundreds of frames with a patch each would leave little time for the few whole ones.
    Measured with 3 whole frames and 196 patches in others: mIoU 85.6 if all are looked at alike, 85.9 in proportion.
    """
    most = max(known.values(), default=0)
    return {index: 1.0 if 2 * count >= most else count / most for index, count in sorted(known.items()) if count > 0}


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


def _previous(previous: bytes | None, backbone: Features, device: torch.device) -> Model | None:
    """Last round's model, if it was fitted on this backbone, which then gets its fine-tuned layers."""
    if previous is None:
        return None
    try:
        return from_bytes(previous, backbone, device)
    except UserError:
        return None


def _fit_decoder(
    bank: PixelBank,
    pairs: tuple[Tensor, Tensor] | None,
    without: int | None,
    classes: int,
    backbone: Features,
    settings: PropagationConfig,
    steps: int,
    beat: Beat,
    start: PixelDecoder | None = None,
) -> PixelDecoder:
    """without: the fold whose labels it must not see;  start: goes on learning, instead of a new one"""
    device = bank.columns.device
    rows = torch.arange(len(bank.classes), device=device)
    if without is not None:
        rows = rows[(bank.folds != without).all(dim=1)]
    decoder = start or PixelDecoder(backbone.channels, classes)
    decoder.to(device)
    if start is None:
        decoder.standardize_to(bank.columns[rows[:: max(1, len(rows) // 20_000)]].float())
    even = torch.ones(classes, device=device)  # the pixels were drawn in balance already
    random = torch.Generator().manual_seed(settings.seed + 1)
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=settings.learning_rate, weight_decay=1e-2)
    schedule = one_cycle(optimizer, steps)
    for step in range(steps):
        drawn = rows[torch.randint(len(rows), (_PIXELS_PER_STEP,), generator=random).to(device)]
        loss = label_loss(decoder(bank.columns[drawn].float()), bank.classes[drawn], even)
        if pairs is not None and settings.flow_loss_weight > 0:
            drawn = torch.randint(len(pairs[0]), (_PIXELS_PER_STEP // 4,), generator=random).to(device)
            here, there = (decoder(side[drawn].float()) for side in pairs)
            loss = loss + settings.flow_loss_weight * flow_loss(here, there, torch.ones_like(drawn, dtype=torch.bool))
        descend(loss, optimizer, schedule)
        beat((step + 1) / steps)
    return decoder.eval()


def _error_ratio(
    frames: FrameSource,
    labels: Mapping[int, MaskArray],
    trip: Journey,
    fold_of: Mapping[int, int],
    judges: Sequence[PixelDecoder],
    backbone: Features,
    sizes: Canvas,
    present: tuple[int, ...],
    outline_radius: int,
    device: torch.device,
    beat: Beat,
) -> float:
    """Errors on labeled frames whose labels were hidden, over the errors that the probabilities let expect."""
    sums = ErrorSums()
    for number, (index, fold) in enumerate(fold_of.items()) if judges else ():
        levels = backbone(sizes.to_input(frames[index], device))
        opinion = torch.log_softmax(judges[fold].dense(levels, sizes.grid)[0], dim=0)
        warped = fuse(trip.arrived[index], present, device).log_probability
        probability = combined(warped, opinion, sizes, frames[index], outline_radius)
        sums.add(probability, index_of_class(present)[labels[index]])
        beat(0.48 + 0.02 * (number + 1) / len(fold_of))
    return sums.ratio()
