"""The overlay, read back by PyAV, and its pixels worked out on paper."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from connectors.export.overlay import legend, overlay, overlay_video

COLORS = np.array([[200, 0, 0], [0, 200, 0]], np.uint8)


def quiet(done: int) -> None:
    pass


def frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]


def test_half_picture_half_colour_and_full_colour_on_borders() -> None:
    rgb = np.full((1, 6, 3), 100, np.uint8)
    out = overlay(rgb, np.array([[0, 0, 1, 1, 255, 255]], np.uint8), COLORS)
    # Class 0: (100 + 200) / 2 and (100 + 0) / 2; the first pixel of class 1 is a border; 255 shows the picture.
    assert out[0].tolist() == [[150, 50, 50], [150, 50, 50], [0, 200, 0], [50, 150, 50], [100] * 3, [100] * 3]


@pytest.mark.parametrize(("height", "width"), [(48, 64), (37, 53)])
@pytest.mark.parametrize("names", [(), ("road", "a very long name " * 9)])
def test_the_video_plays_with_all_its_frames(tmp_path: Path, height: int, width: int, names: tuple[str, ...]) -> None:
    beats: list[int] = []
    grey = np.full((height, width, 3), 100, np.uint8)
    mask = np.zeros((height, width), np.uint8)
    path = tmp_path / "videos" / "overlay.mp4"
    assert overlay_video(((grey, mask) for _ in range(5)), path, 29.97, COLORS, beats.append, names) == 5
    assert beats == [1, 2, 3, 4, 5]
    shown = frames(path)
    tall = height + len(legend(names, COLORS, width))
    assert len(shown) == 5
    assert shown[0].shape == (tall + tall % 2, width + width % 2, 3)
    assert np.abs(shown[2][4 : height - 4, 4:-4].astype(int) - [150, 50, 50]).max() < 12
    with av.open(str(path)) as container:
        assert float(container.streams.video[0].average_rate) == pytest.approx(29.97, rel=1e-3)
        assert container.streams.video[0].pix_fmt == "yuv420p"
    assert [p.name for p in path.parent.iterdir()] == ["overlay.mp4"]


def test_the_legend_shows_each_colour_and_breaks_its_lines() -> None:
    narrow, wide = legend(["road", "car"], COLORS, 60), legend(["road", "car"], COLORS, 300)
    assert len(narrow) > len(wide)
    for bar in (narrow, wide):
        for color in COLORS:
            assert (bar == color).all(axis=2).any()
    assert legend((), COLORS, 60).shape == (0, 60, 3)


@pytest.mark.parametrize("pairs", [[], [(40, 40), (44, 40)]])
def test_no_frames_or_frames_of_two_sizes_leave_no_file(tmp_path: Path, pairs: list[tuple[int, int]]) -> None:
    given = [(np.zeros((h, w, 3), np.uint8), np.zeros((h, w), np.uint8)) for h, w in pairs]
    with pytest.raises(ValueError, match=r"would have no frames|frame 1 is"):
        overlay_video(given, tmp_path / "o.mp4", 25, COLORS, quiet)
    assert not list(tmp_path.iterdir())
