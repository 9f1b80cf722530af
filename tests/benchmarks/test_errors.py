"""Planted mistakes in a small rendered clip, found by the real signals."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks.errors import main
from benchmarks.label_noise import main as label_noise
from benchmarks.options import run_benchmark
from connectors.street_scene import write_street


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measured") / "street"
    write_street(folder, 12, 160, 96, 0, lambda done, total: None)
    return folder


@pytest.mark.slow
def test_wrong_classes_are_found_in_exact_labels(street: Path, tmp_path: Path) -> None:
    main([str(street), "--seeds", "2", "--model-seeds", "0", "--out", str(tmp_path / "out.json")])
    result = json.loads((tmp_path / "out.json").read_text())
    summary = result["summary"]
    assert set(summary) == {"wrong_class", "missing_object", "shifted_contour", "swapped_ids"}
    for signals in summary.values():
        assert signals["random"]["precision"] == pytest.approx(1 / 12, abs=1e-4)
        assert {"contradiction", "shift", "flow together"} <= set(signals)
    assert summary["wrong_class"]["contradiction"]["auc"] > 0.8
    assert all(len(run["wrong"]) == 1 for run in result["videos"][0]["runs"])


@pytest.mark.parametrize(
    ("benchmark", "arguments", "message"),
    [
        (main, ["--seeds", "0"], "must be at least 1"),
        (label_noise, ["--noise", "fog:3"], "'fog:3' is no noise"),
        (label_noise, ["--noise", "wrong_class:3"], "is no noise"),
        (label_noise, ["--labeled", "12"], "12 labeled frames do not fit a video of 12 frames"),
    ],
)
def test_mistakes_are_one_line(
    street: Path, monkeypatch, capsys, benchmark, arguments: list[str], message: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["x", str(street), *arguments])
    assert run_benchmark(benchmark) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
