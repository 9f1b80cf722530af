"""Clustering many candidates: ours against scikit-learn's KMeans and MiniBatchKMeans, each in a process of its own.

    python -m benchmarks.selection --candidates 1000000 --dim 64 --budget 100 --out FILE

Every method gets the same embeddings and does the same job: `budget` centroids and the candidate nearest to each.
`seconds` is that job alone, without imports; `peak_rss_mb` the most memory its process held until then (interpreter,
libraries and the candidate matrix included); `inertia` the sum over all candidates of the squared distance to the
nearest centroid. `--stream N` also selects from N streamed candidates and adds the key `stream`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.memory import peak_rss_mb

METHODS = ("ours", "sklearn_kmeans", "sklearn_minibatch")
_BLOCK = 65_536

Job = Callable[[NDArray[np.float32], int, int], NDArray[np.float32]]


def embeddings(candidates: int, dim: int, seed: int) -> NDArray[np.float32]:
    """(candidates, dim) float32: 400 groups of unequal size and width on a low-dimensional sheet, like real features.

    Filled block by block, so that making them takes no more memory than they do.
    """
    rng = np.random.default_rng(seed)
    sheet = rng.normal(size=(min(16, dim), dim)).astype(np.float32)
    centres = rng.normal(scale=2, size=(400, len(sheet))).astype(np.float32) @ sheet
    width = rng.uniform(0.3, 1.5, 400).astype(np.float32)
    share = rng.dirichlet(np.full(400, 0.5))
    points = np.empty((candidates, dim), np.float32)
    for start in range(0, candidates, _BLOCK):
        block = points[start : start + _BLOCK]
        group = rng.choice(400, len(block), p=share)
        rng.standard_normal(out=block, dtype=np.float32)
        block *= width[group, None]
        block += centres[group]
    return points


def job(method: str) -> Job:
    """The method as a function of points, budget and seed that picks, and returns the centroids it picked by."""
    # Each process imports its own library only: what the others would add to its memory is not its own.
    if method == "ours":
        from selection.clusters import kmeans, nearest_distinct

        def ours(points: NDArray[np.float32], budget: int, seed: int) -> NDArray[np.float32]:
            centroids = kmeans(points, budget, seed)
            nearest_distinct(points, centroids)
            return centroids

        return ours

    from sklearn.cluster import KMeans, MiniBatchKMeans
    from sklearn.metrics import pairwise_distances_argmin

    def sklearn(points: NDArray[np.float32], budget: int, seed: int) -> NDArray[np.float32]:
        kind = KMeans if method == "sklearn_kmeans" else MiniBatchKMeans
        centroids = np.asarray(kind(budget, n_init="auto", random_state=seed).fit(points).cluster_centers_, np.float32)
        pairwise_distances_argmin(centroids, points)
        return centroids

    return sklearn


def measure(method: str, candidates: int, dim: int, budget: int, seed: int) -> dict[str, Any]:
    points = embeddings(candidates, dim, seed)
    pick = job(method)
    begin = time.perf_counter()
    centroids = pick(points, budget, seed)
    seconds = time.perf_counter() - begin
    peak = peak_rss_mb()
    from selection.clusters import inertia

    total = sum(inertia(points[start : start + _BLOCK], centroids) for start in range(0, candidates, _BLOCK))
    return {"method": method, "seconds": round(seconds, 3), "peak_rss_mb": round(peak, 1), "inertia": total}


def measure_stream(candidates: int, dim: int, budget: int, seed: int) -> dict[str, Any]:
    from selection.streaming import Chunk, stream_centroids

    pool = embeddings(_BLOCK, dim, seed)
    rng = np.random.default_rng(seed)

    def chunks() -> Iterator[Chunk]:
        for start in range(0, candidates, _BLOCK):
            score = rng.random(min(_BLOCK, candidates - start), np.float32)
            yield Chunk(score, lambda rows: pool[rows])

    begin = time.perf_counter()
    picks = stream_centroids(chunks(), budget, np.random.default_rng(seed))
    seconds = time.perf_counter() - begin
    return {
        "candidates": candidates,
        "picked": len(set(picks.tolist())),
        "seconds": round(seconds, 3),
        "peak_rss_mb": round(peak_rss_mb(), 1),
    }


def in_own_process(method: str, arguments: argparse.Namespace, candidates: int) -> dict[str, Any]:
    sizes = {"candidates": candidates, "dim": arguments.dim, "budget": arguments.budget, "seed": arguments.seed}
    options = [f"--{name}={value}" for name, value in sizes.items()]
    command = [sys.executable, "-m", "benchmarks.selection", f"--measure={method}", *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        print(f"{method} failed with exit code {done.returncode}", file=sys.stderr)
        raise SystemExit(1)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def show(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    reference = next((run for run in report["runs"] if run["method"] == "sklearn_kmeans"), report["runs"][0])
    table = Table(title=f"{report['candidates']:,} candidates of {report['dim']} numbers, {report['budget']} clusters")
    for column in (
        "method",
        "seconds",
        "times faster",
        "peak RSS, MB",
        "times the matrix",
        "inertia",
        "against KMeans",
    ):
        table.add_column(column, justify="left" if column == "method" else "right")
    for run in report["runs"]:
        table.add_row(
            run["method"],
            f"{run['seconds']:.2f}",
            f"{reference['seconds'] / run['seconds']:.1f}x",
            f"{run['peak_rss_mb']:.0f}",
            f"{run['peak_rss_mb'] / report['matrix_mb']:.2f}x",
            f"{100 * (run['inertia'] / reference['inertia'] - 1):+.2f} %",
        )
    console = Console()
    console.print(table)
    if "stream" in report:
        stream = report["stream"]
        console.print(
            f"streamed {stream['candidates']:,} candidates: {stream['picked']} picked in {stream['seconds']:.1f} s, "
            f"{stream['peak_rss_mb']:.0f} MB"
        )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.selection", description=__doc__.splitlines()[0])
    parser.add_argument("--candidates", type=_positive, default=1_000_000)
    parser.add_argument("--dim", type=_positive, default=64)
    parser.add_argument("--budget", type=_positive, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stream", type=_positive, help="also select from so many streamed candidates")
    parser.add_argument("--out", type=Path, help="the JSON report")
    parser.add_argument("--measure", choices=(*METHODS, "stream"), help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    sizes = (arguments.candidates, arguments.dim, arguments.budget, arguments.seed)
    if arguments.budget > arguments.candidates:
        parser.error(f"--budget {arguments.budget} is more than --candidates {arguments.candidates}")
    if arguments.measure is not None:
        result = measure_stream(*sizes) if arguments.measure == "stream" else measure(arguments.measure, *sizes)
        print(json.dumps(result))
        return 0
    if arguments.out is not None and not arguments.out.absolute().parent.is_dir():
        parser.error(f"--out {arguments.out}: there is no folder {arguments.out.absolute().parent}")
    report: dict[str, Any] = {
        "candidates": arguments.candidates,
        "dim": arguments.dim,
        "budget": arguments.budget,
        "seed": arguments.seed,
        "matrix_mb": arguments.candidates * arguments.dim * 4 / 1e6,
        "runs": [in_own_process(method, arguments, arguments.candidates) for method in METHODS],
    }
    if arguments.stream is not None:
        report["stream"] = in_own_process("stream", arguments, arguments.stream)
    show(report)
    if arguments.out is not None:
        from workspace.files import write_json

        write_json(arguments.out, report)
    return 0


def _positive(text: str) -> int:
    value = int(text) if text.isdigit() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return value


if __name__ == "__main__":
    sys.exit(main())
