"""Several strategies in one picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dashboard.comparison_figure import draw_comparison, mean_curve, mean_share_at


def curve(*points: tuple[float, float]) -> list[dict[str, float]]:
    return [{"share": share, "share_corrected": share / 2, "miou": miou} for share, miou in points]


def result(data: str) -> dict[str, object]:
    runs = [
        {"strategy": name, "granularity": "frame", "curve": curve((0.1, low), (0.3, 0.9))}
        for name, low in (("uniform", 0.6), ("gain_per_click", 0.7))
    ]
    return {"data": data, "runs": runs}


def test_the_mean_is_taken_where_every_curve_is_known() -> None:
    share, miou = mean_curve([curve((0.0, 0.5), (0.4, 0.9)), curve((0.2, 0.6), (0.6, 1.0))], "share")
    assert (share[0], share[-1]) == (0.2, 0.4)
    assert miou[0] == pytest.approx((0.7 + 0.6) / 2)  # halfway from 0.5 to 0.9, and the other's first point
    assert miou[-1] == pytest.approx((0.9 + 0.8) / 2)


def test_one_curve_keeps_its_points_and_apart_ones_have_no_mean() -> None:
    share, miou = mean_curve([curve((0.1, 0.5), (0.2, 0.6))], "share_corrected")
    assert (share.tolist(), miou.tolist()) == ([0.05, 0.1], [0.5, 0.6])
    share, miou = mean_curve([curve((0.1, 0.5)), curve((0.2, 0.6))], "share")
    assert len(share) == len(miou) == 0


def test_where_the_mean_curve_crosses_a_quality() -> None:
    curves = [curve((0.0, 0.5), (0.4, 0.9)), curve((0.0, 0.7), (0.4, 0.9))]  # their mean rises from 0.6 to 0.9
    assert mean_share_at(curves, "share", 0.75) == pytest.approx(0.2)
    assert mean_share_at(curves, "share_corrected", 0.75) == pytest.approx(0.1)
    assert mean_share_at(curves, "share", 0.95) is None
    assert mean_share_at(curves, "share", 0.55) is None  # reached before the first point: nobody knows where
    assert mean_share_at([curve((0.1, 0.5)), curve((0.2, 0.6))], "share", 0.5) is None


@pytest.mark.parametrize("names", [["street"], ["a$b", "c"], list("abcdefgh")])
def test_a_line_per_strategy_is_drawn(tmp_path: Path, names: list[str]) -> None:
    draw_comparison(tmp_path / "a.png", [result(name) for name in names])
    with Image.open(tmp_path / "a.png") as image:
        pixels = np.array(image.convert("RGB")).astype(int)
    for color in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)):
        assert (np.abs(pixels - color) < 12).all(axis=2).sum() > 100
