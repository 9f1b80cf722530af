"""Killed with SIGKILL anywhere and started again: nobody is asked twice, no label is lost, the masks are the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def attempts(folder: Path, *arguments: str) -> list[dict]:
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("kill_harness.py")), str(folder), *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_at_every_boundary_and_inside_every_step(tmp_path: Path) -> None:
    first, *others = attempts(tmp_path, "kill", "7")
    reference = first["reference"]
    assert first["exit"] == 0
    assert reference["state"] == "done"
    assert len(reference["labels"]) == 4  # 2 rounds of 2
    assert set(reference["asked"].values()) == {1}
    assert reference["masks_count"] == 8
    states = {attempt["point"].split(":")[0] for attempt in others}
    assert states >= {"ready", "selecting", "pushing", "waiting", "pulling", "fitting", "propagating"}
    assert len(others) > 60
    for attempt in others:
        assert attempt["died"] == -9, attempt
        assert attempt["again"] == 0, attempt
        assert attempt["outcome"] == reference, attempt["point"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_frozen_past_the_lease_and_woken(tmp_path: Path) -> None:
    first, *others = attempts(tmp_path, "freeze")
    assert len(others) >= 10
    for attempt in others:
        assert attempt["woken"] == 9, attempt  # it found the video taken, and stopped
        assert attempt["again"] == 0, attempt
        assert attempt["outcome"] == first["reference"], attempt["point"]
