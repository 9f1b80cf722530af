import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from selection.streaming import Chunk, ScoreReservoir, StreamingQuantile, stream_centroids

scores = arrays(np.float32, st.integers(1, 200), elements=st.floats(0, 1e6, width=32))


def chunks(score, embedding, size):
    for start in range(0, len(score), size):
        part = embedding[start : start + size]
        yield Chunk(score[start : start + size], lambda rows, part=part: part[rows])


@given(scores, st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]))
@settings(max_examples=40, deadline=None)
def test_quantiles_are_right_to_one_part_in_4096(values, share):
    quantile = StreamingQuantile()
    for part in np.array_split(values, 3):
        quantile.add(part)
    exact = float(np.sort(values)[max(1, int(np.ceil(share * len(values)))) - 1])
    assert exact * (1 - 1 / 4096) <= quantile.quantile(share) <= exact or exact < 1e-37


def test_quantiles_of_nothing_and_of_wrong_values():
    quantile = StreamingQuantile()
    assert np.isnan(quantile.quantile(0.5))
    quantile.add(np.array([-0.0], np.float32))
    assert quantile.quantile(0.5) == 0
    for wrong in (np.nan, np.inf, -1.0):
        with pytest.raises(ValueError, match="negative or not finite"):
            quantile.add(np.array([0.5, wrong], np.float32))


@pytest.mark.parametrize("size", [1, 7, 50, 1000])
def test_a_reservoir_does_not_depend_on_how_the_stream_is_cut(size):
    rng = np.random.default_rng(0)
    score, embedding = rng.random(1000, np.float32), rng.random((1000, 3), np.float32)
    reservoir = ScoreReservoir(40, np.random.default_rng(1))
    for chunk in chunks(score, embedding, size):
        reservoir.add(chunk)
    kept = reservoir.kept()
    key = np.random.default_rng(1).standard_exponential(1000) / score
    assert kept.index.tolist() == sorted(np.argsort(key)[:40])
    assert (kept.score == score[kept.index]).all()
    assert (kept.embedding == embedding[kept.index]).all()


def test_a_reservoir_draws_in_proportion_to_the_score():
    # One of two, with scores 1 and 3: the second three times out of four.
    drawn = []
    for seed in range(800):
        reservoir = ScoreReservoir(1, np.random.default_rng(seed))
        reservoir.add(Chunk(np.array([1, 3], np.float32), lambda rows: np.zeros((len(rows), 1), np.float32)))
        drawn.append(int(reservoir.kept().index[0]))
    assert np.mean(drawn) == pytest.approx(0.75, abs=0.04)


def test_embeddings_are_asked_for_only_where_needed():
    asked = []
    reservoir = ScoreReservoir(100, np.random.default_rng(0))
    for _ in range(200):
        reservoir.add(
            Chunk(
                np.ones(1000, np.float32), lambda rows: asked.append(len(rows)) or np.zeros((len(rows), 1), np.float32)
            )
        )
    assert sum(asked) < 5000  # of 200,000


@pytest.mark.parametrize("size", [3, 1000])
def test_the_stream_gives_one_of_each_group_of_the_uncertain_half(size):
    rng = np.random.default_rng(0)
    group = np.arange(1200) % 6
    embedding = (10 * np.eye(6)[group] + rng.normal(scale=0.01, size=(1200, 6))).astype(np.float32)
    score = np.array([0.9, 0.1, 0.8, 0.2, 0.7, 0.3], np.float32)[group]
    picks = stream_centroids(chunks(score, embedding, size), 3, np.random.default_rng(1), capacity=300)
    assert sorted(group[picks]) == [0, 2, 4]


@pytest.mark.parametrize("n", [0, 1, 5, 40])
@pytest.mark.parametrize("budget", [0, 1, 5, 60])
@pytest.mark.parametrize("score", [0.0, 0.5])
def test_the_stream_keeps_the_contract_of_a_strategy(n, budget, score):
    values, embedding = np.full(n, score, np.float32), np.zeros((n, 2), np.float32)
    picks, again = (
        stream_centroids(chunks(values, embedding, 4), budget, np.random.default_rng(2), capacity=10) for _ in range(2)
    )
    assert picks.dtype == np.int64
    assert len(set(picks.tolist())) == len(picks) == min(n, budget)
    assert picks.tolist() == again.tolist()
    assert all(0 <= pick < n for pick in picks)
