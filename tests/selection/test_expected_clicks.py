"""Expected clicks from one tracing of the frame, against the click model that cuts out every patch."""

import numpy as np
import pytest

from selection.clicks import frame_clicks, patch_clicks
from selection.expected_clicks import expected_frame_clicks, expected_patch_clicks, hedged, outlines
from selection.patches import grid


def scene(seed, height=96, width=120):
    """Some rectangles of three classes on a ground."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.uint8)
    for _ in range(12):
        y, x, h, w = rng.integers([0, 0, 3, 3], [height - 10, width - 10, 40, 40])
        mask[y : y + h, x : x + w] = rng.integers(0, 4)
    return mask


@pytest.mark.parametrize("seed", range(5))
def test_a_frame_costs_what_the_click_model_says(seed):
    mask = scene(seed)
    assert expected_frame_clicks(outlines(mask)) == frame_clicks(mask, 4)


def test_patches_of_one_class_cost_one_click_and_nothing_is_free():
    assert expected_patch_clicks(outlines(np.zeros((40, 50), np.uint8)), 16, 16).tolist() == [1.0] * 12
    assert expected_patch_clicks(outlines(np.full((8, 8), 255, np.uint8)), 4, 8).tolist() == [1.0, 1.0]


def test_a_boundary_through_a_patch_on_paper():
    # the boundary enters and leaves: 2 crossings and 2 regions, no vertex strictly inside
    mask = np.zeros((16, 16), np.uint8)
    mask[:, 7:] = 1
    assert expected_patch_clicks(outlines(mask), 16, 16).tolist() == [4.0]
    assert patch_clicks(mask, (0, 0, 16, 16), 2) == 4


def test_an_island_in_a_patch_on_paper():
    # 4 vertices of the square, 4 of the hole around it (its outline runs in the ground), 2 regions; one at (20, 20) too
    mask = np.zeros((32, 32), np.uint8)
    mask[5:10, 5:10] = 1
    cost = expected_patch_clicks(outlines(mask), 16, 16)
    assert cost[0] == patch_clicks(mask, (0, 0, 16, 16), 2)
    assert cost[1:].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(("height", "width"), [(16, 16), (32, 32), (24, 17)])
def test_patches_cost_about_what_the_click_model_says(height, width):
    about, exact = [], []
    for seed in range(6):
        mask = scene(seed)
        about += expected_patch_clicks(outlines(mask), height, width).tolist()
        exact += [patch_clicks(mask, tuple(box), 4) for box in grid(*mask.shape, height, width).tolist()]
    assert np.corrcoef(about, exact)[0, 1] > 0.95
    assert sum(about) == pytest.approx(sum(exact), rel=0.1)


def test_doubt_draws_towards_the_mean():
    clicks = np.array([1, 3, 8], np.float32)
    assert hedged(clicks, np.zeros(3)).tolist() == [1, 3, 8]
    assert hedged(clicks, np.full(3, 50.0)).tolist() == [4, 4, 4]
    assert hedged(clicks, np.array([np.log(2) / 4.5, 0, 0])).tolist() == pytest.approx([2.5, 3, 8])  # half way
