"""A click is an order: whatever a backend thinks, the mask ends as every click demands."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from assist.clicks import Click


def obeyed(mask: NDArray[np.bool_], clicks: Sequence[Click], radius_px: int) -> NDArray[np.bool_]:
    """(H, W) bool: `mask` with a disk flipped around each click that it disobeys; later clicks win over earlier ones.

    A disk never reaches half way to a click of the other kind, so that it does not overrule that one; the clicked
    pixel itself is always as the last click on it demands.
    """
    result = mask.copy()
    for click in clicks:
        if result[click.y, click.x] == click.positive:
            continue
        others = [other for other in clicks if other.positive != click.positive]
        near = min((np.hypot(other.y - click.y, other.x - click.x) for other in others), default=np.inf)
        disk = np.zeros(mask.shape, np.uint8)
        cv2.circle(disk, (click.x, click.y), int(min(radius_px, near / 2)), 1, -1)
        result[disk.astype(bool)] = click.positive
    for click in clicks:
        result[click.y, click.x] = click.positive
    return result


def wanted_parts(mask: NDArray[np.bool_], clicks: Sequence[Click]) -> NDArray[np.bool_]:
    """The 8-connected parts of a (H, W) mask that hold a positive click; all of it if there is no positive click."""
    positive = [click for click in clicks if click.positive]
    if not positive:
        return mask
    _, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    wanted = {int(parts[click.y, click.x]) for click in positive} - {0}
    return np.isin(parts, list(wanted))
