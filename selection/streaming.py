"""Selection from more candidates than fit into memory: score, thin, cluster, in one pass and bounded space.

A 10-minute 1080p video cut into 16x16 patches has 147 million of them. One pass keeps a histogram of the scores, which
gives the median, and a reservoir drawn in proportion to the score; what lies in the most uncertain half of the
reservoir is then clustered as a whole. The order in which the candidates come does not matter for what is likely to be
kept, so a video may be streamed from its first frame to its last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selection.clusters import POINTS_PER_CENTROID, kmeans, nearest_distinct

_DROPPED_BITS = 11  # of a float32: 1 sign bit that is always 0, 8 of exponent and 12 of fraction remain
_SMALLEST = np.float32(1e-12)  # a score of 0 may still be drawn when there is nothing better


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Some candidates of the stream, numbered on from those before.

    score: (n,) float32, at least 0;  embedding: for (r,) rows of the chunk their (r, D) float32 embeddings; it is only
    asked for the few that are kept, so it may compute them then.
    """

    score: NDArray[np.float32]
    embedding: Callable[[NDArray[np.int64]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """index: (R,) int64 in the stream, rising;  score: (R,) float32;  embedding: (R, D) float32."""

    index: NDArray[np.int64]
    score: NDArray[np.float32]
    embedding: NDArray[np.float32]


class StreamingQuantile:
    """Quantiles of any number of non-negative float32 values in 8 MB, to within one part in 4096, low never high.

    A histogram over the leading bits of the values: the bits of non-negative floats sort like the floats themselves.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(1 << (31 - _DROPPED_BITS), np.int64)

    def add(self, values: NDArray[np.float32]) -> None:
        """ValueError for a value that is negative or not finite."""
        if values.size and not (np.isfinite(values).all() and values.min() >= 0):
            raise ValueError("a score is negative or not finite")
        positive_zero = np.asarray(values, np.float32) + np.float32(0)  # -0.0 has its sign bit set
        np.add.at(self._counts, positive_zero.view(np.uint32) >> _DROPPED_BITS, 1)

    def quantile(self, share: float) -> float:
        """The lowest value with at least `share` of the values at or below it, rounded down; NaN before the first."""
        below = np.cumsum(self._counts)
        if below[-1] == 0:
            return float("nan")
        bin_number = np.searchsorted(below, max(1.0, share * below[-1]))
        return float((np.array([bin_number], np.uint32) << _DROPPED_BITS).view(np.float32)[0])


class ScoreReservoir:
    """At most `capacity` of a stream, drawn without replacement with chances in proportion to the scores.

    Each candidate gets the key e / score with e from the exponential distribution; the smallest keys are kept.
    Efraimidis & Spirakis 2006. How the stream is cut into chunks makes no difference.
    """

    def __init__(self, capacity: int, rng: np.random.Generator) -> None:
        if capacity < 1:
            raise ValueError(f"a reservoir of {capacity} candidates")
        self._capacity = capacity
        self._rng = rng
        self._limit = np.inf  # a key at or above it cannot be among the smallest any more
        self._seen = 0
        self._held = 0
        self._parts: list[tuple[NDArray[np.float64], Kept]] = []

    def add(self, chunk: Chunk) -> None:
        key = self._rng.standard_exponential(len(chunk.score)) / np.maximum(chunk.score, _SMALLEST)
        rows = np.flatnonzero(key < self._limit)
        if len(rows):
            embedding = np.asarray(chunk.embedding(rows), np.float32)
            self._parts.append((key[rows], Kept(rows + self._seen, chunk.score[rows], embedding)))
            self._held += len(rows)
        self._seen += len(chunk.score)
        if self._held >= 2 * self._capacity:
            self._compact()

    def kept(self) -> Kept:
        self._compact()
        return self._parts[0][1] if self._parts else Kept(np.zeros(0, np.int64), *np.zeros((2, 0, 0), np.float32))

    def _compact(self) -> None:
        if not self._parts:
            return
        key = np.concatenate([part[0] for part in self._parts])
        index, score, embedding = (
            np.concatenate([getattr(part[1], name) for part in self._parts]) for name in ("index", "score", "embedding")
        )
        self._parts.clear()
        if len(key) > self._capacity:
            smallest = np.sort(np.argpartition(key, self._capacity - 1)[: self._capacity])
            key, index, score, embedding = key[smallest], index[smallest], score[smallest], embedding[smallest]
            self._limit = float(key.max())
        self._parts = [(key, Kept(index, score, embedding))]
        self._held = len(key)


def stream_centroids(
    chunks: Iterable[Chunk], budget: int, rng: np.random.Generator, capacity: int | None = None
) -> NDArray[np.int64]:
    """`strategies.uncertainty_centroids` for a stream: the uncertain half, clustered, the nearest to each centroid.

    capacity: how many candidates to hold; None: twice what k-means uses
    returns: (min(budget, N),) distinct indices in the stream (also if budget > capacity, which raises the capacity)
    """
    half = StreamingQuantile()
    reservoir = ScoreReservoir(max(1, budget, capacity or 2 * POINTS_PER_CENTROID * budget), rng)
    for chunk in chunks:
        half.add(chunk.score)
        reservoir.add(chunk)
    kept = reservoir.kept()
    count = min(budget, len(kept.index))
    if count == 0:
        return np.zeros(0, np.int64)
    rows = np.flatnonzero(kept.score >= half.quantile(0.5))
    if len(rows) < count:
        rows = np.sort(np.argsort(-kept.score, kind="stable")[:count])
    points = kept.embedding[rows]
    picks: NDArray[np.int64] = kept.index[
        rows[nearest_distinct(points, kmeans(points, count, int(rng.integers(2**31))))]
    ]
    return picks
