"""How wrong the prediction is expected to be, and how far along the flow one label would mend it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from selection.uncertainty import Probabilities

Cells = NDArray[np.float32]  # (h, w), one value per cell of s x s pixels of a frame
REACH_PER_FRAME = 0.9  # of what a label mends in one frame, it mends so much in the next one where flow is reliable


def expected_error(probability: Probabilities, doubt: NDArray[np.floating], weight: NDArray[np.float32]) -> Cells:
    """Expected share of wrong pixels, with rare classes counting more.

    probability: (K, h, w), averages over cells;  doubt: (h, w), averages of 1 - highest probability, the chance that a
    pixel is wrong;  weight: (K,), from `uncertainty.class_weights`;  returns: (h, w) float32
        e = doubt * sum_k p_k w_k
    A cell where the model hesitates between a wide and a thin class counts with both, because either may be the error.
    """
    mean_weight = np.tensordot(weight, probability.astype(np.float32), axes=1)
    return np.asarray(doubt.astype(np.float32) * mean_weight, np.float32)


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
