"""The loop's benchmark: its JSON, its picture, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.loop import main
from connectors.street_scene import write_street
from workspace.errors import UserError

QUICK = [word for name in ("decoder_steps", "tuning_steps") for word in ("--set", f"propagation.{name}=3")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_street(tmp_path / "street", 5, 96, 64, 1, lambda done, total: None, as_frames=True)
    return tmp_path / "street"


@pytest.mark.slow
def test_two_strategies_side_by_side(folder: Path, tmp_path: Path) -> None:
    out, plot = tmp_path / "loop.json", tmp_path / "loop.png"
    names = "uniform@frame@1,gain_per_click"
    words = ["--granularity", "patch:32", "--budget", "3", "--rounds", "2", "--strategies", names, *QUICK]
    main([str(folder), *words, "--out", str(out), "--plot", str(plot)])
    result = json.loads(out.read_text())
    assert (result["data"], result["frames"]) == ("street", 5)
    kinds = [(run["strategy"], run["granularity"]) for run in result["runs"]]
    assert kinds == [("uniform", "frame"), ("gain_per_click", "patch:32")]
    frames, patches = (run["curve"] for run in result["runs"])
    assert [row["samples"] for row in frames] == [1, 2]
    assert [row["samples"] for row in patches] == [2, 5]  # two frames, then three patches
    for curve in (frames, patches):
        assert 0 < curve[0]["clicks"] < curve[1]["clicks"] < result["full_clicks"]
        assert curve[1]["share"] == pytest.approx(curve[1]["clicks"] / result["full_clicks"], abs=1e-6)
        assert 0 < curve[0]["miou"] < 1
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_several_videos_are_a_list_and_a_mean(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "loop.json"
    main(
        [str(folder), str(folder), "--strategy", "uniform", "--budget", "1", "--rounds", "2", *QUICK, "--out", str(out)]
    )
    results = json.loads(out.read_text())
    assert [result["data"] for result in results] == ["street", "street"]
    first, second = ([row["miou"] for row in result["runs"][0]["curve"]] for result in results)
    assert first == second  # the same video under the same seed
    assert "Mean of 2 videos" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--granularity", "patch"], "selection.granularity"),
        (["--granularity", "patch:0"], "selection.granularity"),
        (["--strategies", "uniform,best"], "no selection strategy 'best'"),
        (["--strategies", "uniform@frame@1@2"], "is no strategy"),
        (["--strategies", "uniform@"], "is no strategy"),
        (["--strategies", "uniform@frame@x"], "selection.budget"),
        (["--plot", "no/such/folder/a.png"], "cannot be written"),
    ],
)
def test_wrong_words_are_told_before_the_long_work(folder: Path, words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        main([str(folder), *words])
