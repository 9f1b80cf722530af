"""A project whose facts lie in PostgreSQL, from `init` to `done`, by the same code."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest

from connectors.memory import MemoryTool
from flows import machine
from flows.context import open_context
from flows.machine import Outcome
from flows.projects import create_project
from workspace.facts import Facts
from workspace.files import write_image
from workspace.states import State

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_loop_runs_and_nothing_is_written_to_sqlite(tmp_path: Path, postgres_server: str) -> None:
    layout = create_project(tmp_path / "street", f"street {uuid.uuid4().hex[:8]}", ["ground", "box"], None)
    layout.database_file.unlink()  # made before the settings said otherwise
    settings = layout.config_file.read_text().replace("database: null", f"database: {postgres_server}", 1)
    for old, new in (
        ("name: mobilenet_v2", "name: compact"),
        ("weights: DEFAULT", "weights: null"),
        ("rounds: 10", "rounds: 1"),
        ("budget: 5", "budget: 2"),
        ("decoder_steps: 300", "decoder_steps: 3"),
        ("tuning_steps: 300", "tuning_steps: 3"),
    ):
        assert old in settings
        settings = settings.replace(old, new, 1)
    layout.config_file.write_text(settings)
    for index in range(4):
        write_image(tmp_path / "clip" / f"{index}.png", np.full((32, 48, 3), 40 * index, np.uint8))

    def fewclicks(*words: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "fewclicks", *map(str, words)]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert fewclicks("add", layout.root, tmp_path / "clip").returncode == 0
    tool = MemoryTool(answer=lambda question: np.eye(question.height, question.width, dtype=np.uint8))
    context = open_context(layout.root, tool)
    (row,) = context.facts.videos()
    assert machine.advance(context, row.video.id) is Outcome.DONE
    assert context.facts.tally(row.video.id).labeled == 2
    context.facts.close()
    shown = fewclicks("status", layout.root)
    assert (shown.returncode, "done" in shown.stdout, "2 of 2" in shown.stdout) == (0, True, True)
    assert not layout.database_file.exists()
    refused = fewclicks("backup", layout.root, tmp_path / "b.zip")
    assert (refused.returncode, "pg_dump" in refused.stderr) == (2, True)
    with Facts.of(layout) as facts:
        assert facts.videos()[0].state is State.DONE

    layout.config_file.write_text(settings.replace("fewclicks@", "fewclicks:secret@"))
    told = fewclicks("status", layout.root)
    assert (told.returncode, "PGPASSWORD" in told.stderr, "secret" in told.stderr) == (2, True, False)
    layout.config_file.write_text(settings.replace(postgres_server, "postgresql://fewclicks@127.0.0.1:9/x"))
    told = fewclicks("status", layout.root)
    assert (told.returncode, len(told.stderr.strip().splitlines())) == (2, 1)
    layout.config_file.write_text(settings.replace(postgres_server, "mysql://a@b/c"))
    assert "not supported" in fewclicks("status", layout.root).stderr
