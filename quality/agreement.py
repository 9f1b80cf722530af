"""How far several annotators agree about one sample."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from workspace.mask import UNKNOWN, MaskArray


def disagreement(masks: Sequence[MaskArray]) -> float:
    """Share of pixels on which two people differ, averaged over all pairs of people; 0 for fewer than two masks.

    masks: (H, W) uint8 of one shape, 255 = said nothing. Counted are the pixels that at least one of the two labeled:
    labeling what the other left out is a difference. For a superpixel of one class, a pair differs by 0 or 1.
    """
    shares = []
    for a, b in combinations(masks, 2):
        if a.shape != b.shape:
            raise ValueError(f"masks of different shapes {a.shape} and {b.shape}")
        either = (a != UNKNOWN) | (b != UNKNOWN)
        total = int(either.sum())
        shares.append(float(((a != b) & either).sum()) / total if total else 0.0)
    return float(np.mean(shares)) if shares else 0.0
