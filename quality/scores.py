"""Agreement of masks with the truth: confusion counts, intersection over union, mean IoU."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workspace.mask import UNKNOWN, MaskArray


def confusion(truth: MaskArray, prediction: MaskArray, classes: int) -> NDArray[np.int64]:
    """Pixels per true class (rows) and predicted class (columns); the last column holds what was left unpredicted.

    truth, prediction: (H, W) uint8 of one shape (any shape does), 255 = unknown. Unknown truth is left out; an unknown
    prediction is wrong.
    returns: (classes, classes + 1); add the tables of many frames to score a video
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"the truth is {truth.shape}, the prediction {prediction.shape}")
    known = truth != UNKNOWN
    row = truth[known].astype(np.int64)
    column = prediction[known].astype(np.int64)
    for ids in (row, column[column != UNKNOWN]):
        if ids.size and ids.max() >= classes:
            raise ValueError(f"class id {int(ids.max())} in masks of {classes} classes")
    column[column == UNKNOWN] = classes
    counts = np.bincount(row * (classes + 1) + column, minlength=classes * (classes + 1))
    return counts.reshape(classes, classes + 1).astype(np.int64)


def iou(table: NDArray[np.int64]) -> NDArray[np.float64]:
    """Intersection over union per class; NaN for a class that the truth does not hold.

    table: (K, K + 1) of `confusion` (or a plain (K, K));  returns: (K,) in [0, 1]
    IoU_k = TP_k / (TP_k + FP_k + FN_k)   Everingham et al. 2010 (PASCAL VOC), summed over all frames before dividing
    """
    classes = len(table)
    hit = np.diagonal(table).astype(np.float64)
    in_truth = table.sum(axis=1)
    union = in_truth + table[:, :classes].sum(axis=0) - hit
    return np.where(in_truth > 0, hit / np.maximum(union, 1), np.nan)


def miou(table: NDArray[np.int64]) -> float:
    """Mean of `iou` over the classes that the truth holds; NaN if it holds none."""
    values = iou(table)
    present = values[~np.isnan(values)]
    return float(present.mean()) if present.size else float("nan")


def accuracy(table: NDArray[np.int64]) -> float:
    """Share of the known pixels that are right; NaN if none is known."""
    total = int(table.sum())
    return float(np.diagonal(table).sum() / total) if total else float("nan")
