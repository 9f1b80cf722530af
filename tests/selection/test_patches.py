import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selection.patches import grid, patch_means, patch_size, patch_sums
from selection.uncertainty import pooled
from workspace.errors import UserError
from workspace.sample import Sample

sides = st.integers(1, 23)


def test_a_grid_on_paper():
    assert grid(5, 7, 3, 4).tolist() == [[0, 0, 3, 4], [0, 4, 3, 3], [3, 0, 2, 4], [3, 4, 2, 3]]
    assert grid(360, 480, 32, 32).shape == (12 * 15, 4)
    assert grid(1080, 1920, 16, 16).shape == (68 * 120, 4)  # 1080 = 67.5 * 16


def test_sums_on_paper():
    values = np.arange(6).reshape(2, 3)
    assert patch_sums(values, 2, 2).tolist() == [0 + 1 + 3 + 4, 2 + 5]
    assert patch_sums(np.stack([values, values * 2]), 1, 2).tolist() == [[1, 2, 7, 5], [2, 4, 14, 10]]


@given(sides, sides, sides, sides)
def test_every_pixel_lies_in_exactly_one_patch(height, width, patch_height, patch_width):
    seen = np.zeros((height, width), int)
    for box in grid(height, width, patch_height, patch_width).tolist():
        seen += Sample(0, box=tuple(box)).region(height, width)
    assert (seen == 1).all()


@given(sides, sides, sides, sides, st.integers(0, 9))
def test_each_patch_is_pooled_as_if_alone(height, width, patch_height, patch_width, seed):
    rng = np.random.default_rng(seed)
    values = rng.random((height, width), np.float32)
    counts = rng.random((height, width)) < 0.5
    weight = rng.random((height, width), np.float32)
    means = patch_means(values, counts, patch_height, patch_width, weight)
    for mean, (y, x, h, w) in zip(means, grid(height, width, patch_height, patch_width), strict=True):
        window = np.s_[y : y + h, x : x + w]
        assert mean == pytest.approx(pooled(values[window], counts[window], weight[window]), abs=1e-6)
    plain = patch_means(values, np.ones((height, width), bool), height, width)
    assert plain == pytest.approx(values.mean(), abs=1e-6)


def test_sizes_are_read_or_refused():
    assert patch_size("32") == (32, 32)
    assert patch_size("16x48") == (16, 48)
    for wrong in ("0", "16x0", "x16", "16 x 16", "-3", "", "big", "16x16x16"):
        with pytest.raises(UserError, match="not a patch size"):
            patch_size(wrong)
