"""Contour distance: cases worked out on paper, and what must hold for every pair of masks."""

from __future__ import annotations

import math
import time

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from quality.contour import boundary, contour_distance, contour_distances, stretches
from workspace.instance import cut_out

masks = arrays(bool, (9, 11))


def rectangle(y: int, x: int, height: int, width: int, shape: tuple[int, int] = (40, 60)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[y : y + height, x : x + width] = True
    return mask


def test_the_boundary_of_a_square_is_its_ring():
    assert boundary(rectangle(2, 3, 4, 4)).sum() == 12
    assert boundary(rectangle(0, 0, 40, 60)).sum() == 2 * (40 + 60) - 4  # beyond the image is outside


def test_two_single_pixels_lie_as_far_apart_as_they_do():
    found = contour_distance(rectangle(5, 5, 1, 1), rectangle(8, 9, 1, 1))
    assert (found.mean_px, found.p95_px, found.max_px) == (5, 5, 5)
    assert found.scaled == pytest.approx(5 / math.sqrt(2))


def test_a_line_moved_by_three():
    # Every pixel of a vertical line of one pixel's width is 3 px from the other line.
    found = contour_distance(rectangle(5, 10, 20, 1), rectangle(5, 13, 20, 1))
    assert (found.mean_px, found.max_px) == (3, 3)


def test_a_square_grown_by_one():
    # A is 5x5 (16 boundary pixels), B the 7x7 around it (24). Each pixel of A is 1 from B. Of B, 20 are 1 from A and
    # the four corners sqrt(2): (16 + 20 + 4 sqrt 2) / 40.
    found = contour_distance(rectangle(10, 10, 5, 5), rectangle(9, 9, 7, 7))
    assert found.mean_px == pytest.approx((36 + 4 * math.sqrt(2)) / 40)
    assert found.max_px == pytest.approx(math.sqrt(2))


def test_nothing_against_nothing_and_against_something():
    nothing = np.zeros((40, 60), bool)
    assert contour_distance(nothing, nothing).max_px == 0
    assert contour_distance(nothing, rectangle(1, 1, 2, 2)).mean_px == math.inf
    with pytest.raises(ValueError, match=r"shapes \(40, 60\) and \(2, 2\)"):
        contour_distance(nothing, np.zeros((2, 2), bool))


def test_an_outline_and_its_filled_shape_share_their_boundary():
    square = rectangle(10, 10, 6, 6)
    assert contour_distance(square, boundary(square)).max_px == 0


@given(masks, masks)
def test_it_is_what_the_formula_says(a, b):
    assume(a.any() and b.any())
    edges = [boundary(one) for one in (a, b)]
    to_a, to_b = (ndimage.distance_transform_edt(~edge) for edge in edges)  # another exact implementation
    total = to_b[edges[0]].sum() + to_a[edges[1]].sum()
    count = edges[0].sum() + edges[1].sum()
    found = contour_distance(a, b)
    assert found.scaled == pytest.approx(total / (math.sqrt(2) * count), rel=1e-5)
    assert found.max_px == pytest.approx(max(to_b[edges[0]].max(), to_a[edges[1]].max()), rel=1e-5)
    assert found.mean_px <= found.max_px + 1e-6
    assert found.p95_px <= found.max_px + 1e-6


@given(masks, masks)
def test_it_is_symmetric_and_zero_for_equal_masks_only(a, b):
    a, b = (ndimage.binary_fill_holes(one) for one in (a, b))
    assert contour_distance(a, b) == contour_distance(b, a)
    assert (contour_distance(a, b).max_px == 0) == bool((a == b).all())


@given(masks, masks, st.integers(0, 5), st.integers(0, 5))
def test_moving_or_turning_both_changes_nothing(a, b, down, right):
    here = contour_distance(a, b)
    moved = [np.pad(one, ((down, 7 - down), (right, 5 - right))) for one in (a, b)]
    turned = [np.rot90(one) for one in (a, b)]
    for others in (moved, turned):
        there = contour_distance(*others)
        assert (there.mean_px, there.max_px) == pytest.approx((here.mean_px, here.max_px), rel=1e-6)


def test_the_worst_stretch_is_where_the_bump_is():
    a, b = rectangle(10, 10, 20, 30), rectangle(10, 10, 20, 30)
    b[15:20, 40:46] = True  # a bump of 6 px on the right side
    one, other = cut_out(0, a), cut_out(0, b)
    worst = stretches(other, one, length_px=8)[0]
    assert worst.max_px == 6
    assert 13 <= worst.y <= 22
    assert worst.x >= 40
    assert sum(s.pixels for s in stretches(one, other, length_px=8)) == 2 * (20 + 30) - 4
    assert stretches(one, one)[0].max_px == 0


def test_many_instances_of_a_large_image_are_quick():
    a, b = np.zeros((2, 1080, 1920), np.int32)
    rng = np.random.default_rng(0)
    for number in range(1, 51):
        middle = 192 * ((number - 1) % 10) + 96, 216 * ((number - 1) // 10) + 108
        radius = int(rng.integers(50, 85))
        for ids, grown in ((a, 0), (b, 3)):
            cv2.circle(ids, middle, radius + grown, number, -1)
    began = time.process_time()  # not the clock on the wall: tests share their machine
    found = contour_distances(a, b)
    seconds = time.process_time() - began
    assert len(found) == 50
    assert all(2 < one.mean_px < 4 for one in found.values())
    assert seconds < 0.4  # 0.03 to 0.05 s; the bar is 0.2, and a busy machine is slower
