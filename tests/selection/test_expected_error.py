"""Expected error and how it is carried along the flow."""

import numpy as np
import pytest

from selection.expected_error import carried, expected_error


def test_error_weighs_what_the_model_hesitates_between():
    # one sure pixel, one that may be either class; class 1 counts three times as much
    probability = np.array([[[1.0, 0.5]], [[0.0, 0.5]]], np.float16)
    doubt = np.array([[0.0, 0.5]], np.float16)
    error = expected_error(probability, doubt, np.array([1.0, 3.0], np.float32))
    assert error.tolist() == [[0.0, 0.5 * (0.5 * 1 + 0.5 * 3)]]


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
    assert not carried(np.ones((2, 2), np.float32), flow, reliability).any()
