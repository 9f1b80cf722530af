"""Instances that are the same, and those that are not: squares worked out on paper."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quality.matching import AMBIGUOUS, CONFIDENT, MULTIPLE, NONE, iou_matrix, match, partners
from workspace.instance import Instance


def square(y: int, x: int, height: int, width: int, class_id: int = 0) -> Instance:
    return Instance(class_id, y, x, np.ones((height, width), bool))


def kinds(first: list[Instance], second: list[Instance]) -> list[str]:
    return [m.kind for m in match(iou_matrix(first, second))]


def test_overlaps_on_paper():
    overlap = iou_matrix([square(0, 0, 10, 10)], [square(0, 5, 10, 10), square(0, 0, 10, 10, 3), square(50, 50, 2, 2)])
    assert overlap.tolist() == [[pytest.approx(50 / 150), 1.0, 0.0]]
    assert iou_matrix([], [square(0, 0, 1, 1)]).shape == (0, 1)


def test_boxes_that_meet_without_a_common_pixel():
    corner = np.array([[True, False], [False, False]])
    other = np.array([[False, False], [False, True]])
    assert iou_matrix([Instance(0, 0, 0, corner)], [Instance(0, 0, 0, other)]).tolist() == [[0.0]]


def test_the_four_kinds():
    whole = square(0, 0, 20, 20)
    nearly = square(0, 0, 20, 19)  # IoU 0.95: exactly the threshold
    shifted = square(0, 5, 20, 20)  # 300 / 500 = 0.6
    halves = [square(0, 0, 20, 10), square(0, 10, 20, 10)]  # 0.5 each
    assert kinds([whole], [nearly]) == [CONFIDENT]
    assert kinds([whole], [shifted]) == [AMBIGUOUS]
    assert kinds([whole], halves) == [MULTIPLE]
    assert kinds(halves, [whole]) == [MULTIPLE, MULTIPLE]  # both claim the same one
    assert kinds([whole], [square(100, 100, 5, 5)]) == [NONE]
    assert kinds([whole], []) == [NONE]


def test_a_partner_that_is_surely_anothers_is_no_candidate():
    # The second square lies inside the reference too, but that one has its confident partner.
    first = [square(0, 0, 20, 20), square(5, 5, 12, 12)]
    assert kinds(first, [square(0, 0, 20, 20)]) == [CONFIDENT, NONE]


def test_thresholds_that_make_no_sense():
    with pytest.raises(ValueError, match=r"confident_iou 0\.4"):
        match(np.zeros((1, 1)), confident_iou=0.4)


def test_one_partner_each_the_best_first():
    overlap = np.array([[0.6, 0.8], [0.7, 0.75]])
    assert partners(overlap) == [(0, 1), (1, 0)]
    assert partners(overlap, least_iou=0.76) == [(0, 1)]
    assert partners(np.zeros((0, 3))) == []


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(1, 9), st.integers(1, 9)), max_size=6))
def test_a_set_matches_itself_confidently(boxes):
    some = [square(*box) for box in dict.fromkeys(boxes)]
    overlap = iou_matrix(some, some)
    assert (np.diagonal(overlap) == 1).all()
    assert (overlap == overlap.T).all()
    found = match(overlap)
    assert [m.second for m in found] == list(range(len(some)))
    assert all(m.kind == CONFIDENT for m in found)
