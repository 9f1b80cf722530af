"""Masks from few labels: quality, calibration, speed and memory for evenly spaced labeled frames.

python -m benchmarks.propagation FOLDER... --labeled 1,3,5,10,20 --out propagation.json

`miou_flow` is the nearest label along DIS flow, `miou_warped` all labels that arrive, fused but without learning, and
`miou` ours, each over all frames with human pixels included; `ece` is over the pixels that nobody labeled;
`estimate_error` is what the product believes its mIoU to be (it sees no truth), minus what it is; `fps` counts optical
flow. Each line is measured in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.memory import peak_rss_mb
from benchmarks.nearest_label import nearest_labels
from benchmarks.options import benchmark_parser, check_writable, run_benchmark, settings_of, write_result
from connectors.measured_folder import open_measured_folder
from flows.measured_video import measured_video, quiet
from propagation.estimate import estimated_miou
from propagation.fit import fit
from propagation.model import error_ratio
from propagation.propagate import propagate
from quality.calibration import calibration_counts, expected_calibration_error
from quality.scores import confusion, miou
from workspace.config import Config
from workspace.errors import UserError
from workspace.mask import UNKNOWN


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    check_writable(options.out)
    folders = [open_measured_folder(path) for path in options.folders]
    config = settings_of(options, propagation={"probability_stride": 1})  # every pixel's own probability, for the ECE
    table = Table(
        "data",
        "labeled",
        "flow",
        "warped",
        "ours",
        "ECE",
        "estimate",
        "fit s",
        "frames/s",
        "peak MB",
        title="Propagation",
    )
    runs = []
    for path, folder in zip(options.folders, folders, strict=True):
        for labeled in _counts(options.labeled, folder.n_masks):
            Console(stderr=True).print(f"{folder.name}: {labeled} labeled frames")
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                run = pool.submit(measure, path, labeled, config).result()
            runs.append(run)
            quality = (
                *(f"{100 * run[key]:.1f}" for key in ("miou_flow", "miou_warped", "miou")),
                f"{100 * run['ece']:.1f} %",
            )
            estimate = f"{100 * run['estimate_error']:+.1f}"
            speed = f"{run['fit_seconds']:.0f}", f"{run['fps']:.1f}", f"{run['peak_rss_mb']:.0f}"
            table.add_row(folder.name, str(labeled), *quality, estimate, *speed)
    Console().print(table)
    write_result(options.out, {"runs": runs})


def measure(path: Path, labeled: int, config: Config) -> dict[str, Any]:
    """One line of the table."""
    folder = open_measured_folder(path)
    segmenter, settings = config.segmenter, config.propagation
    classes = len(folder.classes)
    with measured_video(folder, settings) as measured:
        video, frames, flow = measured.video, measured.frames, measured.flow
        labels = {index: folder.truth(index) for index in evenly_labeled(video.frames, labeled)}
        began = time.monotonic()
        measured.fill_flow()
        flow_seconds = time.monotonic() - began
        began = time.monotonic()
        model = fit(frames, labels, flow, classes, segmenter, settings, None, quiet)
        fit_seconds = time.monotonic() - began
        ours, warped, plain = np.zeros((3, classes, classes + 1), np.int64)
        for index, mask in nearest_labels(frames, labels, flow):
            plain += confusion(folder.truth(index), mask, classes)
        expected = np.zeros((classes, classes))
        calibration = np.zeros(calibration_counts(np.zeros(0), np.zeros(0, bool)).shape)
        propagate_seconds = 0.0
        scratch = measured.scratch()
        predictions = propagate(frames, labels, flow, classes, segmenter, settings, model, scratch, None, quiet)
        while True:
            began = time.monotonic()
            prediction = next(predictions, None)
            propagate_seconds += time.monotonic() - began  # scoring is not part of the product
            if prediction is None:
                break
            expected += prediction.confusion
            truth = folder.truth(prediction.index)
            ours += confusion(truth, prediction.mask, classes)
            warped += confusion(truth, prediction.warped_mask, classes)
            open_pixels = truth != UNKNOWN
            if prediction.index not in labels:
                confidence = prediction.probabilities.max(axis=0).astype(np.float32)[open_pixels]
                calibration += calibration_counts(confidence, (prediction.mask == truth)[open_pixels])
    return {
        "data": folder.name,
        "labeled": labeled,
        "segmenter": segmenter.name,
        "miou_flow": round(miou(plain), 6),
        "miou_warped": round(miou(warped), 6),
        "miou": round(miou(ours), 6),
        "ece": round(expected_calibration_error(calibration), 6),
        "estimate_error": round(estimated_miou(expected, error_ratio(model)) - miou(ours), 6),
        "fit_seconds": round(fit_seconds, 3),
        "fps": round(video.frames / (flow_seconds + propagate_seconds), 3),
        "peak_rss_mb": round(peak_rss_mb(), 1),
    }


def evenly_labeled(frames: int, labeled: int) -> list[int]:
    """The middle frame of each of so many equal parts of the video."""
    return [int((i + 0.5) * frames / labeled) for i in range(labeled)]


def _counts(text: str, frames: int) -> list[int]:
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"--labeled {text!r} is no list of numbers.", "For example --labeled 5,10,20.") from None
    wrong = [count for count in counts if not 1 <= count <= frames]
    if wrong:
        raise UserError(f"--labeled {wrong[0]} does not fit a video of {frames} frames.")
    return counts


def _parser() -> argparse.ArgumentParser:
    parser = benchmark_parser("propagation", __doc__)
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="video.mp4 or frames/, masks/, meta.json"
    )
    parser.add_argument("--labeled", default="1,3,5,10,20", metavar="N,N,...", help="numbers of labeled frames")
    return parser


if __name__ == "__main__":
    sys.exit(run_benchmark(main))
