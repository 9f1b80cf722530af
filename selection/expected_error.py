"""How wrong the prediction is expected to be, and how far along the flow one label would mend it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from selection.uncertainty import Probabilities

Cells = NDArray[np.float32]  # (h, w), one value per cell of s x s pixels of a frame

REACH_PER_FRAME = 0.85  # of what a label mends in one frame, it mends so much in the next one where flow is reliable


def expected_error(probability: Probabilities, doubt: NDArray[np.floating], weight: NDArray[np.float32]) -> Cells:
    """What the wrong pixels are expected to take from the mean IoU, up to a constant.

    probability: (K, h, w), averages over cells;  doubt: (h, w), averages of 1 - highest probability, the chance that a
    pixel is wrong;  weight: (K,), one over the classes' sizes (`uncertainty.class_weights` of power 1)
    returns: (h, w) float32
        e = doubt * (w_m + sum_{k != m} p_k w_k / (1 - p_m)),  m the most probable class
    A wrong pixel is missing in the class that is there and too much in the one that was predicted: it costs by the size
    of both, and the class that is there is one of those not predicted.
    """
    chances = probability.astype(np.float32)
    most = chances.argmax(axis=0)
    highest = np.take_along_axis(chances, most[None], axis=0)[0]
    others = np.tensordot(weight, chances, axes=1) - highest * weight[most]
    price = weight[most] + np.maximum(others, 0) / np.maximum(1 - highest, np.float32(1e-3))
    return np.asarray(doubt.astype(np.float32) * price, np.float32)


def mendable(error: NDArray[np.floating], labeled: NDArray[np.int64]) -> NDArray[np.float32]:
    """Which share of each frame's expected error a label in the next frame would mend, by what earlier labels did.

    error: (F,) mean expected error per open pixel of each frame, NaN where nothing is open
    labeled: (M,) frames that people labeled whole
    returns: (F,) float32 in [0, 1]; all 1 if no frame next to a labeled one is open
        1 - (mean error of the frames next to labeled ones) / (error of the frame)
    At first a label mends much around it. Later what is left are outlines that people draw a little differently in each
    frame: a perfect label of the frame before has as many wrong pixels there as the prediction, and mends little.
    Measured on one street with 3 labeled frames: 62, 50, 46, 38, 25, 14 and 1 % of the error 1 to 7 frames away, on the
    way to the next labeled frame; with 9 labeled frames: 31, 27 and 20 % 1, 2 and 4 frames away.
    """
    beside = np.unique(np.concatenate([labeled - 1, labeled + 1]))
    beside = np.setdiff1d(beside[(beside >= 0) & (beside < len(error))], labeled)
    beside = beside[np.isfinite(error[beside])]
    if not len(beside):
        return np.ones(len(error), np.float32)
    left = error[beside].mean()
    return np.asarray((1 - left / np.maximum(np.nan_to_num(error), 1e-12)).clip(0, 1), np.float32)


def carried(there: Cells, flow: NDArray[np.float32], reliability: Cells, per_frame: float = REACH_PER_FRAME) -> Cells:
    """What a label here mends in a neighbouring frame and beyond: the recursion that makes one pass do for all frames.

    there: (h, w), what a label can mend in the neighbour plus what is carried on from it, 0 where people were asked (a
    label there mends what lies beyond);  flow: (h, w, 2) in cells, from here to the neighbour
    reliability: (h, w) in [0, 1]
        c_t(x) = per_frame * reliability_t(x) * (m e + c)_{t+1}(x + flow_t(x));  0 where the flow leaves the frame
    """
    height, width = there.shape
    x = flow[..., 0] + np.arange(width, dtype=np.float32)[None, :]
    y = flow[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    moved = cv2.remap(there, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(np.float32(per_frame) * reliability * moved, np.float32)
