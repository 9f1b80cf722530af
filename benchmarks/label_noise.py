"""How much label noise a model stands: learn from distorted labels, score on clean ones.

python -m benchmarks.label_noise FOLDER... --noise none,dilation:3,random:3,mixed:3 --weights mobilenet_v2.pth --out
FILE

A noise is a name of quality/label_noise.py with a strength in pixels, or a kind of quality/planted_errors.py with the
share of wrong labels (wrong_class:0.3). `miou` is over frames that nobody labeled; `small`, `medium` and `large` are
the mean IoU of the true regions of that size with the prediction of their class around them. --weight W measures
each noise a second time as with the setting review.contradicted_weight: W.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.options import benchmark_parser, check_writable, run_benchmark, settings_of, write_result
from connectors.measured_folder import open_measured_folder
from flows.noise_experiment import DOWN_WEIGHTED, learn_from_noise, read_noise
from quality.comparison import SIZES
from workspace.errors import UserError


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    check_writable(options.out)
    noises = [read_noise(text) for text in options.noise.split(",")]
    if not 0 < options.weight <= 1:
        raise UserError(f"--weight {options.weight:g} is not above 0 and at most 1.")
    folders = [open_measured_folder(path) for path in options.folders]
    settings = settings_of(options)
    table = Table("data", "noise", "doubtful px", "labels' own mIoU", "mIoU", *SIZES, title="Label noise")
    runs = []
    for folder in folders:
        learned = learn_from_noise(
            folder,
            noises,
            settings.segmenter,
            settings.propagation,
            options.labeled,
            options.judged,
            options.weight,
        )
        for one in learned:
            run = {"data": folder.name, "labeled": options.labeled} | asdict(one) | {"noise": str(one.noise)}
            runs.append(run)
            Console(stderr=True).print(run, highlight=False)
            cells = ("-" if share is None else f"{100 * share:.1f}" for share in (one.by_size[size] for size in SIZES))
            doubtful = str(one.doubtful_px) if one.variant == DOWN_WEIGHTED else ""
            scores = f"{100 * one.labels_miou:.1f}", f"{100 * one.miou:.1f}"
            table.add_row(folder.name, str(one.noise), doubtful, *scores, *cells)
    Console().print(table)
    write_result(options.out, {"runs": runs})


def _parser() -> argparse.ArgumentParser:
    parser = benchmark_parser("label_noise", __doc__)
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="video.mp4 or frames/, masks/, meta.json"
    )
    default = "none,dilation:1,dilation:3,dilation:5,dilation:10,random:3,random:10,mixed:3"
    parser.add_argument("--noise", default=default, metavar="NAME:STRENGTH,...")
    parser.add_argument("--labeled", type=int, default=5, metavar="N", help="labeled frames, evenly spaced")
    parser.add_argument("--judged", type=int, default=20, metavar="N", help="other frames to score on, about so many")
    parser.add_argument(
        "--weight", type=float, default=1.0, metavar="W", help="also with less trust in what looks wrong"
    )
    return parser


if __name__ == "__main__":
    sys.exit(run_benchmark(main))
