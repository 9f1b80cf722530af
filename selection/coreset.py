"""k-centre greedy: cover the embeddings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def k_centre_greedy(embedding: NDArray[np.float32], asked: NDArray[np.float32], budget: int) -> NDArray[np.int64]:
    """Pick, one by one, the sample farthest from everything asked or picked so far.

    embedding: (N, D);  asked: (M, D), M may be 0: then the first is the sample nearest to the mean
    returns: (min(budget, N),) indices in picking order; ties to the lowest
    Gonzalez 1985 (at most twice the best radius); for active learning Sener & Savarese 2018, arXiv:1708.00489.
    """
    n = len(embedding)
    count = min(budget, n)
    picks = np.zeros(count, np.int64)
    if count == 0:
        return picks
    centre = embedding.mean(axis=0, dtype=np.float64).astype(np.float32)
    points = embedding - centre  # distances are computed from products, which lose digits far from the origin
    norm = np.einsum("nd,nd->n", points, points)
    nearest = np.full(n, np.inf, np.float32)
    for row in asked:
        np.minimum(nearest, _squared_distance(points, norm, row - centre), out=nearest)
    free = np.ones(n, bool)
    for i in range(count):
        pick = int(np.argmin(norm)) if i == 0 and len(asked) == 0 else int(np.argmax(np.where(free, nearest, -1)))
        free[pick] = False
        picks[i] = pick
        np.minimum(nearest, _squared_distance(points, norm, points[pick]), out=nearest)
    return picks


def _squared_distance(
    points: NDArray[np.float32], norm: NDArray[np.float32], centre: NDArray[np.float32]
) -> NDArray[np.float32]:
    distance: NDArray[np.float32] = norm - 2 * (points @ centre) + centre @ centre
    return np.maximum(distance, 0, out=distance)
