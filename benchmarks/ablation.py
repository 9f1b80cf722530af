"""What each part of propagation adds: the same labels, with one part more in each line.

python -m benchmarks.ablation FOLDER... --labeled 5 --out ablation.json

`nearest`: the nearest label along the flow. `flow`: all labels that arrive, fused, nothing learned. `network`: a
decoder on the features as they come, by `L_labels` alone. `flow_loss`: and `lambda * L_flow`. `fusion`: and added to
the warped labels, opinions averaged along the flow. `tuning`: and the features fine-tuned on the labels; for features
that were learned before. `outlines`: and outlines follow the picture. `warm_start`: the same, going on from a model of
every other of these labels, as a second round does. mIoU over all frames; people's pixels count as they gave them in
every line.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.nearest_label import nearest_labels
from benchmarks.options import benchmark_parser, check_writable, run_benchmark, settings_of, write_result
from benchmarks.propagation import evenly_labeled
from connectors.measured_folder import MeasuredFolder, open_measured_folder
from flows.measured_video import MeasuredVideo, measured_video, quiet
from propagation.canvas import canvas
from propagation.devices import torch_device
from propagation.fit import fit
from propagation.model import from_bytes
from propagation.propagate import propagate
from propagation.segmenters import features
from quality.scores import confusion, miou
from workspace.config import Config, PropagationConfig
from workspace.errors import UserError
from workspace.mask import UNKNOWN, MaskArray


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    check_writable(options.out)
    folders = [open_measured_folder(path) for path in options.folders]
    for folder in folders:
        if not 2 <= options.labeled <= folder.n_masks:
            raise UserError(
                f"--labeled {options.labeled} does not fit {folder.name} of {folder.n_masks} frames.",
                "From 2 on: the warm start begins with half of them.",
            )
    config = settings_of(options)
    table = Table("data", "labeled", "part", "mIoU", "fit s", title="What each part adds")
    runs = []
    for folder in folders:
        for run in ablation(folder, options.labeled, config):
            runs.append(run)
            quality, seconds = f"{100 * run['miou']:.1f}", f"{run['fit_seconds']:.0f}"
            table.add_row(folder.name, str(options.labeled), run["part"], quality, seconds)
            Console(stderr=True).print(f"{folder.name}: {run['part']} {quality}")
    Console().print(table)
    write_result(options.out, {"runs": runs})


def ablation(folder: MeasuredFolder, labeled: int, config: Config) -> Iterable[dict[str, Any]]:
    """A line of the table for each part, in order."""
    segmenter, settings, classes = config.segmenter, config.propagation, len(folder.classes)
    plain = settings.model_copy(update={"outline_radius": 0})
    as_they_come = plain.model_copy(update={"tuning_steps": 0})
    with measured_video(folder, settings) as video:
        video.fill_flow()
        labels = {index: folder.truth(index) for index in evenly_labeled(len(video.frames), labeled)}
        half = dict(list(labels.items())[::2])

        def fitted(of: PropagationConfig, on: Mapping[int, MaskArray], before: bytes | None) -> tuple[bytes, float]:
            began = time.monotonic()
            model = fit(video.frames, on, video.flow, classes, segmenter, of, before, quiet)
            return model, time.monotonic() - began

        def propagated(model: bytes | None, of: PropagationConfig) -> Iterable[tuple[int, MaskArray]]:
            source = video.frames, labels, video.flow, classes, segmenter, of, model, video.scratch(), None, quiet
            return ((made.index, made.mask) for made in propagate(*source))

        def line(part: str, masks: Iterable[tuple[int, MaskArray]], seconds: float) -> dict[str, Any]:
            quality = _miou(folder, labels, masks)
            return {
                "data": folder.name,
                "labeled": labeled,
                "segmenter": segmenter.name,
                "part": part,
                "miou": round(quality, 6),
                "fit_seconds": round(seconds, 3),
            }

        yield line("nearest", nearest_labels(video.frames, labels, video.flow), 0.0)
        yield line("flow", propagated(None, plain), 0.0)
        model, seconds = fitted(as_they_come.model_copy(update={"flow_loss_weight": 0.0}), labels, None)
        yield line("network", _network_alone(video, model, config), seconds)
        model, seconds = fitted(as_they_come, labels, None)
        yield line("flow_loss", _network_alone(video, model, config), seconds)
        yield line("fusion", propagated(model, as_they_come), seconds)
        if features(segmenter, torch_device(settings.device), settings.seed).pretrained and settings.tuning_steps:
            model, seconds = fitted(plain, labels, None)
            yield line("tuning", propagated(model, plain), seconds)
        yield line("outlines", propagated(model, settings), seconds)
        first, _ = fitted(settings, half, None)
        model, seconds = fitted(settings, labels, first)
        yield line("warm_start", propagated(model, settings), seconds)


def _network_alone(video: MeasuredVideo, model: bytes, config: Config) -> Iterable[tuple[int, MaskArray]]:
    """The class that the decoder finds likeliest, frame by frame, without labels or neighbours."""
    device = torch_device(config.propagation.device)
    backbone = features(config.segmenter, device, config.propagation.seed)
    fitted = from_bytes(model, backbone, device)
    ids = np.array(fitted.classes, np.uint8)
    height, width = video.video.height, video.video.width
    sizes = canvas(height, width, config.segmenter.input_side)
    for index in range(len(video.frames)):
        with torch.inference_mode():
            opinion = fitted.opinion(backbone, sizes, video.frames[index], device).cpu().numpy()
        at_full_size = [_enlarged(channel, sizes.work, (height, width)) for channel in opinion]
        yield index, ids[np.argmax(at_full_size, axis=0)]


def _enlarged(channel: NDArray[np.float32], work: tuple[int, int], size: tuple[int, int]) -> NDArray[np.float32]:
    """(h, w) of the grid over the padded frame, at the pixels of the frame."""
    if max(size) > max(work):
        work = size
    placed = cv2.resize(channel, work[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(placed[: size[0], : size[1]], np.float32)


def _miou(folder: MeasuredFolder, labels: Mapping[int, MaskArray], masks: Iterable[tuple[int, MaskArray]]) -> float:
    classes = len(folder.classes)
    counts = np.zeros((classes, classes + 1), np.int64)
    for index, mask in masks:
        given = labels.get(index)
        known = mask if given is None else np.where(given != UNKNOWN, given, mask)
        counts += confusion(folder.truth(index), known, classes)
    return miou(counts)


def _parser() -> argparse.ArgumentParser:
    parser = benchmark_parser("ablation", __doc__)
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="video.mp4 or frames/, masks/, meta.json"
    )
    parser.add_argument("--labeled", type=int, default=5, metavar="N", help="evenly spaced labeled frames (default 5)")
    return parser


if __name__ == "__main__":
    sys.exit(run_benchmark(main))
