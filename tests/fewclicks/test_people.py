"""`fewclicks people` shows what the log says, and tells what was counted from what nobody counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from fewclicks.app import app
from flows.labels import label_payload
from flows.projects import create_project
from workspace.facts import Facts, NewEvent
from workspace.files import write_image
from workspace.label import Label
from workspace.sample import Sample
from workspace.video import Video

VIDEO = Video("clip-0123456789", "clip", "0123456789" * 6 + "abcd", 6, 8, 8, 10.0, ".png")


def test_every_annotator_has_a_row(tmp_path: Path) -> None:
    layout = create_project(tmp_path / "street", "street", ["road", "car"], None)
    mask = np.zeros((8, 8), np.uint8)
    effort = {"clicks": 7, "keys": 0, "active_seconds": 3.25, "wall_seconds": 9.0}
    with Facts.open(layout.database_file) as facts:
        facts.add_video(VIDEO)
        for name in ("ann", "ben", "cem"):
            write_image(layout.video(VIDEO.id) / f"{name}.png", mask)
            label = Label(Sample(0), 1, name, name, f"{name}.png", False, 12.0, 64)
            payload = label_payload(label) | {"effort": effort if name == "ann" else None}
            facts.append(VIDEO.id, 1, NewEvent("label", payload))
        skipped = Label(Sample(1), 1, "x", "ann", None, True, 1.0, 0)
        facts.append(VIDEO.id, 1, NewEvent("label", label_payload(skipped)))
    done = CliRunner().invoke(app, ["people", str(layout.root)], env={"COLUMNS": "150"})
    assert done.exit_code == 0, done.output
    rows = {line.split("│")[1].strip(): line for line in done.output.splitlines() if line.startswith("│")}
    cells = [cell.strip() for cell in rows["ann"].split("│")[1:-1]]
    assert cells[:3] == ["ann", "1", "1"]
    assert cells[3].endswith("%")  # three who agree: right, as far as anyone can tell
    assert cells[4:] == ["-", "13", "7.0", "3.2"]
    assert [cell.strip() for cell in rows["ben"].split("│")[-3:-1]] == ["-", "-"]
