"""How good a mask probably is, by how it was clicked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workspace.click_sequence import ClickSequence

_NO_TIME_S = 0.05  # between clicks; less is no person's
_SHRINK = 1.0  # of the ridge regression, on standardised features
_LEAST_SCALE = 1e-3
_FARTHEST = 4.0  # standard deviations from what was learned from; beyond, more of it says no more


def features_of(sequence: ClickSequence) -> NDArray[np.float64]:
    """(9,) what a sequence tells of the care behind it.

    How many clicks (log), share of negative ones; median and shortest log seconds between clicks (0 for one click); how
    far the clicks lie apart, in sides of the mask; how much the last and the median click after the first changed, in
    parts of the mask; whether a mask that changed much was left at that; the mask's size (log).
    """
    count = len(sequence)
    seconds = np.array([click.seconds for click in sequence])
    between = np.log(np.maximum(np.diff(seconds), _NO_TIME_S)) if count > 1 else np.zeros(1)
    area = max(sequence[-1].area, 1e-5)
    places = np.array([[click.y, click.x] for click in sequence])
    spread = np.sqrt(places.var(axis=0).sum()) / np.sqrt(area)
    changed = np.array([click.changed for click in sequence[1:]]) / area if count > 1 else np.zeros(1)
    last = float(changed[-1])
    return np.array(
        [
            np.log(count),
            float(np.mean([not click.positive for click in sequence])),
            float(np.median(between)),
            float(between.min()),
            min(float(spread), 3.0),
            min(last, 2.0),
            min(float(np.median(changed)), 2.0),
            float(count == 1 or last > 0.1),
            np.log(area),
        ]
    )


@dataclass(frozen=True, slots=True)
class CareModel:
    """A ridge regression of the final overlap on the features and their squares."""

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    base: float

    def predict(self, sequence: ClickSequence) -> float:
        """The overlap with the truth that the mask probably has, 0 to 1."""
        x = (_with_squares(features_of(sequence)) - np.array(self.mean)) / np.array(self.scale)
        x = np.clip(x, -_FARTHEST, _FARTHEST)
        return float(np.clip(self.base + x @ np.array(self.weights), 0.0, 1.0))


def learn_care(sequences: Sequence[ClickSequence], overlaps: Sequence[float]) -> CareModel:
    """From sequences of which the truth is known. ValueError for fewer than two."""
    if len(sequences) < 2 or len(sequences) != len(overlaps):
        raise ValueError(f"{len(sequences)} sequences for {len(overlaps)} overlaps")
    x = np.stack([_with_squares(features_of(sequence)) for sequence in sequences])
    y = np.asarray(overlaps, np.float64)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale < _LEAST_SCALE, 1.0, scale)  # what never varies says nothing
    z = (x - mean) / scale
    weights = np.linalg.solve(z.T @ z + _SHRINK * np.eye(z.shape[1]), z.T @ (y - y.mean()))
    rounded = [tuple(round(float(value), 5) for value in values) for values in (mean, scale, weights)]
    return CareModel(rounded[0], rounded[1], rounded[2], round(float(y.mean()), 5))


def found_by_share(order: NDArray[np.int64], wrong: NDArray[np.bool_], share: float) -> float:
    """Share of all wrong ones among the first `share` of an order; NaN without wrong ones."""
    if not wrong.any():
        return float("nan")
    return float(wrong[order[: round(share * len(order))]].sum() / wrong.sum())


def _with_squares(features: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([features, features**2])
