"""Do probabilities mean what they say? Expected calibration error over bins of confidence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BINS = 15


def calibration_counts(
    confidence: NDArray[np.floating], correct: NDArray[np.bool_], bins: int = BINS
) -> NDArray[np.float64]:
    """Per bin of equal width: number of predictions, how many are right, and the sum of their confidences.

    confidence: (N,) in [0, 1], the highest probability;  correct: (N,)
    returns: (3, bins); add the counts of many frames to score a video
    """
    if confidence.shape != correct.shape:
        raise ValueError(f"confidence is {confidence.shape}, correct {correct.shape}")
    which = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    weights = (None, correct.astype(np.float64), confidence.astype(np.float64))
    return np.stack([np.bincount(which, weights=w, minlength=bins).astype(np.float64) for w in weights])


def expected_calibration_error(counts: NDArray[np.float64]) -> float:
    """sum over bins of n_b / n * |accuracy_b - confidence_b|; NaN if there are no predictions.

    counts: (3, bins) of `calibration_counts`.  Naeini et al. 2015; Guo et al. 2017, arXiv:1706.04599.
    """
    total = counts[0].sum()
    return float(np.abs(counts[1] - counts[2]).sum() / total) if total else float("nan")
