"""One order from several signals, and the two figures that judge it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from quality.review_order import area_under_curve, deviations, precision_at, review_order


def test_each_signal_brings_its_own_finding_to_the_front():
    calm = np.array([1.0, 1.1, 0.9, 1.0, 1.05, 0.95, 1.0, 1.1])
    one, other = calm.copy(), 100 * calm
    one[6], other[2] = 5.0, 900.0
    found = review_order({"flow": one, "model": other})
    assert set(found.order[:2].tolist()) == {2, 6}
    assert found.strongest[6] == "flow"
    assert found.strongest[2] == "model"
    assert (found.suspicion >= 0).all()


def test_a_signal_that_is_capped_does_not_overtake():
    one, other = np.zeros(9), np.zeros(9)
    one[3], other[5] = 6.0, 50.0
    assert review_order({"whole": one, "shift": other}).order[0] == 5
    found = review_order({"whole": one, "shift": other}, {"shift": 4.0})
    assert found.order[:2].tolist() == [3, 5]
    assert found.suspicion[5] == 4


def test_a_missing_signal_is_not_suspicious():
    values = np.array([np.nan, 1.0, 2.0, 3.0, np.nan])
    found = review_order({"annotators": values, "silent": np.full(5, np.nan)})
    assert found.order[0] == 3
    assert found.suspicion[0] == 0
    assert found.strongest[0] == ""
    with pytest.raises(ValueError, match="no signal"):
        review_order({})


def test_values_that_are_nearly_all_the_same():
    values = np.zeros(20)
    values[4] = 1.0
    assert review_order({"a": values}).order[0] == 4
    assert deviations(np.zeros(3)).tolist() == [0, 0, 0]


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_the_area_is_that_of_scikit_learn(rows):
    values, wrong = np.array([v for v, _ in rows], float), np.array([w for _, w in rows])
    if wrong.all() or not wrong.any():
        assert np.isnan(area_under_curve(values, wrong))
    else:
        assert area_under_curve(values, wrong) == pytest.approx(roc_auc_score(wrong, values))


def test_precision_of_the_first_tenth():
    wrong = np.zeros(30, bool)
    wrong[[3, 5]] = True
    order = np.array([3, 1, 5, *[i for i in range(30) if i not in (3, 1, 5)]])
    assert precision_at(order, wrong, 0.1) == pytest.approx(2 / 3)
    assert precision_at(order[:3], wrong[:6], 0.1) == 1  # at least one
