"""How much label noise a model stands: learn from distorted labels, score on clean ones.

python -m benchmarks.label_noise FOLDER... --noise none,dilation:3,random:3,mixed:3 --weights mobilenet_v2.pth --out
FILE

A noise is a name of quality/label_noise.py with a strength in pixels, or a kind of quality/planted_errors.py with the
share of wrong labels (wrong_class:0.3). `miou` is over frames that nobody labeled; `small`, `medium` and `large` are
the mean IoU of the true regions of that size with the prediction of their class around them. --drop measures each
noise a second time with the regions left out of the fit that `flows.reviewing` finds contradicted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.measured_video import measured_video, quiet
from benchmarks.options import benchmark_parser, check_writable, run_benchmark, settings_of, write_result
from connectors.measured_folder import MeasuredFolder, open_measured_folder
from flows.reviewing import CONTRADICTION, to_review
from propagation.fit import fit
from propagation.propagate import propagate
from quality.comparison import SIZES, size_of
from quality.label_noise import NOISES
from quality.planted_errors import KINDS
from quality.scores import confusion, miou
from quality.suspicion import Sign
from workspace.config import SegmenterConfig
from workspace.errors import UserError
from workspace.instance import regions
from workspace.mask import UNKNOWN, MaskArray

_LEAST_REGION_PX = 100
_MARGIN_PX = 12
_SHARE_TO_DROP = 0.7


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    check_writable(options.out)
    noises = [_noise(text) for text in options.noise.split(",")]
    folders = [open_measured_folder(path) for path in options.folders]
    segmenter = settings_of(options).segmenter
    table = Table("data", "noise", "dropped", "labels' own mIoU", "mIoU", *SIZES, title="Label noise")
    runs = []
    for folder in folders:
        for run in measure(folder, noises, segmenter, options):
            runs.append(run)
            cells = ("-" if run[size] is None else f"{100 * run[size]:.1f}" for size in SIZES)
            scores = f"{100 * run['labels_miou']:.1f}", f"{100 * run['miou']:.1f}"
            table.add_row(run["data"], run["noise"], str(run["dropped_px"] or ""), *scores, *cells)
    Console().print(table)
    write_result(options.out, {"runs": runs})


def measure(
    folder: MeasuredFolder, noises: list[tuple[str, float]], segmenter: SegmenterConfig, options: argparse.Namespace
) -> list[dict[str, Any]]:
    settings = settings_of(options).propagation
    classes = len(folder.classes)
    runs = []
    with measured_video(folder, settings) as measured:
        video, frames, flow = measured.video, measured.frames, measured.flow
        if not 2 <= options.labeled < video.frames:
            raise UserError(f"--labeled {options.labeled} does not fit a video of {video.frames} frames.")
        chosen = [int((i + 0.5) * video.frames / options.labeled) for i in range(options.labeled)]
        others = [i for i in range(video.frames) if i not in chosen]
        judged = others[:: max(1, len(others) // options.judged)]
        for name, strength in noises:
            clean = {index: folder.truth(index) for index in chosen}
            noisy = distorted(clean, name, strength, classes, options.seed)
            own = sum(confusion(clean[i], noisy[i], classes) for i in chosen)
            variants = {"": noisy}
            if options.drop:
                found = to_review(frames, noisy, flow, classes, None, settings, {}, quiet)
                variants["drop"] = without_contradicted(noisy, found.signs[CONTRADICTION])
            for variant, labels in variants.items():
                model = fit(frames, labels, flow, classes, segmenter, settings, None, quiet)
                scratch = measured.scratch()
                scores = _scores(
                    folder,
                    {
                        p.index: p.mask
                        for p in propagate(
                            frames, labels, flow, classes, segmenter, settings, model, scratch, judged, quiet
                        )
                    },
                    classes,
                )
                dropped = sum(int((noisy[i] != labels[i]).sum()) for i in chosen)
                runs.append(
                    {"data": folder.name, "noise": f"{name}:{strength:g}" if strength else name, "variant": variant,
                     "labeled": len(chosen), "dropped_px": dropped, "labels_miou": round(miou(np.asarray(own)), 4)}
                    | scores
                )  # fmt: skip
                Console(stderr=True).print(runs[-1], highlight=False)
    return runs


def distorted(
    labels: Mapping[int, MaskArray], name: str, strength: float, classes: int, seed: int
) -> dict[int, MaskArray]:
    """The labels with this noise."""
    rng = np.random.default_rng(seed)
    if name in NOISES:
        return {index: NOISES[name](mask, strength, rng) for index, mask in labels.items()}
    out = dict(labels)
    if name in KINDS:
        for index in rng.permutation(sorted(labels))[: round(strength * len(labels))].tolist():
            changed = KINDS[name](labels[index], classes, rng)
            out[index] = labels[index] if changed is None else changed
    return out


def without_contradicted(labels: Mapping[int, MaskArray], signs: tuple[Sign, ...]) -> dict[int, MaskArray]:
    """The labels with 255 in the box of each region that is contradicted almost as a whole."""
    out = {}
    for index, sign in zip(sorted(labels), signs, strict=True):
        mask = labels[index].copy()
        if sign.share >= _SHARE_TO_DROP:
            y, x, height, width = sign.box
            place = mask[y : y + height, x : x + width]
            place[place == sign.class_id] = UNKNOWN
        out[index] = mask
    return out


def _scores(folder: MeasuredFolder, masks: Mapping[int, MaskArray], classes: int) -> dict[str, float | None]:
    table = np.zeros((classes, classes + 1), np.int64)
    of_size: dict[str, list[float]] = {size: [] for size in SIZES}
    for index, mask in masks.items():
        truth = folder.truth(index)
        table += confusion(truth, mask, classes)
        for one in regions(truth):
            if one.area < _LEAST_REGION_PX or one.area > truth.size / 2:
                continue
            y, x = max(0, one.y - _MARGIN_PX), max(0, one.x - _MARGIN_PX)
            place = np.s_[y : one.y + one.mask.shape[0] + _MARGIN_PX, x : one.x + one.mask.shape[1] + _MARGIN_PX]
            true = one.on(*truth.shape)[place]
            # other regions of the class nearby are not what is judged
            said = (mask[place] == one.class_id) & ((truth[place] != one.class_id) | true) & (truth[place] != UNKNOWN)
            of_size[size_of(one.area)].append(float((said & true).sum() / (said | true).sum()))
    sizes = {size: round(float(np.mean(values)), 4) if values else None for size, values in of_size.items()}
    return {"miou": round(miou(table), 4), **sizes}


def _noise(text: str) -> tuple[str, float]:
    name, _, strength = text.partition(":")
    try:
        value = float(strength or 0)
    except ValueError:
        value = -1.0
    if name not in (*NOISES, *KINDS, "none") or not 0 <= value <= 100 or (name in KINDS and value > 1):
        raise UserError(
            f"--noise {text!r} is no noise.",
            f"NAME:STRENGTH, with pixels for {', '.join(NOISES)}, a share for {', '.join(KINDS)}; or none.",
        )
    return name, value


def _parser() -> argparse.ArgumentParser:
    parser = benchmark_parser("label_noise", __doc__)
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="video.mp4 or frames/, masks/, meta.json"
    )
    default = "none,dilation:1,dilation:3,dilation:5,dilation:10,random:3,random:10,mixed:3"
    parser.add_argument("--noise", default=default, metavar="NAME:STRENGTH,...")
    parser.add_argument("--labeled", type=int, default=5, metavar="N", help="labeled frames, evenly spaced")
    parser.add_argument("--judged", type=int, default=20, metavar="N", help="other frames to score on, about so many")
    parser.add_argument("--drop", action="store_true", help="also without what looks wrong")
    return parser


if __name__ == "__main__":
    sys.exit(run_benchmark(main))
