"""Two label sets side by side: counts, sizes, matches, classes, contours."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from quality.contour import ContourDistance, instance_distance
from quality.matching import KINDS, MULTIPLE, NONE, Match, iou_matrix, match
from workspace.instance import Instance

SIZES = ("small", "medium", "large")
_SMALL, _MEDIUM = 32**2, 96**2  # pixels; Lin et al. 2014 (COCO)
VERY_SMALL = 10**2


@dataclass(frozen=True, slots=True)
class Thresholds:
    """confident_iou, least_iou: see `quality.matching.match`;  ignore_below_px: instances of fewer pixels are left out
    crowd_above: an image with more instances of one class than this is a crowd of that class, and not matched"""

    confident_iou: float = 0.95
    least_iou: float = 0.1
    ignore_below_px: int = 10
    crowd_above: int = 75


@dataclass(slots=True)
class Counts:
    """Of one label set. by_class: instances per class;  by_size: of `SIZES`, by area 32^2 and 96^2."""

    images: int = 0
    instances: int = 0
    crowds: int = 0
    ignored: int = 0
    vertices: int = 0
    very_small: int = 0
    by_size: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SIZES, 0))
    by_class: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Difference:
    """One instance of the first set and its best partner: None without one, and then infinitely far."""

    image: str
    first: Instance
    second: Instance | None
    kind: str
    iou: float
    distance: ContourDistance


@dataclass(frozen=True, slots=True)
class ExponentialFit:
    """Density exp(-x / mean) / mean. ks: largest difference between its distribution and the data's, 0 is best."""

    mean: float
    count: int
    ks: float


@dataclass(slots=True)
class Comparison:
    """What `compare` finds. `unmatched`: instances of the second set that nothing in the first overlaps.

    matches: per kind how many instances of the first set;  confusion: (K, K) classes of matched instances, first in
    rows
    crowded: (image, class) pairs that were left out because either set has a crowd there
    """

    counts: tuple[Counts, Counts]
    matches: dict[str, int]
    unmatched: list[tuple[str, Instance]]
    confusion: NDArray[np.int64]
    differences: list[Difference]
    crowded: int

    def distances(self, size: str | None = None) -> NDArray[np.float64]:
        """(N,) mean contour distances in pixels of matched instances of one class; multiple matches do not count."""
        return np.array(
            [
                d.distance.mean_px
                for d in self.differences
                if d.second is not None
                and d.kind != MULTIPLE
                and d.first.class_id == d.second.class_id
                and (size is None or size_of(d.first.area) == size)
            ]
        )

    def largest(self, count: int) -> list[Difference]:
        """The matched instances whose contours lie farthest apart, the worst first, then those without a partner."""
        matched = [d for d in self.differences if d.second is not None]
        matched.sort(key=lambda d: (-d.distance.mean_px, d.image, d.first.y, d.first.x))
        alone = [d for d in self.differences if d.second is None]
        alone.sort(key=lambda d: (-d.first.area, d.image, d.first.y, d.first.x))
        return (matched + alone)[:count]


def size_of(area: int) -> str:
    """`small` below 32^2 pixels, `medium` below 96^2, else `large`."""
    return SIZES[0] if area < _SMALL else SIZES[1] if area < _MEDIUM else SIZES[2]


def compare(
    images: Iterable[tuple[str, Sequence[Instance], Sequence[Instance]]], classes: int, thresholds: Thresholds
) -> Comparison:
    """Compare two label sets image by image.

    images: the name of each image with its instances in the first and in the second set, class ids below `classes`
    Instances marked as crowds are counted and not matched.
    """
    found = Comparison((Counts(), Counts()), dict.fromkeys(KINDS, 0), [], np.zeros((classes, classes), np.int64), [], 0)
    for image, first, second in images:
        first, second = (
            count(instances, total, thresholds) for instances, total in zip((first, second), found.counts, strict=True)
        )
        crowded = crowded_classes(first, second, thresholds.crowd_above)
        found.crowded += len(crowded)
        first, second = ([one for one in some if one.class_id not in crowded] for some in (first, second))
        overlap = iou_matrix(first, second)
        for m in match(overlap, thresholds.confident_iou, thresholds.least_iou):
            found.matches[m.kind] += 1
            found.differences.append(_difference(image, m, first, second))
            if m.second is not None and m.kind != MULTIPLE:
                found.confusion[first[m.first].class_id, second[m.second].class_id] += 1
        lonely = overlap.max(axis=0, initial=0) < max(thresholds.least_iou, 1e-12)
        found.unmatched += [(image, second[j]) for j in np.flatnonzero(lonely)]
    return found


def count(instances: Sequence[Instance], total: Counts, thresholds: Thresholds) -> list[Instance]:
    """Add an image to `total`; the instances that are neither crowds nor too small to matter."""
    total.images += 1
    kept = []
    for one in instances:
        area = one.area
        if one.crowd:
            total.crowds += 1
        elif area < thresholds.ignore_below_px:
            total.ignored += 1
        else:
            kept.append(one)
            total.instances += 1
            total.vertices += one.vertices
            total.very_small += area <= VERY_SMALL
            total.by_size[size_of(area)] += 1
            total.by_class[one.class_id] = total.by_class.get(one.class_id, 0) + 1
    return kept


def crowded_classes(first: Sequence[Instance], second: Sequence[Instance], most: int) -> set[int]:
    """The classes of which one of the sets holds more than `most` instances in this image."""
    counts = [np.bincount([one.class_id for one in some], minlength=1) for some in (first, second) if some]
    return {int(k) for per_class in counts for k in np.flatnonzero(per_class > most)}


def fit_exponential(values: NDArray[np.float64]) -> ExponentialFit:
    """The exponential distribution of most likelihood: its mean is that of the data.

    values: (N,) >= 0, infinite ones left out;  NaN for none
    """
    finite = np.sort(values[np.isfinite(values)])
    if not finite.size:
        return ExponentialFit(math.nan, 0, math.nan)
    mean = float(finite.mean())
    model = 1 - np.exp(-finite / mean) if mean > 0 else np.ones(finite.size)
    # the data's distribution jumps at each value: compared from below and from above, at the last of equal values
    above = np.searchsorted(finite, finite, side="right") / finite.size
    below = np.searchsorted(finite, finite, side="left") / finite.size
    return ExponentialFit(mean, int(finite.size), float(np.maximum(above - model, model - below).max()))


def _difference(image: str, m: Match, first: Sequence[Instance], second: Sequence[Instance]) -> Difference:
    one = first[m.first]
    if m.kind == NONE or m.second is None:
        away = ContourDistance(math.inf, math.inf, math.inf, math.inf)
        return Difference(image, one, None, m.kind, 0.0, away)
    other = second[m.second]
    return Difference(image, one, other, m.kind, m.iou, instance_distance(one, other))
