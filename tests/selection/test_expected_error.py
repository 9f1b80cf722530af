"""Expected error and how it is carried along the flow."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selection.expected_error import carried, expected_error, mendable


def test_error_weighs_what_the_model_hesitates_between():
    # a sure pixel; one that may be of class 1 or, half as likely, of 2; one of which only the first class is in doubt
    probability = np.array([[[1.0, 0.25, 0.75]], [[0.0, 0.5, 0.0]], [[0.0, 0.25, 0.25]]], np.float16)
    doubt = np.array([[0.0, 0.5, 0.25]], np.float16)
    error = expected_error(probability, doubt, np.array([1.0, 3.0, 7.0], np.float32))
    # predicted 1 (3), and there is 0 (1) or 2 (7), equally likely; predicted 0 (1), and there is 2 (7)
    assert error.tolist() == [[0.0, 0.5 * (3 + (1 + 7) / 2), pytest.approx(0.25 * (1 + 7))]]


def test_what_labels_mend_is_read_off_earlier_labels():
    nan = float("nan")
    # labeled: 2; next to it the error is 2 and 4
    found = mendable(np.array([6, 2, nan, 4, 12, nan]), np.array([2]))
    assert found.tolist() == [0.5, 0, 0, 0.25, 0.75, 0]
    # at an end, and beside one another
    assert mendable(np.array([nan, nan, 1, 4]), np.array([0, 1])).tolist() == [0, 0, 0, 0.75]


@pytest.mark.parametrize(("error", "labeled"), [([1.0, 2.0], []), ([np.nan, np.nan], [0]), ([1.0, np.nan, 5], [0])])
def test_without_anything_to_read_it_off_labels_mend_everything(error, labeled):
    assert mendable(np.array(error), np.array(labeled, np.int64)).tolist() == [1] * len(error)


@given(st.integers(0, 10_000), st.integers(1, 40))
def test_what_is_mended_is_a_share(seed, frames):
    rng = np.random.default_rng(seed)
    error = np.where(rng.random(frames) < 0.2, np.nan, rng.random(frames).round(1))
    found = mendable(error, np.flatnonzero(rng.random(frames) < 0.3))
    assert found.dtype == np.float32
    assert (found >= 0).all()
    assert (found <= 1).all()


def still(height, width):
    return np.zeros((height, width, 2), np.float32), np.ones((height, width), np.float32)


def test_a_label_in_a_still_video_mends_a_geometric_series():
    flow, reliability = still(1, 1)
    total = np.zeros((1, 1), np.float32)
    for _ in range(200):
        total = carried(np.ones((1, 1), np.float32) + total, flow, reliability, 0.5)
    assert total[0, 0] == pytest.approx(1.0)  # 0.5 + 0.25 + ...


def test_error_is_fetched_from_where_the_flow_leads():
    there = np.zeros((3, 5), np.float32)
    there[1, 4] = 8
    flow, reliability = still(3, 5)
    flow[..., 0] = 2
    assert carried(there, flow, reliability, 0.5).tolist() == [[0] * 5, [0, 0, 4, 0, 0], [0] * 5]
    reliability[1, 2] = 0
    assert not carried(there, flow, reliability, 0.5).any()


def test_what_leaves_the_frame_carries_nothing():
    flow, reliability = still(2, 2)
    flow[..., 1] = 5
    assert not carried(np.ones((2, 2), np.float32), flow, reliability, 0.9).any()
