"""`fewclicks compare` from files to a page, and what it says about files that do not fit."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from fewclicks.__main__ import main
from workspace.files import write_image


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fewclicks", "compare", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, *capsys.readouterr()

    return call


def label_set(folder: Path, moved: int, name: str = "box <b>", size: tuple[int, int] = (80, 120)) -> Path:
    for index in range(2):
        mask = np.zeros(size, np.uint8)
        mask[20:60, 10 + moved : 50 + moved] = 1
        mask[5:15, 100:110] = 1
        write_image(folder / "masks" / f"{index:06d}.png", mask)
    (folder / "meta.json").write_text(json.dumps({"classes": {"0": "ground", "1": name}, "ignore": 255}))
    return folder


def test_a_report(compare, tmp_path: Path) -> None:
    a, b = label_set(tmp_path / "a", 3), label_set(tmp_path / "b", 0)
    code, out, _ = compare(a, b, "--out", tmp_path / "report", "--without", "ground", "--reference")
    assert code == 0
    assert "2 images: 2 confident, 2 ambiguous, 0 multiple, 0 none; 0 in b alone." in out
    assert "a: " in out
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    # 37 of 43 columns overlap
    assert report["largest_differences"][0]["iou"] == pytest.approx(37 / 43, abs=1e-4)
    assert report["contour_distance_px"]["all"]["instances"] == 4
    assert report["agreement"]["f"] == 1.0
    # The left three columns of the square are not covered, one of them farther than 2 px: 40 pixels are missing.
    assert report["rubric"]["verdicts"] == {"pass": 0, "look again": 2, "redo": 0}
    page = (tmp_path / "report" / "report.html").read_text()
    assert page.count("data:image/png;base64,") >= 4
    assert "<b>box" not in page
    assert "box &lt;b&gt;" in page
    assert not re.search(r"(src|href)=[\"']?http", page)  # nothing is loaded from elsewhere


def test_a_set_with_itself(compare, tmp_path: Path) -> None:
    a = label_set(tmp_path / "a", 0)
    code, out, _ = compare(a, a, "--out", tmp_path / "r", "--reference")
    assert code == 0
    assert "0.00 px apart on average" in out
    assert "pass, mark 100.0%" in out
    assert "There are none." in (tmp_path / "r" / "report.html").read_text()


def test_sets_that_do_not_fit(compare, tmp_path: Path) -> None:
    a = label_set(tmp_path / "a", 0)
    other = label_set(tmp_path / "b", 0, size=(80, 130))
    code, _, err = compare(a, other, "--out", tmp_path / "r")
    assert code == 2
    assert "is 120x80 in one set and 130x80 in the other" in err
    (tmp_path / "b" / "masks" / "000000.png").rename(tmp_path / "b" / "masks" / "x.png")
    (tmp_path / "b" / "masks" / "000001.png").unlink()
    assert "have no image in common" in compare(a, other, "--out", tmp_path / "r")[2]
    assert "There is no class 'sky' in" in compare(a, a, "--without", "sky")[2]
    assert "There is no project at" in compare(a, f"{tmp_path}/none@anna")[2]
    assert "There are no labels at" in compare(a, tmp_path / "none")[2]
    (tmp_path / "file").touch()
    assert "report cannot be made: Not a directory" in compare(a, a, "--out", tmp_path / "file" / "report")[2]
    (tmp_path / "b" / "masks" / "x.png").write_text("no image")
    assert "x.png is no image. Masks are PNG files" in compare(other, other)[2]
