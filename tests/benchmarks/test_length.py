from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.length import DriftingTexture, main
from workspace.errors import UserError


def test_the_square_is_where_its_mask_says():
    video = DriftingTexture(500, 64, 96)
    for index in (0, 31, 250, 499):
        frame, mask = video[index], video.mask(index)
        assert frame.shape == (64, 96, 3)
        assert mask.sum() == 32 * 32
        assert (frame[mask == 1][:, 1:] == 0).all()
    assert not np.array_equal(video.mask(0), video.mask(10))


@pytest.mark.slow
def test_both_lengths_are_measured(tmp_path, capsys):
    out = tmp_path / "length.json"
    main(["--frames", "60,90", "--size", "32x48", "--out", str(out)])
    runs = json.loads(out.read_text())["runs"]
    assert [run["frames"] for run in runs] == [60, 90]
    assert all(run["peak_rss_mb"] > 0 and run["fps"] > 0 and run["miou"] > 0.8 for run in runs)
    assert "Propagation at 48x32" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [["--frames", "x"], ["--frames", "10"], ["--size", "8x8"], ["--size", "big"]])
def test_wrong_words_are_told(wrong):
    with pytest.raises(UserError):
        main(wrong)
