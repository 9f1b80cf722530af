"""k-means++: points far apart, to begin k-means with or to ask about as they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def plus_plus(
    points: NDArray[np.float32], count: int, rng: np.random.Generator, first: int | None = None, trials: int = 1
) -> NDArray[np.int64]:
    """Pick points one by one, each with probability in proportion to D^2, its squared distance to the nearest pick.

    points: (N, D);  first: the first pick, None for any;  trials: draw so many and keep the one that lowers the sum of
    D^2 most. When all that is left coincides with what was picked, the rest is drawn at random.
    returns: (min(count, N),) distinct indices in picking order
    Arthur & Vassilvitskii 2007 (with several trials: their greedy variant).
    """
    n = len(points)
    picks = np.zeros(min(count, n), np.int64)
    if not len(picks):
        return picks
    points = points - points.mean(axis=0, dtype=np.float64).astype(np.float32)  # products lose digits far from 0
    norm = np.einsum("nd,nd->n", points, points)
    zero = 1e-6 * norm  # what rounding leaves of a distance of 0
    free = np.ones(n, bool)
    nearest = np.full(n, np.inf, np.float32)
    for i in range(len(picks)):
        if i == 0:
            drawn = np.array([int(rng.integers(n)) if first is None else first])
        else:
            chance = np.cumsum(np.where(free & (nearest > zero), nearest, 0), dtype=np.float64)
            if chance[-1] > 0:
                below_total = np.minimum(rng.random(trials) * chance[-1], np.nextafter(chance[-1], 0))
                drawn = np.searchsorted(chance, below_total, side="right")
            else:
                drawn = rng.choice(np.flatnonzero(free), 1)
        reached = np.maximum(norm - 2 * (points[drawn] @ points.T) + norm[drawn, None], 0)
        np.minimum(reached, nearest, out=reached)
        best = int(np.argmin(reached.sum(axis=1, dtype=np.float64)))
        picks[i], nearest = drawn[best], reached[best]
        free[picks[i]] = False
    return picks
