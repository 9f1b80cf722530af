"""Frames, flow and scratch arrays of one video as files, behind the small protocols that propagation reads from."""

from __future__ import annotations

import shutil
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from propagation.side_by_side import in_turn
from propagation.sources import FrameSource
from workspace.errors import UserError
from workspace.files import array_bytes, read_array, read_rgb, write_array
from workspace.layout import Layout
from workspace.video import Video


class FrameFiles:
    """The frames of a video, read on demand; the last few stay in memory because neighbours are asked for in turn."""

    def __init__(self, layout: Layout, video: Video, keep: int = 4) -> None:
        self._layout, self._video, self._keep = layout, video, keep
        self._recent: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()
        self._lock = Lock()  # flow of several pairs may be computed at a time

    def __len__(self) -> int:
        return self._video.frames

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        with self._lock:
            return self._read(index)

    def _read(self, index: int) -> NDArray[np.uint8]:
        if index not in self._recent:
            frame = read_rgb(self._layout.frame(self._video, index))
            if frame.shape != (self._video.height, self._video.width, 3):
                raise UserError(
                    f"{self._layout.frame(self._video, index)} is {frame.shape[1]}x{frame.shape[0]}, the video is"
                    f" {self._video.width}x{self._video.height}.",
                    "The file was changed; add the video to a new workspace.",
                )
            self._recent[index] = frame
            if len(self._recent) > self._keep:
                self._recent.popitem(last=False)
        self._recent.move_to_end(index)
        return self._recent[index]


class FlowFiles:
    """Optical flow between two frames, computed once and kept as float16 files."""

    def __init__(
        self,
        folder: Path,
        frames: FrameSource,
        compute: Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.float32]],
    ) -> None:
        self._folder, self._frames, self._compute = folder, frames, compute

    def has(self, source: int, target: int) -> bool:
        return self._file(source, target).exists()

    def __call__(self, source: int, target: int) -> NDArray[np.float32]:
        path = self._file(source, target)
        if path.exists():
            return read_array(path).astype(np.float32)
        # rounded before first use, so that a resumed run sees the very same numbers
        flow = self._compute(self._frames[source], self._frames[target]).astype(np.float16)
        write_array(path, flow)
        return flow.astype(np.float32)

    def fill(self, workers: int, beat: Callable[[float], None], first: Sequence[int] | None = None) -> None:
        """Both directions of every pair of neighbours, `workers` pairs at a time; `beat` gets the fraction done.

        first: of each pair that is wanted its first frame; None: all. Those that are there already cost a look at the
        folder.
        """
        pairs = [(index, index + 1) for index in (range(len(self._frames) - 1) if first is None else first)]
        with ThreadPoolExecutor(workers, "flow") as pool:
            try:
                made = in_turn(self._both_ways, pairs, pool if workers > 1 else None, workers)
                for done, _ in enumerate(made):
                    beat((done + 1) / len(pairs))
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _both_ways(self, pair: tuple[int, int]) -> None:
        for source, target in (pair, pair[::-1]):
            if not self.has(source, target):
                self(source, target)

    def _file(self, source: int, target: int) -> Path:
        return self._folder / f"{source:06d}-{target:06d}.npy"


class ScratchFiles:
    """What one pass leaves for the next. Lost with the folder; never a fact."""

    def __init__(self, folder: Path) -> None:
        # made here and not again: a process that was frozen until another had finished and tidied up stumbles over it
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def put(self, name: str, array: NDArray[np.generic]) -> None:
        (self._folder / f"{name}.npy").write_bytes(array_bytes(array))

    def get(self, name: str) -> NDArray[np.generic]:
        return read_array(self._folder / f"{name}.npy")

    def clear(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
