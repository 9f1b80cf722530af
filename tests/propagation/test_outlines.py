"""Outlines go where the picture has them, and nothing else changes."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from propagation.outlines import along_outlines


def refined(probability: np.ndarray, image: np.ndarray, radius: int) -> np.ndarray:
    return along_outlines(torch.from_numpy(probability.astype(np.float32)), image, radius).numpy()


def sure(mask: np.ndarray, how: float = 0.9) -> np.ndarray:
    """(2, H, W): `how` for the class of the mask"""
    return np.stack([np.where(mask == k, how, 1 - how) for k in range(2)])


def test_an_outline_a_pixel_off_moves_to_where_the_colours_change() -> None:
    image = np.zeros((12, 20, 3), np.uint8)
    image[:, 10:] = 200
    off = np.zeros((12, 20), int)
    off[:, 11:] = 1
    probability = sure(off, 0.6)
    probability[0, :, 10], probability[1, :, 10] = 0.55, 0.45  # unsure between the two outlines
    found = refined(probability, image, 2).argmax(axis=0)
    assert (found[:, :10] == 0).all()
    assert (found[:, 10:] == 1).all()


def test_a_speck_in_one_colour_goes_and_one_with_a_colour_of_its_own_stays() -> None:
    mask = np.zeros((15, 15), int)
    mask[7, 7] = 1
    image = np.full((15, 15, 3), 90, np.uint8)
    assert not refined(sure(mask), image, 2).argmax(axis=0).any()
    image[7, 7] = 250
    assert (refined(sure(mask), image, 2).argmax(axis=0) == mask).all()


def test_worked_out_on_paper() -> None:
    """One row, radius 1, s = 0.625: of two neighbours one has the same colour, one is 20 grey levels off in each."""
    image = np.array([[[100] * 3, [100] * 3, [120] * 3]], np.uint8)
    first = np.array([[1.0, 0.0, 0.0]])
    found = refined(np.stack([first, 1 - first]), image, 1)
    beside, colour = np.exp(-1 / (2 * 0.625**2)), np.exp(-3 * 20**2 / (2 * 20**2))
    # above and below the row lies the row itself, repeated; of a disk of radius 1 the diagonals count too (d^2 = 2)
    slant = np.exp(-2 / (2 * 0.625**2))
    side, own = beside + 2 * slant, 1 + 2 * beside
    same, other = side**1.5, (own + side * colour) ** 1.5
    assert np.isclose(found[0, 0, 1], same / (same + other), atol=1e-5)


def test_far_from_outlines_and_with_radius_0_nothing_changes() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (20, 30, 3), np.uint8)
    mask = np.zeros((20, 30), int)
    mask[:, 20:] = 1
    probability = sure(mask)
    changed = (refined(probability, image, 2) != probability.astype(np.float32)).any(axis=(0, 1))
    assert np.flatnonzero(changed).tolist() <= [18, 19, 20, 21]
    assert np.array_equal(refined(probability, image, 0), probability.astype(np.float32))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(0, 3), st.integers(0, 2**31))
def test_it_stays_a_distribution_and_classes_have_no_order(height, width, classes, radius, seed) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 255, (height, width, 3), np.uint8)
    probability = rng.dirichlet(np.ones(classes), (height, width)).transpose(2, 0, 1)
    found = refined(probability, image, radius)
    assert np.allclose(found.sum(axis=0), 1, atol=1e-4)
    assert found.min() >= 0
    order = rng.permutation(classes)
    assert np.allclose(refined(probability[order], image, radius), found[order], atol=1e-5)
