"""The ablation on a small rendered clip: every part has its line, and a user's mistakes are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.ablation import main
from connectors.street_scene import write_street
from workspace.errors import UserError


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measured") / "street"
    write_street(folder, 8, 97, 65, 0, lambda done, total: None, as_frames=True)
    return folder


@pytest.mark.slow
def test_every_part_has_a_line(street: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    main([str(street), "--labeled", "2", "--set", "propagation.decoder_steps=30", "--out", str(out)])
    runs = json.loads(out.read_text())["runs"]
    assert [run["part"] for run in runs] == [
        "nearest",
        "flow",
        "network",
        "flow_loss",
        "fusion",
        "outlines",
        "warm_start",
    ]
    assert all(0 < run["miou"] <= 1 for run in runs)
    quality = {run["part"]: run["miou"] for run in runs}
    assert quality["fusion"] > quality["flow_loss"]  # the labels that arrive say more than two frames teach
    assert runs[0]["fit_seconds"] == 0


@pytest.mark.parametrize("labeled", ["1", "9"])
def test_labels_that_do_not_fit_are_told(street: Path, labeled: str) -> None:
    with pytest.raises(UserError, match=f"--labeled {labeled} does not fit"):
        main([str(street), "--labeled", labeled])
