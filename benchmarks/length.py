"""Memory and speed of propagation over the length of a video: memory must not grow with it.

python -m benchmarks.length --frames 100,5000 --out length.json

A made-up video, computed when it is asked for: a texture that drifts behind a moving square. Flow and
scratch are on disk as in the product; two frames in every hundred are labeled. Each length is measured in a process of
its own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.memory import peak_rss_mb
from benchmarks.options import benchmark_parser, run_benchmark, settings_of, write_result
from flows.frame_files import FlowFiles, ScratchFiles
from propagation.fit import fit
from propagation.flow import dis_flow
from propagation.propagate import propagate
from quality.scores import confusion, miou
from workspace.config import PropagationConfig, SegmenterConfig
from workspace.errors import UserError
from workspace.mask import MaskArray

_LABELED_PER_HUNDRED = 2


class DriftingTexture:
    """A video of any length that takes no memory."""

    def __init__(self, frames: int, height: int, width: int) -> None:
        self._frames, self.height, self.width = frames, height, width
        rng = np.random.default_rng(0)
        small = rng.integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), dtype=np.uint8)
        self._ground = np.kron(small, np.ones((4, 4, 1), np.uint8))[:height, :width]
        self._square = np.kron(
            rng.integers(150, 256, (4, 4, 1), dtype=np.uint8), np.ones((height // 8,) * 2 + (1,), np.uint8)
        )

    def __len__(self) -> int:
        return self._frames

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        frame = np.roll(self._ground, index, axis=1)
        rows, columns = self._where(index)
        frame[rows, columns] = self._square * np.array([1, 0, 0], np.uint8)
        return frame

    def mask(self, index: int) -> MaskArray:
        mask = np.zeros((self.height, self.width), np.uint8)
        mask[self._where(index)] = 1
        return mask

    def _where(self, index: int) -> tuple[slice, slice]:
        side = 4 * (self.height // 8)
        way = 2 * (self.width - side)
        x = abs(index % way - way // 2)
        return slice(side // 2, side // 2 + side), slice(x, x + side)


class _Labels(Mapping[int, MaskArray]):
    def __init__(self, video: DriftingTexture) -> None:
        self._video = video
        self._indices = range(25, len(video), 100 // _LABELED_PER_HUNDRED)

    def __getitem__(self, index: int) -> MaskArray:
        if index not in self._indices:
            raise KeyError(index)
        return self._video.mask(index)

    def __iter__(self) -> Any:
        return iter(self._indices)

    def __len__(self) -> int:
        return len(self._indices)


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    try:
        lengths = [int(part) for part in options.frames.split(",")]
        height, width = (int(part) for part in options.size.split("x"))
    except ValueError:
        raise UserError(
            "--frames is a list of numbers and --size HEIGHTxWIDTH.", "--frames 100,5000 --size 96x160"
        ) from None
    if min(lengths) < 50 or min(height, width) < 32:
        raise UserError("Videos have 50 frames or more, and sides of 32 pixels or more.")
    table = Table("frames", "labels", "mIoU", "fit s", "frames/s", "peak MB", title=f"Propagation at {width}x{height}")
    config = settings_of(options)
    segmenter, settings = config.segmenter, config.propagation
    runs = []
    for frames in lengths:
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            run = pool.submit(measure, frames, height, width, segmenter, settings).result()
        runs.append(run)
        table.add_row(
            str(frames),
            str(run["labeled"]),
            f"{100 * run['miou']:.1f}",
            f"{run['fit_seconds']:.0f}",
            f"{run['fps']:.1f}",
            f"{run['peak_rss_mb']:.0f}",
        )
    Console().print(table)
    write_result(options.out, {"runs": runs})


def measure(
    frames: int, height: int, width: int, segmenter: SegmenterConfig, settings: PropagationConfig
) -> dict[str, Any]:
    """One line of the table."""
    video = DriftingTexture(frames, height, width)
    labels = _Labels(video)
    table = np.zeros((2, 3), np.int64)
    with (
        tempfile.TemporaryDirectory(prefix="fewclicks-length-") as root,
        Progress(console=Console(stderr=True)) as bars,
    ):
        bar = bars.add_task(f"{frames} frames", total=2)
        flow = FlowFiles(Path(root) / "flow", video, partial(dis_flow, max_side=640))
        began = time.monotonic()
        model = fit(video, labels, flow, 2, segmenter, settings, None, lambda part: bars.update(bar, completed=part))
        fitted = time.monotonic()
        scratch = ScratchFiles(Path(root) / "scratch")
        for prediction in propagate(
            video,
            labels,
            flow,
            2,
            segmenter,
            settings,
            model,
            scratch,
            None,
            lambda part: bars.update(bar, completed=1 + part),
        ):
            table += confusion(video.mask(prediction.index), prediction.mask, 2)
        ended = time.monotonic()
    return {
        "frames": frames,
        "labeled": len(labels),
        "miou": round(miou(table), 6),
        "fit_seconds": round(fitted - began, 3),
        "fps": round(frames / (ended - fitted), 3),
        "peak_rss_mb": round(peak_rss_mb(), 1),
    }


def _parser() -> argparse.ArgumentParser:
    parser = benchmark_parser("length", __doc__)
    parser.add_argument("--frames", default="100,5000", metavar="N,N,...", help="lengths of the videos")
    parser.add_argument("--size", default="96x160", metavar="HEIGHTxWIDTH")
    return parser


if __name__ == "__main__":
    sys.exit(run_benchmark(main))
