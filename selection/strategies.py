"""The strategies: which candidates to ask people about next. One registry, one contract.

A strategy takes the candidates, the budget and a random generator and returns the indices of min(budget, N) distinct
candidates; the same for the same generator state, and it leaves its inputs as they are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from selection.candidates import Candidates
from selection.clusters import kmeans, nearest_distinct
from selection.coreset import k_centre_greedy
from selection.gain import greedy_gain
from selection.seeding import plus_plus
from selection.spread import evenly_spread
from workspace.errors import UserError

Strategy = Callable[[Candidates, int, np.random.Generator], NDArray[np.int64]]


def random(candidates: Candidates, budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Any, all equally likely."""
    return rng.permutation(len(candidates))[:budget].astype(np.int64)


def uniform(candidates: Candidates, budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Evenly over time, where the gaps between the asked frames are largest."""
    return evenly_spread(candidates.frame, candidates.asked_frame, candidates.frame_total, budget, rng)


def uncertainty(candidates: Candidates, budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The most uncertain, ties to the lowest index; without a model, spread over time."""
    if candidates.uncertainty is None:
        return uniform(candidates, budget, rng)
    return most_uncertain(candidates.uncertainty, budget)


def coreset(candidates: Candidates, budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Those that cover the embeddings best, given what was asked (k-centre greedy)."""
    return k_centre_greedy(candidates.embedding, candidates.asked_embedding, budget)


def uncertainty_centroids(candidates: Candidates, budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The most uncertain half, clustered by embedding into `budget` clusters, and the sample nearest to each centroid.

    Without a model all candidates are clustered: diverse frames. The half is never less than the budget.
    Amazon's human-in-the-loop video auto-annotation (HVSA), WACV 2023.
    """
    n = len(candidates)
    seed = int(rng.integers(2**31))
    if min(budget, n) <= 0:
        return np.zeros(0, np.int64)
    if candidates.uncertainty is None:
        kept: NDArray[np.int64] = np.arange(n, dtype=np.int64)
    else:
        kept = np.sort(most_uncertain(candidates.uncertainty, max(budget, (n + 1) // 2)))
    points = candidates.embedding[kept]
    picks: NDArray[np.int64] = kept[nearest_distinct(points, kmeans(points, budget, seed))]
    return picks


def badge(candidates: Candidates, budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Far apart and uncertain: k-means++ over the embeddings scaled by uncertainty, the longest first.

    Ash et al. 2020 (BADGE), arXiv:1906.03671, with the scaled embedding in place of the last layer's gradient.
    """
    points = candidates.embedding
    if candidates.uncertainty is not None:
        points = points * candidates.uncertainty[:, None]
    longest = int(np.argmax(np.einsum("nd,nd->n", points, points))) if len(points) else None
    return plus_plus(points, budget, rng, first=longest)


def gain_per_click(candidates: Candidates, budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The most expected error removed per expected click, counting what a label mends along the flow; see gain.py.

    Where no gain is known uncertainty stands for it; without a model, spread over time.
    """
    gain = candidates.uncertainty if candidates.gain is None else candidates.gain
    if gain is None:
        return uniform(candidates, budget, rng)
    cost = np.ones(len(candidates), np.float32) if candidates.cost is None else candidates.cost
    where = candidates.frame, candidates.box, candidates.motion
    return greedy_gain(*where, gain, cost, budget, mend=candidates.mend).index


def most_uncertain(values: NDArray[np.float32], budget: int) -> NDArray[np.int64]:
    """Indices of the `budget` highest of (N,) values, highest first, ties to the lowest index."""
    return np.argsort(-values, kind="stable")[:budget].astype(np.int64)


STRATEGIES: dict[str, Strategy] = {
    "random": random,
    "uniform": uniform,
    "uncertainty": uncertainty,
    "coreset": coreset,
    "uncertainty_centroids": uncertainty_centroids,
    "badge": badge,
    "gain_per_click": gain_per_click,
}


EMBEDDED = frozenset({"coreset", "uncertainty_centroids", "badge"})  # these look at embeddings
UNSCORED = frozenset({"random", "uniform", "coreset"})  # and these at no score of a sample


def strategy(name: str) -> Strategy:
    """The strategy of that name; UserError that lists them all if there is none."""
    try:
        return STRATEGIES[name]
    except KeyError:
        raise UserError(
            f"There is no selection strategy {name!r}.",
            f"Set selection.strategy to one of: {', '.join(sorted(STRATEGIES))}.",
        ) from None


def default_strategy(granularity: str) -> str:
    """What suits a granularity: the published strategy for frames, gain per click where samples differ in cost."""
    return "uncertainty_centroids" if granularity == "frame" else "gain_per_click"
