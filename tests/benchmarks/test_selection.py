import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.selection import embeddings, peak_rss_mb
from selection.clusters import inertia

ROOT = Path(__file__).parents[2]


def run(*options):
    command = [sys.executable, "-m", "benchmarks.selection", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=200)


@pytest.mark.slow
def test_the_report_holds_the_three_methods_and_the_stream(tmp_path):
    out = tmp_path / "report.json"
    done = run("--candidates=20000", "--dim=16", "--budget=20", "--stream=200000", f"--out={out}")
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text())
    assert [r["method"] for r in report["runs"]] == ["ours", "sklearn_kmeans", "sklearn_minibatch"]
    ours, kmeans, _ = report["runs"]
    assert ours["inertia"] == pytest.approx(kmeans["inertia"], rel=0.05)
    assert all(r["seconds"] > 0 and r["peak_rss_mb"] > 20 for r in report["runs"])
    assert report["stream"]["picked"] == 20
    assert "sklearn_minibatch"[:8] in done.stdout


@pytest.mark.parametrize(
    "options", [["--candidates=0"], ["--candidates=5", "--budget=6"], ["--out=no/such/folder/x.json"]]
)
def test_wrong_options_are_one_line_and_exit_code_2(options):
    done = run(*options)
    assert done.returncode == 2
    assert "error:" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_embeddings_are_the_same_for_a_seed():
    assert (embeddings(1000, 8, 3) == embeddings(1000, 8, 3)).all()
    assert (embeddings(1000, 8, 3) != embeddings(1000, 8, 4)).any()


def test_inertia_on_paper():
    points, centroids = np.array([[0], [1], [10]], np.float32), np.array([[0], [8]], np.float32)
    assert inertia(points, centroids) == 0 + 1 + 4


def test_memory_is_measured_in_megabytes():
    block = np.ones(200_000_000, np.uint8)
    assert peak_rss_mb() > block.nbytes / 1e6
