"""Tolerances of shapes whose areas are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from quality.tolerance import allowed_offset_px, offset_iou, tolerances
from workspace.instance import cut_out


def disc(radius: float) -> np.ndarray:
    side = math.ceil(radius) + 1
    y, x = np.mgrid[-side : side + 1, -side : side + 1]
    return y * y + x * x <= radius * radius


def test_a_square_grown_and_shrunk_by_one():
    square = np.ones((10, 10), bool)
    assert offset_iou(square, 1) == pytest.approx(100 / 140)  # four sides of 10; corners are sqrt(2) away
    assert offset_iou(square, -1) == pytest.approx(64 / 100)
    assert offset_iou(square, 0) == 1


def test_a_disc_stands_an_offset_in_proportion_to_its_radius():
    for radius in (20, 40, 80):
        for iou in (0.8, 0.9, 0.95):
            expected = radius * (1 - math.sqrt(iou))
            assert allowed_offset_px(disc(radius), iou) == pytest.approx(expected, abs=0.6)


def test_a_line_stands_nothing():
    # 50 / 0.9 - 50 more pixels are allowed, of the 102 that lie 1 px around it
    assert allowed_offset_px(np.ones((1, 50), bool), 0.9) == pytest.approx((50 / 0.9 - 50) / 102)


@given(arrays(bool, (8, 9)), st.floats(0.3, 0.97))
def test_what_is_allowed_keeps_the_overlap(mask, iou):
    assume(mask.any())
    allowed = allowed_offset_px(mask, iou)
    for by in (allowed, -allowed):
        assert offset_iou(mask, by) >= iou - 1e-6


@given(arrays(bool, (8, 9)))
def test_a_higher_demand_allows_less(mask):
    assume(mask.any())
    allowed = [allowed_offset_px(mask, iou) for iou in (0.5, 0.7, 0.9)]
    assert allowed == sorted(allowed, reverse=True)


def test_no_demand_and_no_mask():
    with pytest.raises(ValueError, match="IoU of 1"):
        allowed_offset_px(np.ones((2, 2), bool), 1)
    with pytest.raises(ValueError, match="empty"):
        allowed_offset_px(np.zeros((2, 2), bool), 0.5)


def test_a_table_of_sizes():
    some = [cut_out(0, disc(10)), cut_out(0, disc(40)), cut_out(0, disc(42))]
    found = tolerances([one for one in some if one], (0.9,))
    assert [(t.size, t.objects) for t in found] == [("small", 1), ("medium", 2)]
    for t in found:
        # r (1 - sqrt q) over r sqrt(pi)
        assert t.per_size == pytest.approx((1 - math.sqrt(0.9)) / math.sqrt(math.pi), abs=0.02)
        assert t.strict_px <= t.median_px
