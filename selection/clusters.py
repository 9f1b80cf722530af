"""Fast k-means on millions of embeddings, and the samples that stand for the clusters."""

from __future__ import annotations

import faiss
import numpy as np
from numpy.typing import NDArray

from selection.seeding import plus_plus

POINTS_PER_CENTROID = 512  # taught on a random sample of so many: its inertia is then about 1 / 512 above the best
ITERATIONS = 25


def kmeans(points: NDArray[np.float32], clusters: int, seed: int) -> NDArray[np.float32]:
    """Centroids of `points`, the same for a seed whatever the number of threads.

    points: (N, D) with N >= 1;  clusters: at least 1
    returns: (min(clusters, N), D) float32; with no more points than clusters these are the points themselves
    Lloyd 1982 as in faiss (Johnson et al. 2017, arXiv:1702.08734), on at most 512 random points per cluster, begun with
    greedy k-means++: from a random start whole groups of embeddings share a centroid.
    """
    n, dim = points.shape
    if n <= clusters:
        return points.astype(np.float32, copy=True)
    rng = np.random.default_rng(seed)
    size = clusters * POINTS_PER_CENTROID
    sample = points if n <= size else points[np.sort(rng.choice(n, size, replace=False, shuffle=False))]
    sample = np.ascontiguousarray(sample, dtype=np.float32)
    begin = sample[plus_plus(sample, clusters, rng, trials=2 + int(np.log(clusters)))]
    model = faiss.Kmeans(
        dim,
        clusters,
        niter=ITERATIONS,
        seed=seed % 2**31,
        min_points_per_centroid=1,  # few points are fine here, so no warning
        max_points_per_centroid=POINTS_PER_CENTROID,
    )
    model.train(sample, init_centroids=begin)
    return np.asarray(model.centroids, np.float32).reshape(clusters, dim)


def inertia(points: NDArray[np.float32], centroids: NDArray[np.float32]) -> float:
    """Sum over the points of the squared distance to the nearest centroid. points: (N, D), centroids: (K, D)."""
    distance, _ = faiss.knn(np.ascontiguousarray(points), np.ascontiguousarray(centroids), 1)
    return float(distance.sum(dtype=np.float64))


def nearest_distinct(points: NDArray[np.float32], centroids: NDArray[np.float32]) -> NDArray[np.int64]:
    """For each centroid in turn the nearest point that no earlier centroid took.

    points: (N, D), centroids: (K, D) with K <= N;  returns: (K,) distinct indices
    """
    base = np.ascontiguousarray(points)
    picks = np.full(len(centroids), -1, np.int64)
    taken: set[int] = set()
    # A few nearest are nearly always enough; among its K nearest there is always a free one.
    wanted = min(8, len(centroids))
    near = _nearest(centroids, base, wanted)
    for i, centroid in enumerate(centroids):
        row, reach = near[i], wanted
        while picks[i] < 0:
            picks[i] = next((index for index in row.tolist() if index not in taken), -1)
            reach = min(2 * reach, len(centroids))
            if picks[i] < 0:
                row = _nearest(centroid[None], base, reach)[0]
        taken.add(int(picks[i]))
    return picks


def _nearest(queries: NDArray[np.float32], base: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    if count == 0:
        return np.zeros((len(queries), 0), np.int64)
    _, near = faiss.knn(np.ascontiguousarray(queries), base, count)
    return np.asarray(near, np.int64)
