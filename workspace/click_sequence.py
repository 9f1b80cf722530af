"""How somebody clicked their way to a mask."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_MOST_CLICKS = 200
_LONGEST_S = 1e7


@dataclass(frozen=True, slots=True)
class SequenceClick:
    """seconds: since the first one;  y, x: in parts of the image, 0 to 1;  positive: "this belongs to it"

    changed: share of the image's pixels that the click changed;  area: share that the mask has then
    """

    seconds: float
    y: float
    x: float
    positive: bool
    changed: float
    area: float


ClickSequence = tuple[SequenceClick, ...]
"""The clicks of one mask, in the order in which they were made; never empty."""


def to_rows(sequence: ClickSequence) -> list[list[float]]:
    """As numbers, for JSON."""
    return [
        [round(c.seconds, 3), round(c.y, 4), round(c.x, 4), int(c.positive), round(c.changed, 6), round(c.area, 6)]
        for c in sequence
    ]


def from_rows(rows: Any) -> ClickSequence:
    """The reverse; ValueError for what is no click sequence."""
    if not isinstance(rows, Sequence) or isinstance(rows, str) or not 1 <= len(rows) <= _MOST_CLICKS:
        raise ValueError("no list of clicks")
    found = []
    for row in rows:
        try:
            seconds, y, x, positive, changed, area = (float(value) for value in row)
        except TypeError:
            raise ValueError("a click is no list of numbers") from None
        shares = (y, x, positive, changed, area)
        if not (math.isfinite(seconds) and 0 <= seconds <= _LONGEST_S and all(0 <= share <= 1 for share in shares)):
            raise ValueError("a click has numbers that no click has")
        found.append(SequenceClick(seconds, y, x, positive > 0.5, changed, area))
    return tuple(found)
