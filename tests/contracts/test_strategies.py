"""What every selection strategy promises; a new one is tested by being registered."""

import numpy as np
import pytest

from selection.candidates import Candidates
from selection.strategies import STRATEGIES, strategy
from workspace.errors import UserError


def candidates(n, model=True, asked=0, identical=False, dim=6):
    rng = np.random.default_rng(n + 1000 * asked)
    embedding = np.ones((n, dim)) if identical else rng.normal(size=(n, dim))
    return Candidates(
        frame=np.arange(asked, asked + n, dtype=np.int64),
        embedding=embedding.astype(np.float32),
        uncertainty=(np.zeros(n) if identical else rng.random(n)).astype(np.float32) if model else None,
        cost=rng.uniform(1, 50, n).astype(np.float32),
        frames=n + asked,
        asked_frame=np.arange(asked, dtype=np.int64),
        asked_embedding=rng.normal(size=(asked, dim)).astype(np.float32),
    )


def arrays_of(c):
    values = (c.frame, c.embedding, c.uncertainty, c.cost, c.asked_frame, c.asked_embedding)
    return [v.copy() for v in values if v is not None]


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("n", [0, 1, 2, 12, 150])
@pytest.mark.parametrize("budget", [0, 1, 7, 99])
@pytest.mark.parametrize("model", [True, False], ids=["model", "no_model"])
@pytest.mark.parametrize("asked", [0, 5])
def test_every_strategy_keeps_the_contract(name, n, budget, model, asked, capfd):
    given = candidates(n, model, asked)
    before = arrays_of(given)
    picks = strategy(name)(given, budget, np.random.default_rng(3))
    assert picks.dtype == np.int64
    assert picks.shape == (min(budget, n),)
    assert len(set(picks.tolist())) == len(picks)
    assert all(0 <= pick < n for pick in picks)
    assert picks.tolist() == strategy(name)(given, budget, np.random.default_rng(3)).tolist()
    assert all((a == b).all() for a, b in zip(before, arrays_of(given), strict=True))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("budget", [1, 7, 30])
@pytest.mark.parametrize("model", [True, False], ids=["model", "no_model"])
def test_identical_samples_are_still_picked_once_each(name, budget, model):
    picks = strategy(name)(candidates(20, model, identical=True), budget, np.random.default_rng(0))
    assert len(set(picks.tolist())) == min(budget, 20)


@pytest.mark.parametrize("name", STRATEGIES)
def test_several_samples_of_one_frame_are_fine(name):
    given = Candidates(
        frame=np.repeat(np.arange(4), 5),
        embedding=np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32),
        uncertainty=np.linspace(0, 1, 20, dtype=np.float32),
        asked_frame=np.array([0, 0, 3]),
        asked_embedding=np.zeros((3, 3), np.float32),
    )
    assert len(set(strategy(name)(given, 9, np.random.default_rng(0)).tolist())) == 9


@pytest.mark.parametrize("field", ["uncertainty", "embedding", "cost", "asked_embedding"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_no_strategy_is_ever_given_a_value_that_is_not_finite(field, value):
    good = candidates(8, asked=3)
    parts = {name: getattr(good, name) for name in ("frame", "embedding", "uncertainty", "cost", "asked_frame")}
    parts["asked_embedding"] = good.asked_embedding
    parts[field] = parts[field].copy()
    parts[field][2] = value
    with pytest.raises(ValueError, match=f"{field} of sample 2 is .*finite"):
        Candidates(**parts)


def test_shapes_that_do_not_fit_are_named():
    frame, embedding = np.arange(3), np.zeros((3, 2), np.float32)
    with pytest.raises(ValueError, match=r"embedding is \(2, 2\), not \(3, D\)"):
        Candidates(frame, embedding[:2])
    with pytest.raises(ValueError, match=r"uncertainty is \(2,\), not \(3,\)"):
        Candidates(frame, embedding, np.zeros(2, np.float32))
    with pytest.raises(ValueError, match=r"asked_embedding is \(1, 5\), not \(1, 2\)"):
        Candidates(frame, embedding, asked_frame=np.array([9]), asked_embedding=np.zeros((1, 5), np.float32))
    with pytest.raises(ValueError, match="frame 2 of a video of 2 frames"):
        Candidates(frame, embedding, frames=2)
    with pytest.raises(ValueError, match=r"cost 0\.0 of a sample"):
        Candidates(frame, embedding, cost=np.zeros(3, np.float32))


def test_an_unknown_name_lists_those_that_exist():
    with pytest.raises(UserError) as error:
        strategy("entropy")
    assert "'entropy'" in error.value.message
    assert all(name in error.value.hint for name in STRATEGIES)
