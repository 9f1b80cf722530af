"""Distorted labels: how many pixels change is known for squares."""

from __future__ import annotations

import numpy as np
import pytest

from quality.label_noise import NOISES, dilation, grown, redrawn


def scene() -> np.ndarray:
    mask = np.zeros((40, 60), np.uint8)
    mask[10:20, 10:20], mask[30:34, 40:44], mask[0, :5] = 1, 2, 255
    return mask


def test_a_square_grows_to_all_sides_and_no_farther():
    found = dilation(scene(), 1, np.random.default_rng(0))
    assert (found == 1).sum() == 100 + 4 * 10
    assert (found == 2).sum() == 16 + 4 * 4
    assert (found[0, :5] == 255).all()


def test_shrinking_gives_the_place_back_to_what_is_around():
    found = redrawn(scene(), lambda one: -1.0)
    assert (found == 1).sum() == 64
    assert (found == 2).sum() == 4
    assert (found == 255).sum() == 5


def test_moving():
    found = redrawn(scene(), lambda one: (0, 3))
    assert (found[10:20, 13:23] == 1).all()
    assert (found == 1).sum() == 100
    at_the_edge = redrawn(scene(), lambda one: (0, 18))
    assert (at_the_edge == 2).sum() == 4 * 2  # half of it left the frame


def test_growing_by_a_disc():
    assert grown(np.ones((1, 1), bool), 1).sum() == 5
    assert grown(np.ones((1, 1), bool), 2).sum() == 13
    assert grown(np.ones((3, 3), bool), -1).sum() == 1


@pytest.mark.parametrize("name", NOISES)
def test_no_strength_no_noise_and_the_same_seed_the_same_noise(name: str):
    mask = scene()
    assert (NOISES[name](mask, 0, np.random.default_rng(0)) == mask).all()
    a, b = (NOISES[name](mask, 3, np.random.default_rng(7)) for _ in range(2))
    assert (a == b).all()
    assert (a != mask).any()
