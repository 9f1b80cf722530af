"""benchmarks.clicks and benchmarks.boxes on pictures that are quick to click on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import assist_load, boxes, click_care, clicks
from workspace.errors import UserError


def test_the_report_of_clicks(footage: Path, tmp_path: Path) -> None:
    out = tmp_path / "clicks.json"
    clicks.main([str(footage), "--every", "2", "--backend", "classic", "--out", str(out)])
    (run,) = json.loads(out.read_text())["runs"]
    assert (run["data"], run["backend"], run["objects"]) == ("rectangles", "classic", 2)
    # red on blue: one click is enough for each
    assert run["noc85"] == run["noc90"] == 1.0
    assert run["failures"] == 0
    assert run["iou_at"]["1"] > 0.9
    assert set(run["iou_at"]) == {"1", "3", "5"}
    assert 0 < run["click_p50_ms"] <= run["click_p95_ms"]


def test_masks_that_were_propagated_are_mended(footage: Path, tmp_path: Path) -> None:
    out = tmp_path / "clicks.json"
    quick = ["--set", "propagation.decoder_steps=1", "--set", "propagation.tuning_steps=0", "--labeled", "2"]
    clicks.main([str(footage), "--start-from", "propagated", *quick, "--every", "2", "--out", str(out)])
    (run,) = json.loads(out.read_text())["runs"]
    assert run["objects"] == 1  # of four frames two are labeled
    assert 0 <= run["start_iou"] <= 1
    assert run["below"] in (0, 1)
    assert run["noc90"] == (run["below_noc90"] if run["below"] else 0)
    with pytest.raises(UserError, match="--labeled 4 does not fit a video of 4 frames"):
        clicks.main([str(footage), "--start-from", "propagated", "--labeled", "4"])


def test_the_report_of_waiting(footage: Path, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "load.json"
    few = ["--annotators", "2", "--frames", "1", "--clicks", "2", "--pause", "0"]
    assist_load.main([str(footage), "--model", str(tiny_model), *few, "--out", str(out)])
    one, two = json.loads(out.read_text())["runs"]
    assert (one["annotators"], two["annotators"]) == (1, 2)
    for run in (one, two):
        assert [run[kind]["answers"] for kind in ("first", "click", "snap")] == [run["annotators"]] * 3
        assert 0 < run["first"]["p50_ms"] <= run["first"]["p95_ms"] <= run["first"]["max_ms"]
        assert run["empty_answers"] == 0
    with pytest.raises(UserError, match="no assist model"):
        assist_load.main([str(footage), "--backend", "learned", "--model", str(tmp_path)])


def test_the_report_of_care(footage: Path, tmp_path: Path) -> None:
    out = tmp_path / "care.json"
    click_care.main([str(footage), "--learn", str(footage), "--times", "4", "--out", str(out)])
    result = json.loads(out.read_text())
    (run,) = result["runs"]
    assert 0 < run["masks"] <= 4
    assert 0 <= run["bad"] <= run["masks"]
    assert set(run["found"]) == {"0.1", "0.2", "0.3", "0.5"}
    assert len(result["model"]["weights"]) == 18


def test_what_was_never_good_enough_counts_the_most_clicks() -> None:
    run = clicks.summary("d", "b", [[0, 0.5, 0.86], [0, 0.95], [0.92]], [1.0, 3.0], [2.0])
    assert run["noc85"] == round((2 + 1 + 0) / 3, 3)
    assert run["noc90"] == round((20 + 1 + 0) / 3, 3)
    assert run["iou_at"]["1"] == round((0.5 + 0.95 + 0.92) / 3, 4)
    assert run["failures"] == 1
    assert run["click_p50_ms"] == 2.0


def test_the_report_of_boxes(footage: Path, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "boxes.json"
    boxes.main([str(footage), "--model", str(tiny_model), "--out", str(out)])
    (run,) = json.loads(out.read_text())["runs"]
    assert run["objects"] == 4
    names = {"iou90", "edge1", "edge3", "corner1", "corner3", "miou"}
    assert set(run["before"]) == set(run["after"]) == names
    # the worst box of the protocol: shifted by a tenth and a tenth smaller both ways
    assert 0.5 < run["before"]["miou"] < 1
    assert all(0 <= value <= 1 for value in run["after"].values())
    boxes.main([str(footage), "--out", str(out)])  # without a model: by colour, which suffices for plain rectangles
    (run,) = json.loads(out.read_text())["runs"]
    assert run["model"].startswith("snap-colour")
    assert run["after"]["miou"] > max(0.9, run["before"]["miou"])


@pytest.mark.parametrize("main", [clicks.main, boxes.main])
def test_folders_that_cannot_be_measured_are_named(main, tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(UserError, match="no folder"):
        main([str(tmp_path / "none"), "--model", str(tiny_model)])
    with pytest.raises(UserError, match="cannot be written"):
        main([str(tmp_path), "--model", str(tiny_model), "--out", str(tmp_path / "a" / "b.json")])
