"""Labels that the labels before and after contradict, for learning: they count less, and are not carried on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from propagation.held_out import witnesses
from propagation.sources import FlowSource
from quality.contradiction import contradicted
from quality.suspicion import regions_of
from workspace.config import ReviewConfig
from workspace.mask import UNKNOWN, MaskArray


@dataclass(frozen=True, slots=True, eq=False)
class Trusted:
    """The labels of one video, each with what is said against it left in, thinned or left out.

    taught: to learn from: of contradicted regions as many pixels, by chance, as they are to weigh
    carried: to carry to other frames: without contradicted regions, where an older label goes on instead
    doubtful_px: contradicted pixels in all
    """

    taught: Mapping[int, MaskArray]
    carried: Mapping[int, MaskArray]
    doubtful_px: int


def trusted(
    labels: Mapping[int, MaskArray],
    flow: FlowSource,
    shape: tuple[int, int],
    weight: float,
    seed: int,
    beat: Callable[[float], None],
) -> Trusted:
    """What `propagation.fit.fit` and `propagate` take for labels when contradicted regions weigh less.

    labels: frame index to (H, W) uint8, 255 unknown;  flow: see propagation/sources.py;  shape: H, W
    weight: of contradicted regions (`quality.contradiction.contradicted`), 1: as much as all others
    A pixel is drawn for learning as often as it is known, so that a share of the pixels is a share of the weight. The
    same labels, flow and seed give the same pixels.
    """
    if weight >= 1 or len(labels) < 2:
        return Trusted(labels, labels, 0)
    doubtful: dict[int, NDArray[np.uint8]] = {}
    total = 0
    for one in witnesses(labels, flow, shape, beat):
        label = labels[one.frame]
        against = contradicted(label, one.read(labels.__getitem__), regions_of(label))
        if against.any():
            doubtful[one.frame] = np.packbits(against)
            total += int(against.sum())
    return Trusted(_Without(labels, doubtful, weight, seed), _Without(labels, doubtful, 0.0, seed), total)


def in_the_name(review: ReviewConfig) -> list[object]:
    """What the setting adds to a model's fingerprint: nothing by default, so that older models keep their names."""
    return [] if review.contradicted_weight == 1 else ["contradicted_weight", review.contradicted_weight]


class _Without(Mapping[int, MaskArray]):
    """Labels with 255 in all but a share, `kept`, of the doubtful pixels (one bit each, in order)."""

    def __init__(
        self, labels: Mapping[int, MaskArray], doubtful: Mapping[int, NDArray[np.uint8]], kept: float, seed: int
    ) -> None:
        self._labels, self._doubtful, self._kept, self._seed = labels, doubtful, kept, seed

    def __len__(self) -> int:
        return len(self._labels)

    def __iter__(self) -> Iterator[int]:
        return iter(self._labels)

    def __getitem__(self, frame: int) -> MaskArray:
        label = self._labels[frame]
        bits = self._doubtful.get(frame)
        if bits is None:
            return label
        out = np.unpackbits(bits, count=label.size).astype(bool).reshape(label.shape)
        if self._kept > 0:
            out &= np.random.default_rng((self._seed, frame)).random(label.shape) >= self._kept
        return np.where(out, np.uint8(UNKNOWN), label)
