import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from quality.scores import accuracy, confusion, iou, miou

masks = arrays(np.uint8, (5, 6), elements=st.sampled_from([0, 1, 2, 255]))


def test_a_table_worked_out_on_paper():
    truth = np.array([[0, 0, 0, 1], [1, 1, 255, 255]], np.uint8)
    prediction = np.array([[0, 0, 1, 1], [1, 255, 0, 255]], np.uint8)
    table = confusion(truth, prediction, 3)
    assert table.dtype == np.int64
    assert table.tolist() == [[2, 1, 0, 0], [0, 2, 0, 1], [0, 0, 0, 0]]
    # Class 0: 2 hits, 3 in truth, 2 predicted: 2/3. Class 1: 2 hits, 3 in truth, 3 predicted on known pixels: 2/4.
    assert iou(table)[:2].tolist() == pytest.approx([2 / 3, 2 / 4])
    assert np.isnan(iou(table)[2])
    assert miou(table) == pytest.approx((2 / 3 + 2 / 4) / 2)
    assert accuracy(table) == pytest.approx(4 / 6)


def test_a_class_that_only_the_prediction_holds_lowers_the_others_alone():
    truth = np.zeros((1, 4), np.uint8)
    prediction = np.array([[0, 0, 0, 2]], np.uint8)
    assert miou(confusion(truth, prediction, 3)) == pytest.approx(3 / 4)


def test_nothing_known_has_no_score():
    void = np.full((2, 2), 255, np.uint8)
    assert np.isnan(miou(confusion(void, void * 0, 2)))
    assert np.isnan(accuracy(confusion(void, void * 0, 2)))


def test_nothing_predicted_is_all_wrong():
    truth = np.zeros((2, 2), np.uint8)
    assert miou(confusion(truth, np.full((2, 2), 255, np.uint8), 2)) == 0


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match=r"truth is \(2, 2\), the prediction \(2, 3\)"):
        confusion(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8), 2)
    with pytest.raises(ValueError, match="class id 7 in masks of 2 classes"):
        confusion(np.zeros((2, 2), np.uint8), np.full((2, 2), 7, np.uint8), 2)
    with pytest.raises(ValueError, match="class id 2 in masks of 2 classes"):
        confusion(np.zeros((2, 2), np.uint8), np.full((2, 2), 2, np.uint8), 2)


@given(masks)
def test_the_truth_itself_scores_one(mask):
    score = miou(confusion(mask, mask, 3))
    assert score == 1 or ((mask == 255).all() and np.isnan(score))


@given(masks, masks, masks, masks)
def test_tables_of_frames_add_up_to_the_table_of_the_video(truth_a, a, truth_b, b):
    together = confusion(np.stack([truth_a, truth_b]), np.stack([a, b]), 3)
    assert (confusion(truth_a, a, 3) + confusion(truth_b, b, 3) == together).all()
    assert together.sum() == (truth_a != 255).sum() + (truth_b != 255).sum()
