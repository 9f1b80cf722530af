from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from propagation.canvas import canvas

side = st.integers(1, 2500)


@settings(max_examples=200, deadline=None)
@given(height=side, width=side, input_side=st.integers(64, 1200))
def test_sizes_keep_their_promises(height, width, input_side):
    sizes = canvas(height, width, input_side)
    assert all(s % 2 == 0 and 2 <= s <= 960 for s in sizes.work)
    assert all(s % 32 == 0 and s >= 32 for s in sizes.input)
    assert max(sizes.input) <= max(32, min(2 * max(height, width), input_side) + 16)
    if max(height, width) <= 960:
        assert sizes.work == (height + height % 2, width + width % 2)


def test_small_odd_frames_are_padded_and_cropped_back():
    sizes = canvas(37, 51, 640)
    mask = np.arange(37 * 51, dtype=np.uint32).reshape(37, 51).astype(np.uint8)
    work = sizes.to_work(mask, nearest=True)
    assert work.shape == (38, 52)
    assert np.array_equal(work[:37, :51], mask)
    assert np.array_equal(sizes.from_work(torch.from_numpy(work)[None, None])[0, 0].numpy(), mask)


def test_large_frames_come_back_at_their_size_and_ids_are_not_mixed():
    sizes = canvas(1080, 1920, 640)
    mask = np.zeros((1080, 1920), np.uint8)
    mask[:, 960:] = 200
    planes = sizes.planes_to_work(np.stack([mask, mask])[None])
    assert planes.shape == (1, 2, 540, 960)
    assert set(np.unique(planes)) == {0, 200}
    assert sizes.from_work(torch.zeros(1, 3, 540, 960)).shape == (1, 3, 1080, 1920)
    assert sizes.to_input(np.zeros((1080, 1920, 3), np.uint8), torch.device("cpu")).shape == (1, 3, *sizes.input)
