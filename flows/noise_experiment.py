"""What wrong labels cost: learn from labels that were distorted on purpose, score on clean ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from connectors.measured_folder import MeasuredFolder
from flows.down_weighting import Trusted, trusted
from flows.measured_video import measured_video, quiet
from propagation.fit import fit
from propagation.propagate import propagate
from quality.comparison import SIZES, size_of
from quality.label_noise import NOISES
from quality.planted_errors import KINDS
from quality.scores import confusion, miou
from workspace.config import PropagationConfig, SegmenterConfig
from workspace.errors import UserError
from workspace.instance import regions
from workspace.mask import UNKNOWN, MaskArray

CLEAN = "none"
LABELED, DOWN_WEIGHTED = "", "down-weighted"
_LEAST_REGION_PX = 100
_MARGIN_PX = 12


@dataclass(frozen=True, slots=True)
class Noise:
    """name: CLEAN, one of `NOISES` (strength in pixels), or one of `KINDS` (strength: the share of wrong labels)"""

    name: str
    strength: float

    def __str__(self) -> str:
        return f"{self.name}:{self.strength:g}" if self.strength else self.name


@dataclass(frozen=True, slots=True)
class Learned:
    """What was learned from labels with one noise; shares from 0 to 1.

    variant: LABELED, or DOWN_WEIGHTED: what the labels before and after contradict weighs less
    doubtful_px: pixels that this concerns;  labels_miou: of the labels themselves
    miou: over frames that nobody labeled
    by_size: of `SIZES`, mean IoU of true regions with the prediction of their class around them; None without any
    """

    noise: Noise
    variant: str
    doubtful_px: int
    labels_miou: float
    miou: float
    by_size: Mapping[str, float | None]


def read_noise(text: str) -> Noise:
    """NAME:STRENGTH or CLEAN; UserError for anything else."""
    name, _, strength = text.partition(":")
    try:
        value = float(strength or 0)
    except ValueError:
        value = -1.0
    if name not in (*NOISES, *KINDS, CLEAN) or not 0 <= value <= 100 or (name in KINDS and value > 1):
        raise UserError(
            f"{text!r} is no noise.",
            f"Write NAME:STRENGTH, with pixels for {', '.join(NOISES)}, a share for {', '.join(KINDS)}; or {CLEAN}.",
        )
    return Noise(name, value)


def learn_from_noise(
    folder: MeasuredFolder,
    noises: Sequence[Noise],
    segmenter: SegmenterConfig,
    settings: PropagationConfig,
    labeled: int,
    judged: int,
    weight: float = 1.0,
    beat: Callable[[float], None] = quiet,
) -> Iterator[Learned]:
    """One result per noise, with a `weight` below 1 two.

    labeled: how many frames are labeled, evenly spaced;  judged: about how many others are scored
    weight: learn a second time, with regions that are contradicted almost as a whole weighing so much
    The seed of `settings` decides about chance in the noise and in learning.
    """
    classes = len(folder.classes)
    runs = len(noises) * (1 + (weight < 1))
    with measured_video(folder, settings) as measured:
        video, frames, flow = measured.video, measured.frames, measured.flow
        if not 2 <= labeled < video.frames:
            raise UserError(f"{labeled} labeled frames do not fit a video of {video.frames} frames.")
        chosen = [int((i + 0.5) * video.frames / labeled) for i in range(labeled)]
        others = [i for i in range(video.frames) if i not in chosen]
        scored = others[:: max(1, len(others) // judged)]
        clean = {index: folder.truth(index) for index in chosen}
        done = 0
        for noise in noises:
            noisy = distorted(clean, noise, classes, settings.seed)
            own = sum(confusion(clean[i], noisy[i], classes) for i in chosen)
            shape = (video.height, video.width)
            variants = {LABELED: Trusted(noisy, noisy, 0)}
            if weight < 1:
                variants[DOWN_WEIGHTED] = trusted(noisy, flow, shape, weight, settings.seed, quiet)
            for variant, labels in variants.items():
                model = fit(frames, labels.taught, flow, classes, segmenter, settings, None, quiet)
                masks = propagate(
                    frames, noisy, flow, classes, segmenter, settings, model, measured.scratch(), scored, quiet,
                    labels.carried,
                )  # fmt: skip
                overall, by_size = _scores(folder, ((one.index, one.mask) for one in masks), classes)
                done += 1
                beat(done / runs)
                yield Learned(noise, variant, labels.doubtful_px, round(miou(np.asarray(own)), 4), overall, by_size)


def distorted(labels: Mapping[int, MaskArray], noise: Noise, classes: int, seed: int) -> dict[int, MaskArray]:
    """The labels with this noise."""
    rng = np.random.default_rng(seed)
    if noise.name in NOISES:
        return {index: NOISES[noise.name](mask, noise.strength, rng) for index, mask in labels.items()}
    out = dict(labels)
    if noise.name in KINDS:
        for index in rng.permutation(sorted(labels))[: round(noise.strength * len(labels))].tolist():
            changed = KINDS[noise.name](labels[index], classes, rng)
            out[index] = labels[index] if changed is None else changed
    return out


def kept_px(learned: Iterable[Learned], size: str, points: float) -> float | None:
    """The widest contours (noise "dilation", in px) from which objects of this size are learned almost as well.

    points: how many hundredths of IoU may be lost against clean labels, straight lines between the measured widths
    returns: at most the widest that was measured; None where no object of the size was judged, or no clean labels
    """
    of_width = {
        one.noise.strength: one.by_size[size]
        for one in learned
        if one.variant == LABELED and one.noise.name in (CLEAN, "dilation")
    }
    clean = of_width.get(0.0)
    if clean is None:
        return None
    before, lost_before = 0.0, 0.0
    for width in sorted(of_width):
        iou = of_width[width]
        lost = 0.0 if iou is None else 100 * (clean - iou)
        if lost > points:
            return before + (width - before) * (points - lost_before) / (lost - lost_before)
        before, lost_before = width, max(lost, lost_before)
    return before


def _scores(
    folder: MeasuredFolder, masks: Iterable[tuple[int, MaskArray]], classes: int
) -> tuple[float, dict[str, float | None]]:
    table = np.zeros((classes, classes + 1), np.int64)
    of_size: dict[str, list[float]] = {size: [] for size in SIZES}
    for index, mask in masks:
        truth = folder.truth(index)
        table += confusion(truth, mask, classes)
        for one in regions(truth):
            if one.area < _LEAST_REGION_PX or one.area > truth.size / 2:
                continue
            y, x = max(0, one.y - _MARGIN_PX), max(0, one.x - _MARGIN_PX)
            place = np.s_[y : one.y + one.mask.shape[0] + _MARGIN_PX, x : one.x + one.mask.shape[1] + _MARGIN_PX]
            true = one.on(*truth.shape)[place]
            # other regions of the class nearby are not what is judged
            said = (mask[place] == one.class_id) & ((truth[place] != one.class_id) | true) & (truth[place] != UNKNOWN)
            of_size[size_of(one.area)].append(float((said & true).sum() / (said | true).sum()))
    sizes = {size: round(float(np.mean(values)), 4) if values else None for size, values in of_size.items()}
    return round(miou(table), 4), sizes
