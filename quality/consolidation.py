"""One mask from the answers of several annotators."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workspace.mask import UNKNOWN, MaskArray


def majority(masks: Sequence[MaskArray]) -> MaskArray:
    """The class that most annotators gave each pixel; a tie goes to the earliest annotation among the tied classes.

    masks: (H, W) uint8 of one shape, earliest annotation first; 255 does not vote
    returns: (H, W) uint8, 255 where nobody voted;  ValueError for no masks or different shapes
    """
    if not masks:
        raise ValueError("there is no mask to consolidate")
    shapes = {mask.shape for mask in masks}
    if len(shapes) > 1:
        raise ValueError(f"masks of different shapes {sorted(shapes)}")
    winner = masks[0].copy()
    if len(masks) == 1:
        return winner
    # Votes are counted per annotation, not per class: there are few annotators and up to 255 classes.
    most = np.zeros(winner.shape, np.int32)
    for mask in masks:
        votes = np.zeros(winner.shape, np.int32)
        for other in masks:
            votes += other == mask
        better = (mask != UNKNOWN) & (votes > most)
        winner[better], most[better] = mask[better], votes[better]
    return winner
