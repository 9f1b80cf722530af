"""Are bad masks found by how they were clicked? Simulated annotators of different care, on real images.

python -m benchmarks.click_care grabcut50 coco_mval --learn coco_train --out care.json

Each object of FOLDER is clicked once, by somebody of a care of their own, with help. The order is by the predicted
overlap, lowest first; a mask is bad below --bad. `found` is the share of all bad masks among the first so many of the
order, `random` what chance finds. --learn: predict by a model learned from these folders; without, by the one that
ships. How people of little care behave is assumed (assist/careless.py), not measured.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from assist.backends.interface import ClickBackend
from assist.backends.registry import BACKENDS, click_backend
from assist.careless import clicked_by, somebody
from assist.examples import examples_of
from benchmarks.options import check_writable, run_benchmark, write_result
from quality.care_model import SHIPPED
from quality.click_care import CareModel, found_by_share, learn_care
from quality.review_order import area_under_curve
from workspace.click_sequence import ClickSequence

SHARES = (0.1, 0.2, 0.3, 0.5)


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    check_writable(options.out)
    backend = click_backend(options.backend, options.model)
    model = SHIPPED
    if options.learn:
        model = learn_care(*simulated(options.learn, backend, options.every, options.times, options.seed + 1))
    runs = []
    for folder in options.folders:
        sequences, overlaps = simulated([folder], backend, options.every, 1, options.seed)
        runs.append(measure(folder.resolve().name, model, sequences, overlaps, options.bad))
    write_result(options.out, {"runs": runs, "model": asdict(model)})
    table = Table("data", "masks", "bad", "AUC", *[f"first {share:.0%}" for share in SHARES], "mean error")
    for run in runs:
        found = [f"{run['found'][f'{share:g}']:.0%}" for share in SHARES]
        table.add_row(
            run["data"], str(run["masks"]), str(run["bad"]), f"{run['auc']:.2f}", *found, f"{run['error']:.3f}"
        )
    Console().print(table)


def simulated(
    folders: Sequence[Path], backend: ClickBackend, every: int, times: int, seed: int
) -> tuple[list[ClickSequence], list[float]]:
    """Sequence and overlap of each object of every `every`-th image, clicked by `times` people."""
    sequences, overlaps = [], []
    for folder in folders:
        name = folder.resolve().name
        for number, example in enumerate(
            track(examples_of(folder)[::every], f"clicking {name}", console=Console(stderr=True))
        ):
            image, objects = example.read()
            for place, truth in enumerate(objects):
                for time in range(times):
                    rng = np.random.default_rng([seed, number, place, time])
                    sequence, overlap = clicked_by(somebody(rng), backend, image, truth, rng)
                    if sequence:
                        sequences.append(sequence)
                        overlaps.append(overlap)
    return sequences, overlaps


def measure(
    data: str, model: CareModel, sequences: Sequence[ClickSequence], overlaps: Sequence[float], bad: float
) -> dict[str, Any]:
    """One row of the result."""
    predicted = np.array([model.predict(sequence) for sequence in sequences])
    wrong = np.asarray(overlaps) < bad
    order = np.argsort(predicted, kind="stable")
    return {
        "data": data,
        "masks": len(sequences),
        "bad": int(wrong.sum()),
        "auc": round(area_under_curve(-predicted, wrong), 4),
        "found": {f"{share:g}": round(found_by_share(order, wrong, share), 4) for share in SHARES},
        "random": {f"{share:g}": share for share in SHARES},
        "error": round(float(np.abs(predicted - overlaps).mean()), 4),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.click_care",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="frames/, masks/ and meta.json")
    parser.add_argument("--learn", action="append", type=Path, default=[], metavar="FOLDER", help="may be repeated")
    parser.add_argument("--backend", default="classic", metavar="NAME", help=", ".join(sorted(BACKENDS)))
    parser.add_argument("--model", type=Path, metavar="DIR", help="a trained model for the backend")
    parser.add_argument("--bad", type=float, default=0.75, metavar="IOU", help="masks below it are bad")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth image")
    parser.add_argument("--times", type=int, default=2, metavar="N", help="people per object learned from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the result as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(run_benchmark(main))
