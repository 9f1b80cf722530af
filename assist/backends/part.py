"""Which part of an image is worth a closer look: the object so far, and what lies around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assist.clicks import Box, Click, box_around

AROUND = 2.0  # sides of the part, in those of what it must hold
_WORTH = 0.8  # of the image's longer side: a part that is larger shows hardly more than the image
_LEAST_PX = 64
_SQUAREST = 0.6  # the shorter side of a part, in its longer one, at least
_STEPS = 16  # a part begins and ends on one of so many lines, so that clicks that change little share one


@dataclass(frozen=True, slots=True)
class Part:
    """Rows `top` up to `bottom` and columns `left` up to `right` of an image."""

    top: int
    left: int
    bottom: int
    right: int


def part_around(height: int, width: int, clicks: Sequence[Click], previous: NDArray[np.bool_] | None) -> Part | None:
    """The part of a (height, width) image that holds all clicks and the mask so far; None: it is best seen as a whole.

    Sofiiuk et al. 2021 (arXiv:2102.06583) call it zoom-in; the room around is larger here, since after few clicks much
    of the object may be missing still.
    """
    box = box_around(previous) if previous is not None else None
    pixels = [Box(click.x, click.y, click.x + 1, click.y + 1) for click in clicks]
    every = pixels if box is None else [*pixels, box]
    if not every:
        return None
    held = Box(
        min(b.left for b in every), min(b.top for b in every),
        max(b.right for b in every), max(b.bottom for b in every),
    )  # fmt: skip
    side = max(held.width, held.height, _LEAST_PX)
    down, right = (AROUND * max(length, _SQUAREST * side) / 2 for length in (held.height, held.width))
    y, x = (held.top + held.bottom) / 2, (held.left + held.right) / 2
    step = max(height, width) / _STEPS
    top, left = (max(0, int(step * np.floor(low / step))) for low in (y - down, x - right))
    bottom = min(height, int(np.ceil(step * np.ceil((y + down) / step))))
    end = min(width, int(np.ceil(step * np.ceil((x + right) / step))))
    if max(bottom - top, end - left) >= _WORTH * max(height, width):
        return None
    return Part(top, left, bottom, end)
