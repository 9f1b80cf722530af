"""What the masks are worth, as far as that can be said without the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from propagation.canvas import Canvas
from propagation.outlines import along_outlines
from workspace.mask import UNKNOWN

OPINION_WEIGHT = 0.35  # of the decoder's log probability against that of the warped labels
_EVERY = 2  # of the pixels in each direction are counted: a mean does not need them all
_MOST = 2.0  # a ratio beyond this says more about the few frames it comes from than about the video


def combined(warped: Tensor, opinion: Tensor, sizes: Canvas, image: NDArray[np.uint8], outline_radius: int) -> Tensor:
    """(K, H, W) probabilities, as they would be decided from.

    warped: (K, H, W) log probabilities;  opinion: (K, *grid) log probabilities;  image: (H, W, 3) uint8
    """
    placed = F.interpolate(opinion[None], size=sizes.work, mode="bilinear", align_corners=False)
    probability = torch.softmax(warped + OPINION_WEIGHT * sizes.from_work(placed)[0], dim=0)
    return along_outlines(probability, image, outline_radius)


@dataclass(slots=True)
class ErrorSums:
    """Errors seen and errors expected, summed over frames whose labels were hidden."""

    seen: float = 0.0
    expected: float = 0.0

    def add(self, probability: Tensor, truth: NDArray[np.uint8]) -> None:
        """probability: (K, H, W);  truth: (H, W) channels, 255 unknown"""
        highest, best = probability.max(dim=0)
        target = torch.from_numpy(truth.astype(np.int64)).to(best.device)
        known = target != UNKNOWN
        self.seen += float(((best != target) & known).sum())
        self.expected += float(((1 - highest) * known).sum())

    def ratio(self) -> float:
        """Seen over expected, between 1/2 and 2; 1 if nothing was added."""
        if not self.expected:
            return 1.0
        return float(np.clip(self.seen / self.expected, 1 / _MOST, _MOST))


def expected_confusion(probability: Tensor, best: Tensor) -> NDArray[np.float64]:
    """How many pixels of each class are expected where each class is predicted.

    probability: (K, H, W);  best: (H, W) int64 channels of the mask
    returns: (K, K) float64, rows the true class by its probability, columns the predicted one; in pixels of the frame
    """
    some = probability[:, ::_EVERY, ::_EVERY].flatten(1)
    predicted = best[::_EVERY, ::_EVERY].flatten()
    sums = torch.zeros((len(probability), len(probability)), device=probability.device)
    sums.index_add_(1, predicted, some)
    return np.asarray(sums.double().cpu().numpy() * (best.numel() / max(1, predicted.numel())), np.float64)


def estimated_miou(confusion: NDArray[np.float64], error_ratio: float) -> float:
    """Mean IoU over the classes that are expected at all, in [0, 1]; nan if none is.

    confusion: (K, K) of `expected_confusion`, summed over all frames of a video
    error_ratio: `model.Model.error_ratio`; expected errors count that many times
    """
    wrong = (confusion * error_ratio).copy()
    np.fill_diagonal(wrong, 0)
    predicted = confusion.sum(axis=0)
    hit = np.maximum(predicted - wrong.sum(axis=0), 0)
    union = predicted + wrong.sum(axis=1)
    there = union > 0
    return float((hit[there] / union[there]).mean()) if there.any() else float("nan")


def expected_errors(confusion: NDArray[np.float64], error_ratio: float) -> float:
    """Share of a frame's pixels that are expected to be wrong, in [0, 1]; 0 for a frame without pixels.

    confusion: (K, K) of `expected_confusion`, of one frame;  error_ratio: as for `estimated_miou`
    """
    total = float(confusion.sum())
    wrong = (total - float(np.trace(confusion))) * error_ratio
    return min(1.0, wrong / total) if total > 0 else 0.0
