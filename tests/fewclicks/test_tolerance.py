"""`fewclicks tolerance` on squares."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from connectors.street_scene import write_street
from fewclicks.__main__ import main
from workspace.files import write_image


@pytest.fixture
def tolerance(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setattr(sys, "argv", ["fewclicks", "tolerance", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, *capsys.readouterr()

    return call


def test_a_table(tolerance, tmp_path: Path) -> None:
    mask = np.zeros((200, 200), np.uint8)
    mask[10:30, 10:30], mask[50:150, 50:150] = 1, 1
    write_image(tmp_path / "m" / "0.png", mask)
    code, out, _ = tolerance(tmp_path / "m", "--iou", "0.81", "--without", "0", "--out", tmp_path / "t.json")
    assert code == 0
    assert "small" in out
    small, large = json.loads((tmp_path / "t.json").read_text())
    # Shrunk by 1 px a square of 20 loses 76 pixels, and 0.81 allows to lose that many; growing by 1 px adds 80.
    assert small["median_px"] == pytest.approx(1.0)
    assert (large["size"], large["objects"]) == ("large", 1)
    # Five times as wide, five times the tolerance (the raster and rounder corners aside).
    assert large["median_px"] == pytest.approx(5 * small["median_px"], rel=0.1)


def test_mistakes(tolerance, tmp_path: Path) -> None:
    write_image(tmp_path / "m" / "0.png", np.zeros((20, 20), np.uint8))
    assert "--iou 1.5 is no overlap" in tolerance(tmp_path / "m", "--iou", "1.5")[2]
    assert "holds no object" in tolerance(tmp_path / "m", "--without", "0")[2]
    assert "There are no labels at" in tolerance(tmp_path / "none")[2]


@pytest.mark.slow
def test_by_experiment(tolerance, tmp_path: Path) -> None:
    street = tmp_path / "street"
    write_street(street, 8, 160, 96, 0, lambda done, total: None)
    result = tmp_path / "t.json"
    arguments = ["--labeled", "2", "--judged", "2", "--steps", "2", "--out", result]
    code, out, _ = tolerance(street, "--learn", "--noise", "none,dilation:3", *arguments)
    assert code == 0, out
    assert "dilation:3" in out
    clean, wide = json.loads(result.read_text())["runs"]
    assert (clean["noise"], clean["labels_miou"]) == ("none", 1.0)
    assert wide["labels_miou"] < 0.95
    assert wide["miou"] < clean["miou"]
    assert "'fog:3' is no noise" in tolerance(street, "--learn", "--noise", "fog:3")[2]
    assert "9 labeled frames do not fit a video of 8 frames" in tolerance(street, "--learn", "--labeled", "9")[2]
