"""How well roughly drawn boxes snap to the objects in them.

python -m benchmarks.boxes coco_mval --model model --out boxes.json

Without --model: what snaps without any learning.

FOLDER holds frames/, masks/ and meta.json, or several such folders. Around every object a box is drawn whose centre is
off by up to 10 % of each side and whose sides are 0.9 to 1.1 times as long; before and after it is snapped.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from assist.box_jitter import box_scores, drawn_roughly
from assist.clicks import Box, box_around
from assist.color_snapping import ColorSnapper
from assist.examples import Example, examples_of
from assist.snapping import BoxSnapper, Snapper
from benchmarks.options import check_writable, run_benchmark, write_result


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    check_writable(options.out)
    snapper = ColorSnapper() if options.model is None else Snapper.of(options.model)
    runs = [measure(f.resolve().name, snapper, examples_of(f), options.seed) for f in options.folders]
    write_result(options.out, {"runs": runs})
    table = Table("data", "", "IoU > 0.9", "edges 1 px", "3 px", "corners 1 px", "3 px", "mean IoU", "p95")
    for run in runs:
        for when in ("before", "after"):
            values = [f"{run[when][k]:.1%}" for k in ("iou90", "edge1", "edge3", "corner1", "corner3")]
            spent = f"{run['snap_p95_ms']:.0f} ms" if when == "after" else ""
            table.add_row(run["data"], when, *values, f"{run[when]['miou']:.3f}", spent)
    Console().print(table)


def measure(data: str, snapper: BoxSnapper, examples: Sequence[Example], seed: int) -> dict[str, Any]:
    """One row of the result. Every object of every image counts once."""
    rng = np.random.default_rng(seed)
    right: list[Box] = []
    drawn: list[Box] = []
    snapped: list[Box] = []
    spent: list[float] = []
    for example in track(examples, data, console=Console(stderr=True)):
        image, objects = example.read(smallest_px=1)
        for truth in objects:
            box = box_around(truth == 1)
            assert box is not None
            rough = drawn_roughly(box, rng)
            began = time.perf_counter()
            snapped.append(snapper.snap(image, rough).box)
            spent.append(1000 * (time.perf_counter() - began))
            right.append(box)
            drawn.append(rough)
    return {
        "data": data,
        "model": snapper.version,
        "objects": len(right),
        "before": _rounded(box_scores(drawn, right)),
        "after": _rounded(box_scores(snapped, right)),
        "snap_p50_ms": round(float(np.percentile(spent, 50)), 1),
        "snap_p95_ms": round(float(np.percentile(spent, 95)), 1),
    }


def _rounded(scores: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in scores.items()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.boxes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="frames/, masks/ and meta.json")
    parser.add_argument("--model", type=Path, metavar="DIR", help="made by `fewclicks assist train`")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the result as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(run_benchmark(main))
