from __future__ import annotations

import numpy as np
import pytest

from propagation.tuning import in_proportion, piece

IMAGE = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)


def test_a_piece_fits_the_network_and_holds_something_known():
    target = np.full((480, 640), 255, np.uint8)
    target[400:404, 600:604] = 1
    rng = np.random.default_rng(1)
    for _ in range(20):
        lesson = piece(IMAGE, target, rng)
        assert lesson.image.shape[:2] == lesson.target.shape == (320, 448)
        assert (lesson.target == 1).any()
        assert set(np.unique(lesson.target)) <= {1, 255}


def test_thin_classes_are_seen_as_often_as_wide_ones():
    target = np.zeros((480, 640), np.uint8)
    target[:, 630:633] = 1
    rng = np.random.default_rng(2)
    seen = sum((piece(IMAGE, target, rng).target == 1).any() for _ in range(60))
    assert seen > 24  # about 0.7 of the pieces; 0.35 if pieces were cut anywhere


@pytest.mark.parametrize("size", [(32, 32), (64, 512), (320, 32)])
def test_small_and_narrow_inputs(size):
    rng = np.random.default_rng(3)
    for _ in range(5):
        lesson = piece(IMAGE[: size[0], : size[1]], np.full(size, 255, np.uint8), rng)
        assert all(side % 32 == 0 and side >= 32 for side in lesson.target.shape)


def test_frames_alike_are_each_looked_at_once():
    assert in_proportion(dict.fromkeys([5, 2, 9], 1.0), np.random.default_rng(0)).tolist() == [5, 2, 9]


def test_parts_are_looked_at_in_proportion():
    # two whole frames and eight tenths of one: of ten looks 2 / 2.8 go to the whole ones
    weights = {0: 1.0, 1: 1.0} | dict.fromkeys(range(2, 10), 0.1)
    rng = np.random.default_rng(1)
    draws = [in_proportion(weights, rng) for _ in range(400)]
    assert all(len(drawn) == 10 for drawn in draws)
    times = np.array([np.bincount(drawn, minlength=10) for drawn in draws])
    assert set(times[:, 0]) == {3, 4}  # 3.57, rounded up or down
    assert times.mean(axis=0) == pytest.approx([10 / 2.8] * 2 + [1 / 2.8] * 8, abs=0.08)
