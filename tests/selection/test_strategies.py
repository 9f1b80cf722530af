"""What each strategy means, on candidates small enough to work out by hand."""

import faiss
import numpy as np
import pytest

from selection.candidates import Candidates
from selection.clusters import inertia, kmeans, nearest_distinct
from selection.coreset import k_centre_greedy
from selection.seeding import plus_plus
from selection.strategies import strategy


def rng(seed=0):
    return np.random.default_rng(seed)


def line(*x):
    return np.array(x, np.float32)[:, None]


def groups(n_groups, each, spread=0.01, dim=4, seed=0):
    """`each` points around each of `n_groups` centres 10 apart, group after group."""
    centres = np.zeros((n_groups, dim), np.float32)
    centres[:, 0] = 10 * np.arange(n_groups)
    noise = rng(seed).normal(scale=spread, size=(n_groups, each, dim))
    return (centres[:, None] + noise).reshape(-1, dim).astype(np.float32)


def test_uncertainty_takes_the_highest_and_breaks_ties_by_index():
    given = Candidates(np.arange(5), np.zeros((5, 1), np.float32), np.array([0.1, 0.7, 0.9, 0.7, 0.7], np.float32))
    assert strategy("uncertainty")(given, 3, rng()).tolist() == [2, 1, 3]


def test_coreset_goes_farthest_first_from_what_was_asked():
    # asked at 0: farthest is 10; then 6 (4 from 10, 6 from 0) before 1
    assert k_centre_greedy(line(1, 6, 10), line(0), 3).tolist() == [2, 1, 0]
    # nothing asked: the one nearest to the mean 5.67, then the farthest from it
    assert k_centre_greedy(line(1, 6, 10), np.zeros((0, 1), np.float32), 2).tolist() == [1, 0]


@pytest.mark.parametrize("offset", [0, 1000])
def test_coreset_is_at_most_twice_the_best_radius(offset):
    points = groups(5, 8) + np.float32(offset)
    picks = k_centre_greedy(points, np.zeros((0, 4), np.float32), 5)
    assert sorted(picks // 8) == [0, 1, 2, 3, 4]  # one of each group: any other choice has radius 10


def test_centroids_takes_one_of_each_group_of_the_uncertain_half():
    points = groups(6, 10)
    uncertain = np.repeat([0.9, 0.1, 0.8, 0.2, 0.7, 0.3], 10).astype(np.float32)
    given = Candidates(np.arange(60), points, uncertain)
    for seed in range(5):
        assert sorted(strategy("uncertainty_centroids")(given, 3, rng(seed)) // 10) == [0, 2, 4]


def test_without_a_model_centroids_takes_diverse_frames():
    given = Candidates(np.arange(60), groups(6, 10))
    assert sorted(strategy("uncertainty_centroids")(given, 6, rng()) // 10) == [0, 1, 2, 3, 4, 5]


def test_a_centroid_takes_the_nearest_sample_that_is_free():
    assert nearest_distinct(line(0, 1, 2, 9), line(0.1, 0.2, 8)).tolist() == [0, 1, 3]
    many = nearest_distinct(line(*range(40)), line(*[0.0] * 30))  # one place, thirty takers
    assert many.tolist() == list(range(30))


def test_badge_begins_with_the_longest_and_avoids_what_it_has():
    points = np.array([[3, 0], [3, 0], [0, 1]], np.float32)
    assert strategy("badge")(Candidates(np.arange(3), points), 2, rng()).tolist() == [
        0,
        2,
    ]  # the copy of the first is at distance 0


def test_badge_scales_by_uncertainty():
    given = Candidates(np.arange(3), np.ones((3, 2), np.float32), np.array([0, 0.5, 1], np.float32))
    assert strategy("badge")(given, 1, rng()).tolist() == [2]


def test_plus_plus_draws_in_proportion_to_the_squared_distance():
    # After the point at 4, those at 3 and 0 have D^2 of 1 and 16.
    draws = [int(plus_plus(line(4, 3, 0), 2, rng(seed), first=0)[1]) for seed in range(600)]
    assert draws.count(2) / 600 == pytest.approx(16 / 17, abs=0.03)


def test_several_trials_keep_the_point_that_helps_most():
    # With so many draws each step meets the best point: one of each group, whatever the seed.
    points = groups(6, 10)
    for seed in range(10):
        assert sorted(plus_plus(points, 6, rng(seed), trials=20) // 10) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("seed", range(5))
def test_kmeans_finds_the_groups(seed):
    points = groups(4, 50)
    centroids = kmeans(points, 4, seed)
    assert sorted(centroids[:, 0].round().tolist()) == [0, 10, 20, 30]
    assert inertia(points, centroids) == pytest.approx(inertia(points, points.reshape(4, 50, 4).mean(axis=1)), rel=1e-4)


def test_kmeans_does_not_depend_on_the_number_of_threads():
    points = rng().normal(size=(20_000, 16)).astype(np.float32)
    threads = faiss.omp_get_max_threads()
    results = []
    try:
        for number in (1, 2, 4):
            faiss.omp_set_num_threads(number)
            results.append(kmeans(points, 12, seed=5))
    finally:
        faiss.omp_set_num_threads(threads)
    assert (results[0] == results[1]).all()
    assert (results[0] == results[2]).all()


def test_kmeans_of_few_points_is_the_points():
    points = rng().normal(size=(3, 2)).astype(np.float32)
    assert (kmeans(points, 5, seed=0) == points).all()
