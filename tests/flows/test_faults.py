"""A short campaign of random faults in every run of the tests; `make faults` is the long one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_few_faults_over_three_videos() -> None:
    # with this seed a lease that fences nothing is found out
    campaign = Path(__file__).with_name("fault_campaign.py")
    done = subprocess.run(
        [sys.executable, str(campaign), "--faults", "20", "--videos", "3", "--seed", "2"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    lines = done.stdout.splitlines()
    assert lines[0] == "seed 2"  # says how to repeat it
    assert lines[-1] == "all as without faults"
    assert sum(int(line.rsplit(maxsplit=1)[1]) for line in lines[2:13]) == 20
