"""A large frame decided band by band is the frame decided whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from propagation import bands
from propagation.bands import decide, rows_from_work
from propagation.canvas import canvas

CPU = torch.device("cpu")


def sides(height: int, width: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    packed = rng.integers(0, 256, (2, 2, 4, height, width), dtype=np.uint8)
    packed[:, :, 0] %= classes + 1
    packed[:, :, 0][packed[:, :, 0] == classes] = 255
    return packed[0], packed[1]


@pytest.mark.parametrize(("height", "width", "stride"), [(37, 50, 4), (48, 64, 1), (30, 1000, 8)])
@pytest.mark.parametrize("fitted", [True, False])
def test_bands_make_no_difference(height, width, stride, fitted, monkeypatch):
    sizes = canvas(height, width, 640)
    arrived = sides(height, width, 3)
    given = np.full((height, width), 255, np.uint8)
    given[5:20, 7:30] = 2
    opinion = torch.randn(3, *sizes.grid, generator=torch.Generator().manual_seed(0)) if fitted else None
    image = np.random.default_rng(1).integers(0, 60, (height, width, 3), np.uint8)
    arguments = (arrived, image, given, opinion, (0, 1, 2), 4, sizes, stride, 2, CPU)
    whole = decide(*arguments)
    monkeypatch.setattr(bands, "_PIXELS_PER_BAND", 9 * width)
    banded = decide(*arguments)
    assert whole.mask.shape == (height, width)
    assert whole.probabilities.shape == (4, -(-height // stride), -(-width // stride))
    assert np.array_equal(whole.mask, banded.mask)
    assert np.array_equal(whole.warped_mask, banded.warped_mask)
    assert np.allclose(whole.probabilities, banded.probabilities, atol=1e-3)
    assert np.allclose(whole.doubt, banded.doubt, atol=1e-3)


@pytest.mark.parametrize(("height", "width"), [(1083, 1920), (2000, 31), (40, 60), (39, 61)])
def test_rows_are_those_of_the_whole_enlargement(height, width):
    sizes = canvas(height, width, 640)
    values = torch.randn(1, 2, *sizes.work, generator=torch.Generator().manual_seed(0))
    whole = sizes.from_work(values)
    for begin, end in ((0, 5), (height // 3, height // 3 + 7), (height - 3, height)):
        # torch places its rows in single precision: at row 1,000 that is 0.0001 of a row
        assert torch.allclose(rows_from_work(values, sizes, begin, end), whole[..., begin:end, :], atol=5e-4)


def test_the_smallest_frame_that_is_scaled_down_is_the_first_with_several_bands():
    """What is no larger than the work size is one band: the same numbers as without bands, to the last bit."""
    assert bands._PIXELS_PER_BAND >= 960 * 960
