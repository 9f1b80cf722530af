"""Sharing a budget: answers that can be worked out on paper."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selection.sharing import expected_gain_per_click, samples_for_clicks, samples_left


def test_gain_per_click() -> None:
    assert expected_gain_per_click([], 100) == float("inf")
    assert expected_gain_per_click([(0.6, 30)], 100) == pytest.approx(2.0)  # 60 frames' worth for 30 clicks
    assert expected_gain_per_click([(0.6, 30), (0.7, 20)], 100) == pytest.approx(0.5)
    # two rounds together: from 0.6 to 0.8 for 40 clicks
    assert expected_gain_per_click([(0.6, 30), (0.75, 20), (0.8, 20)], 100) == pytest.approx(0.5)
    assert expected_gain_per_click([(0.6, 30), (0.5, 20)], 100) == 0.0
    assert expected_gain_per_click([(0.6, 0)], 10) == pytest.approx(6.0)


def test_samples_left() -> None:
    assert samples_left(None, 7) is None
    assert (samples_left(10, 7), samples_left(10, 12)) == (3, 0)


def test_samples_for_clicks() -> None:
    assert samples_for_clicks(None, 100, 1, 0) is None
    assert samples_for_clicks(100, 100, 10, 0) == 0
    assert samples_for_clicks(100, 0, 0, 0) is None  # the first round tells what a sample costs
    assert samples_for_clicks(100, 0, 0, 5) == 0
    assert samples_for_clicks(100, 40, 4, 2) == 4  # 60 clicks are 6 samples of 10, and 2 wait


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.integers(1, 500), st.integers(0, 500))
def test_what_may_be_asked_stays_within_the_limit(limit: int, spent: int, answered: int, waiting: int) -> None:
    found = samples_for_clicks(limit, spent, answered, waiting)
    assert found is not None
    assert found == 0 or spent + (found + waiting) * spent / answered <= limit + 1e-6
