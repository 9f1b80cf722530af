from __future__ import annotations

import numpy as np
import pytest
import torch

from propagation.estimate import ErrorSums, estimated_miou, expected_confusion, expected_errors


def test_expected_confusion_by_hand():
    """Four pixels, two predicted as each class; every second row and column is counted and stands for four."""
    probability = torch.zeros(2, 4, 4)
    probability[0] = 0.9
    probability[1] = 0.1
    probability[:, 2:] = torch.tensor([0.2, 0.8])[:, None, None]
    confusion = expected_confusion(probability, probability.argmax(dim=0))
    assert np.allclose(confusion, [[0.9 * 8, 0.2 * 8], [0.1 * 8, 0.8 * 8]])


def test_estimated_miou_by_hand():
    """Class 0: 80 of 90 predicted are right, 20 more are expected elsewhere: 80 / 110."""
    confusion = np.array([[80.0, 20.0], [10.0, 190.0]])
    assert estimated_miou(confusion, 1.0) == pytest.approx((80 / 110 + 190 / 220) / 2)
    assert estimated_miou(confusion, 0.0) == 1.0
    assert estimated_miou(confusion, 2.0) == pytest.approx((70 / 130 + 170 / 230) / 2)


def test_classes_that_are_nowhere_do_not_count():
    assert estimated_miou(np.diag([5.0, 0.0]), 1.0) == 1.0
    assert np.isnan(estimated_miou(np.zeros((2, 2)), 1.0))


def test_the_ratio_is_errors_seen_over_errors_expected():
    sums = ErrorSums()
    assert sums.ratio() == 1.0
    probability = torch.tensor([0.75, 0.25])[:, None, None].expand(2, 1, 4)
    sums.add(probability, np.array([[0, 0, 1, 255]], np.uint8))
    assert sums.ratio() == pytest.approx(1 / 0.75)
    sums.add(probability, np.array([[0, 0, 0, 0]], np.uint8))
    assert sums.ratio() == pytest.approx(1 / 1.75)


@pytest.mark.parametrize(("truth", "ratio"), [(0, 0.5), (1, 2.0)])
def test_a_ratio_from_few_frames_is_not_believed_beyond_twofold(truth, ratio):
    sums = ErrorSums()
    sums.add(torch.tensor([0.9, 0.1])[:, None, None].expand(2, 3, 3), np.full((3, 3), truth, np.uint8))
    assert sums.ratio() == pytest.approx(ratio)


def test_expected_errors_are_what_lies_beside_the_diagonal() -> None:
    confusion = np.array([[60.0, 5.0], [15.0, 20.0]])  # 20 of 100 pixels
    assert expected_errors(confusion, 1.0) == pytest.approx(0.2)
    assert expected_errors(confusion, 1.5) == pytest.approx(0.3)
    assert expected_errors(confusion, 9.0) == 1.0
    assert expected_errors(np.zeros((2, 2)), 1.0) == 0.0
