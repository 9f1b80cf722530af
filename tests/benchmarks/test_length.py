from __future__ import annotations

import numpy as np
import pytest

from benchmarks.length import DriftingTexture, main, measure
from workspace.config import PropagationConfig, SegmenterConfig
from workspace.errors import UserError


def test_the_square_is_where_its_mask_says():
    video = DriftingTexture(500, 64, 96)
    for index in (0, 31, 250, 499):
        frame, mask = video[index], video.mask(index)
        assert frame.shape == (64, 96, 3)
        assert mask.sum() == 32 * 32
        assert (frame[mask == 1][:, 1:] == 0).all()
    assert not np.array_equal(video.mask(0), video.mask(10))


def test_a_length_is_measured():
    settings = PropagationConfig(decoder_steps=10, device="cpu")
    run = measure(60, 48, 80, SegmenterConfig(name="compact", weights=None), settings)
    assert (run["frames"], run["labeled"]) == (60, 1)
    assert run["peak_rss_mb"] > 0
    assert run["fps"] > 0
    assert run["miou"] > 0.8


@pytest.mark.parametrize("wrong", [["--frames", "x"], ["--frames", "10"], ["--size", "8x8"], ["--size", "big"]])
def test_wrong_words_are_told(wrong):
    with pytest.raises(UserError):
        main(wrong)
