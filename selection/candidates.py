"""What a strategy chooses from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


def _no_frames() -> NDArray[np.int64]:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """N samples that nobody has been asked about, and the M that were; checked once, here.

    frame: (N,) int64, the frame each lies in
    embedding: (N, D) float32, one row per sample
    uncertainty: (N,) float32, higher = more worth a person's time; None while there is no model
    gain: (N,) float32, expected error that a label would remove here and along the flow, at least 0; None without model
    cost: (N,) float32, expected clicks, above 0; None if every sample costs the same
    box: (N, 4) int64, y, x, height, width of the part of its frame; None if every sample is a whole frame
    motion: (N, 2) float32, how what is in it moves, y, x in pixels per frame; None if nothing is known of it
    mend: (N,) float32 in [0, 1], the share of the error of each that a label in the next frame mends; None: all of it
    frames: number of frames of the video; None: up to the last frame named here
    asked_frame, asked_embedding: (M,) int64 and (M, D) float32 of the samples already asked; (0, 0) if there are none

    ValueError for shapes that do not fit and for values that are not finite: a NaN score must never choose silently.
    """

    frame: NDArray[np.int64]
    embedding: NDArray[np.float32]
    uncertainty: NDArray[np.float32] | None = None
    gain: NDArray[np.float32] | None = None
    cost: NDArray[np.float32] | None = None
    box: NDArray[np.int64] | None = None
    motion: NDArray[np.float32] | None = None
    mend: NDArray[np.float32] | None = None
    frames: int | None = None
    asked_frame: NDArray[np.int64] = field(default_factory=_no_frames)
    asked_embedding: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    def __post_init__(self) -> None:
        n, m = len(self.frame), len(self.asked_frame)
        if self.embedding.ndim != 2 or len(self.embedding) != n:
            raise ValueError(f"embedding is {self.embedding.shape}, not ({n}, D)")
        if len(self.asked_embedding) != m or (m and self.asked_embedding.shape[1:] != self.embedding.shape[1:]):
            raise ValueError(f"asked_embedding is {self.asked_embedding.shape}, not ({m}, {self.embedding.shape[1]})")
        for name in ("uncertainty", "gain", "cost", "mend"):
            values = getattr(self, name)
            if values is not None and values.shape != (n,):
                raise ValueError(f"{name} is {values.shape}, not ({n},)")
        if self.box is not None and self.box.shape != (n, 4):
            raise ValueError(f"box is {self.box.shape}, not ({n}, 4)")
        if self.motion is not None and self.motion.shape != (n, 2):
            raise ValueError(f"motion is {self.motion.shape}, not ({n}, 2)")
        for name in ("embedding", "uncertainty", "gain", "cost", "motion", "mend", "asked_embedding"):
            values = getattr(self, name)
            # The sum is finite if and only if all values are (barring overflow), and needs no second array.
            if values is not None and not np.isfinite(values.sum(dtype=np.float64)):
                row = int(np.argwhere(~np.isfinite(values))[0][0])
                raise ValueError(f"{name} of sample {row} is {values[row]}: every value must be finite")
        if self.cost is not None and (self.cost <= 0).any():
            raise ValueError(f"cost {float(self.cost.min())} of a sample: a sample costs more than 0 clicks")
        named = [int(frames.max()) + 1 for frames in (self.frame, self.asked_frame) if len(frames)]
        if self.frames is not None and named and max(named) > self.frames:
            raise ValueError(f"frame {max(named) - 1} of a video of {self.frames} frames")

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def frame_total(self) -> int:
        if self.frames is not None:
            return self.frames
        return max((int(frames.max()) + 1 for frames in (self.frame, self.asked_frame) if len(frames)), default=0)
