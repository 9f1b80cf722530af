"""How fast to learn when."""

from __future__ import annotations

import math


def falling(done: float) -> float:
    """1 at the start, 0 at the end, along half a cosine (Loshchilov & Hutter 2017, arXiv:1608.03983)."""
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
