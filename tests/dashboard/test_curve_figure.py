"""The figure of a run: it is drawn, its size follows its content, and odd names do no harm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dashboard.curve_figure import draw_rounds

COLORS = np.array([[200, 0, 0], [0, 0, 200]], np.uint8)
ROWS = [{"round": i + 1, "share": 0.05 * (i + 1), "miou": 0.7 + 0.05 * i} for i in range(3)]


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


@pytest.mark.parametrize("rounds", [1, 3, 12])
def test_the_curve_alone(tmp_path: Path, rounds: int) -> None:
    rows = [{"round": i + 1, "share": 0.05 * (i + 1), "miou": 0.7 + 0.02 * i} for i in range(rounds)]
    draw_rounds(tmp_path / "a.png", rows, [], COLORS)
    image = picture(tmp_path / "a.png")
    line = (np.abs(image.astype(int) - [0x1F, 0x5F, 0xA8]) < 12).all(axis=2)
    assert line.sum() > 20
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_frames_stand_below_the_curve_with_what_is_wrong_in_red(tmp_path: Path) -> None:
    rgb = np.full((40, 60, 3), 90, np.uint8)
    truth, prediction = np.zeros((40, 60), np.uint8), np.zeros((40, 60), np.uint8)
    prediction[:20] = 1
    truth[:10] = 255  # nobody judged: never wrong
    heights = []
    for count in (0, 1, 3):
        shown = [(f"frame {i} of $5_{i} {{x}}", rgb, truth, prediction) for i in range(count)]
        draw_rounds(tmp_path / "a.png", ROWS, shown, COLORS, title="100 $ of clicks$", baseline=ROWS)
        image = picture(tmp_path / "a.png")
        heights.append(len(image))
        counts = {c: int((image == c).all(axis=2).sum()) for c in ((214, 30, 40), (200, 0, 0), (0, 0, 200))}
        if not count:
            assert max(counts.values()) < 20
            continue
        # Of each frame's 40 rows: 30 of the truth and 20 of the prediction are class 0, 20 class 1, 10 are wrong.
        assert counts[(200, 0, 0)] / counts[(0, 0, 200)] == pytest.approx(50 / 20, rel=0.05)
        assert counts[(0, 0, 200)] / counts[(214, 30, 40)] == pytest.approx(20 / 10, rel=0.08)
    assert heights[0] < heights[1] < heights[2]
