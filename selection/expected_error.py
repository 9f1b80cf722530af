"""How wrong the prediction is expected to be, and how far along the flow one label would mend it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from selection.uncertainty import Probabilities

Cells = NDArray[np.float32]  # (h, w), one value per cell of s x s pixels of a frame
REACH_PER_FRAME = 0.9  # of what a label mends in one frame, it mends so much in the next one where flow is reliable


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


def mended_share(error: NDArray[np.floating], labeled: NDArray[np.int64]) -> float:
    """How much of a frame's expected error a label in the next frame would mend, by what earlier labels did.

    error: (F,) mean expected error per open pixel of each frame, NaN where nothing is open;  labeled: (M,) frames that
    people labeled whole;  returns: in [0, 1]; 1 if no frame next to a labeled one is open
        1 - (mean error next to labeled frames) / (mean error of all frames)
    At first a label mends much around it. Later what is left are outlines that people draw a little differently in each
    frame: a perfect label of the frame before has as many wrong pixels there as the prediction, and mends nothing.
    """
    left = np.isfinite(error)
    beside = np.unique(np.concatenate([labeled - 1, labeled + 1]))
    beside = np.setdiff1d(beside[(beside >= 0) & (beside < len(error))], labeled)
    beside = beside[left[beside]]
    if not len(beside) or not error[left].sum():
        return 1.0
    return float(np.clip(1 - error[beside].mean() / error[left].mean(), 0, 1))


def carried(there: Cells, flow: NDArray[np.float32], reliability: Cells, per_frame: float = REACH_PER_FRAME) -> Cells:
    """What a label here mends in a neighbouring frame and beyond: the recursion that makes one pass do for all frames.

    there: (h, w), the error in the neighbour plus what is carried on from it, 0 where people were asked (a label there
    mends what lies beyond);  flow: (h, w, 2) in cells, from here to the neighbour;  reliability: (h, w) in [0, 1]
        c_t(x) = per_frame * reliability_t(x) * (e + c)_{t+1}(x + flow_t(x));  0 where the flow leaves the frame
    """
    height, width = there.shape
    x = flow[..., 0] + np.arange(width, dtype=np.float32)[None, :]
    y = flow[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    moved = cv2.remap(there, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(np.float32(per_frame) * reliability * moved, np.float32)
