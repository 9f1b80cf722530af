"""The propagation benchmark on a small rendered clip: the contract's keys, and a user's mistakes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks.options import run_benchmark
from benchmarks.propagation import main
from connectors.street_scene import write_street
from workspace.errors import UserError

QUICK = [word for name in ("decoder_steps", "tuning_steps") for word in ("--set", f"propagation.{name}=3")]


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measured") / "street"
    write_street(folder, 8, 96, 64, 0, lambda done, total: None)
    return folder


@pytest.mark.slow
def test_it_writes_what_the_contract_names(street: Path, tmp_path: Path) -> None:
    main([str(street), "--labeled", "1,2", *QUICK, "--out", str(tmp_path / "out.json")])
    runs = json.loads((tmp_path / "out.json").read_text())["runs"]
    keys = {
        "data",
        "labeled",
        "miou_flow",
        "miou_warped",
        "miou",
        "ece",
        "estimate_error",
        "fit_seconds",
        "fps",
        "peak_rss_mb",
    }
    assert [run["labeled"] for run in runs] == [1, 2]
    for run in runs:
        assert set(run) >= keys
        assert 0 < run["miou"] <= 1
        assert 0 <= run["ece"] <= 1
        assert run["fps"] > 0


@pytest.mark.parametrize(("labeled", "message"), [("many", "is no list of numbers"), ("9", "a video of 8 frames")])
def test_mistakes_are_one_line(street: Path, monkeypatch, capsys, labeled: str, message: str) -> None:
    monkeypatch.setattr(sys, "argv", ["propagation", str(street), "--labeled", labeled])
    assert run_benchmark(main) == 2
    error = capsys.readouterr().err
    assert len(error.strip().splitlines()) == 1
    assert message in error


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("tuning_steps=0", "is no setting"),
        ("propagation.tuning_steps", "is no setting"),
        ("nothing.key=1", "is no setting"),
        ("propagation.speed=1", "propagation.speed"),
        ("propagation.tuning_steps=[", "is no value"),
    ],
)
def test_wrong_settings_are_told(street: Path, word: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        main([str(street), "--set", word])
