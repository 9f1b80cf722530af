"""How many clicks a mask takes: the standard robot against a backend of the assist server.

python -m benchmarks.clicks grabcut50 --backend classic --out clicks.json

FOLDER holds frames/, masks/ and meta.json, or several such folders. The robot clicks at most 20 times; a mask that is
not good enough by then counts 20. Milliseconds are those of one click after the image has been looked at.

python -m benchmarks.clicks davis16/camel --start-from propagated --labeled 5 --weights mobilenet_v2.pth

FOLDER is a video of one object then. The robot mends the masks that the product propagates from evenly spaced labels;
a mask that needs no click counts 0, and `below_noc90` is over those that begin below 90 % only.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from assist.backends.interface import ClickBackend, mask_of_clicks
from assist.backends.registry import BACKENDS, click_backend
from assist.clicks import Click
from assist.examples import Example, examples_of
from assist.mending import is_mended
from assist.robot import MOST_CLICKS, click_through, clicks_to_reach
from benchmarks.options import benchmark_parser, check_writable, run_benchmark, settings_of, write_result
from benchmarks.propagated_masks import PropagatedFrame, propagated_frames

BARS = (0.85, 0.9)
SHOWN = (1, 3, 5)


def main(arguments: list[str] | None = None) -> None:
    parser = _parser()
    options = parser.parse_args(arguments)
    if min(options.every, options.most) < 1:
        parser.error("--every and --most must be at least 1")
    check_writable(options.out)
    backend = click_backend(options.backend, options.model, options.backend_weights)
    runs = []
    for folder in options.folders:
        name = folder.resolve().name
        if options.start_from == "propagated":
            frames = propagated_frames(folder, options.labeled, options.every, settings_of(options))
            runs.append(measure_mending(name, options.backend, backend, frames, options.most))
        else:
            chosen = examples_of(folder)[:: options.every]
            runs.append(measure(name, options.backend, backend, chosen, options.most))
    write_result(options.out, {"runs": runs})
    _print(runs)


def measure(
    data: str, name: str, backend: ClickBackend, examples: Sequence[Example], most: int = MOST_CLICKS
) -> dict[str, Any]:
    """One row of the result. Every object of every image counts once."""
    histories: list[list[float]] = []
    milliseconds: list[float] = []
    first: list[float] = []
    for example in track(examples, data, console=Console(stderr=True)):
        image, objects = example.read()
        for truth in objects:
            overlaps, spent, look = _clicked(backend, image, truth, most)
            histories.append(overlaps)
            milliseconds += spent
            first.append(look)
    return summary(data, name, histories, milliseconds, first, most)


def measure_mending(
    data: str, name: str, backend: ClickBackend, frames: Iterable[PropagatedFrame], most: int = MOST_CLICKS
) -> dict[str, Any]:
    """One row of the result, of masks that are there already."""
    histories: list[list[float]] = []
    milliseconds: list[float] = []
    first: list[float] = []
    for frame in track(list(frames), data, console=Console(stderr=True)):
        overlaps, spent, look = _clicked(backend, frame.image, frame.truth, most, frame.mask, least=0)
        histories.append(overlaps)
        milliseconds += spent
        first.append(look)
    below = [history for history in histories if history[0] < BARS[1]]
    clicks = [clicks_to_reach(history, BARS[1], most) for history in below]
    return summary(data, name, histories, milliseconds, first, most) | {
        "start_iou": round(float(np.mean([history[0] for history in histories])), 4),
        "below": len(below),
        "below_noc90": round(float(np.mean(clicks)), 3) if clicks else None,
    }


def summary(
    data: str,
    name: str,
    histories: Sequence[Sequence[float]],
    milliseconds: Sequence[float],
    first_ms: Sequence[float],
    most: int = MOST_CLICKS,
) -> dict[str, Any]:
    """Means over objects. After an early end (nothing left to click) the last overlap stands for the clicks after."""
    needed = {bar: [clicks_to_reach(history, bar, most) for history in histories] for bar in BARS}
    spent = milliseconds or [0.0]
    return {
        "data": data,
        "backend": name,
        "objects": len(histories),
        "noc85": round(float(np.mean(needed[0.85])), 3),
        "noc90": round(float(np.mean(needed[0.9])), 3),
        "iou_at": {str(k): round(float(np.mean([h[min(k, len(h) - 1)] for h in histories])), 4) for k in SHOWN},
        "failures": sum(max(history) < BARS[1] for history in histories),
        "click_p50_ms": round(float(np.percentile(spent, 50)), 1),
        "click_p95_ms": round(float(np.percentile(spent, 95)), 1),
        "look_p50_ms": round(float(np.percentile(first_ms or [0.0], 50)), 1),
    }


def _clicked(
    backend: ClickBackend,
    image: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    most: int,
    start: NDArray[np.bool_] | None = None,
    least: int = max(SHOWN),
) -> tuple[list[float], list[float], float]:
    """The overlap after each click, the milliseconds of each, and those of looking at the image."""
    began = time.perf_counter()
    looked = backend.look(image)
    look = 1000 * (time.perf_counter() - began)
    spent: list[float] = []

    def segment(clicks: Sequence[Click], before: NDArray[np.bool_]) -> NDArray[np.bool_]:
        asked = time.perf_counter()
        mask = mask_of_clicks(backend, looked, clicks, previous=before, mending=is_mended(start, clicks))
        spent.append(1000 * (time.perf_counter() - asked))
        return mask

    overlaps = click_through(segment, truth, start, most, BARS[1], least)
    return overlaps, spent, look


def _print(runs: Sequence[dict[str, Any]]) -> None:
    table = Table("data", "backend", "NoC@85", "NoC@90", "IoU@1", "IoU@3", "IoU@5", "failures", "click p50", "p95")
    for run in runs:
        overlaps = [f"{run['iou_at'][str(k)]:.3f}" for k in SHOWN]
        times = [f"{run[key]:.0f} ms" for key in ("click_p50_ms", "click_p95_ms")]
        counts = [f"{run['noc85']:.2f}", f"{run['noc90']:.2f}"]
        table.add_row(run["data"], run["backend"], *counts, *overlaps, str(run["failures"]), *times)
    Console().print(table)


def _parser() -> argparse.ArgumentParser:
    parser = benchmark_parser("clicks", __doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="frames/, masks/ and meta.json")
    parser.add_argument("--backend", default="classic", metavar="NAME", help=", ".join(sorted(BACKENDS)))
    parser.add_argument("--model", type=Path, metavar="DIR", help="a trained model for the backend")
    parser.add_argument("--backend-weights", metavar="PATH", help="of the backend sam: a folder or a name on the hub")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth image")
    parser.add_argument("--most", type=int, default=MOST_CLICKS, metavar="N", help="clicks after which the robot stops")
    parser.add_argument(
        "--start-from", choices=("nothing", "propagated"), default="nothing", help="what the robot begins with"
    )
    parser.add_argument("--labeled", type=int, default=5, metavar="N", help="labeled frames to propagate from")
    return parser


if __name__ == "__main__":
    sys.exit(run_benchmark(main))
