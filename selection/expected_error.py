"""How wrong the prediction is expected to be, and how far along the flow one label would mend it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from selection.uncertainty import Probabilities

Cells = NDArray[np.float32]  # (h, w), one value per cell of s x s pixels of a frame


@dataclass(frozen=True, slots=True)
class Reach:
    """How much of the expected error a label mends around it in time: `beside` of it in the next frame, and in each
    frame after that `per_frame` of what it mends in the one before; both 0 to 1."""

    beside: float = 0.9
    per_frame: float = 0.9

    def share(self, away: NDArray[np.int64]) -> NDArray[np.float64]:
        """What is mended so many frames away, at least 0; everything in the frame itself."""
        return np.where(away == 0, 1.0, self.beside * self.per_frame ** np.maximum(away - 1.0, 0))

    def frames(self, least: float) -> int:
        """The last frame in which a share of at least `least` (above 0) is mended."""
        if self.beside < least:
            return 0
        return 1 + int(np.log(least / self.beside) / np.log(self.per_frame)) if 0 < self.per_frame < 1 else 1


FAR = Reach()  # until earlier labels show how far it is
_LEAST_PER_FRAME = 0.1  # a reach of one frame; what lies beyond hardly counts


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


def reach(error: NDArray[np.floating], labeled: NDArray[np.int64]) -> Reach:
    """How far a label reaches, by what earlier labels did.

    error: (F,) mean expected error per open pixel of each frame, NaN where nothing is open
    labeled: (M,) frames that people labeled whole;  returns: FAR if nothing can be read off
    The error of frames d away from a label, over that of all frames, is what a label d frames away leaves. Until it
    leaves all of it, that is fitted by a geometric series of the same first term and the same sum.
    At first a label mends much around it. Later what is left are outlines that people draw a little differently in each
    frame: a perfect label of the frame before has as many wrong pixels there as the prediction, and mends nothing.
    Measured on one street: 62, 50, 46, 38, 25, 14 and 1 % of the error 1 to 7 frames away; by this 62, 49, 37, 28, 18,
    11 and 4 %.
    """
    open_frames = np.setdiff1d(np.flatnonzero(np.isfinite(error)), labeled)
    if not len(labeled) or not error[open_frames].sum():
        return FAR
    away = np.abs(open_frames[:, None] - labeled[None, :]).min(axis=1)
    if away.min() > 1:
        return FAR
    count = np.bincount(away)
    left = np.bincount(away, error[open_frames])[count > 0] / count[count > 0]
    mended = 1 - left / error[open_frames].mean()
    mended = mended[: int(np.argmax(mended <= 0))]  # the mean is reached somewhere, if only in the last
    if not len(mended):
        return Reach(0.0, _LEAST_PER_FRAME)
    return Reach(float(mended[0]), max(_LEAST_PER_FRAME, float(1 - mended[0] / mended.sum())))


def carried(there: Cells, flow: NDArray[np.float32], reliability: Cells, per_frame: float) -> Cells:
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
