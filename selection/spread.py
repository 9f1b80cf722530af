"""Spread the samples over time: no frame far from a labeled one."""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray


def evenly_spread(
    frame: NDArray[np.int64], asked: NDArray[np.int64], frames: int, budget: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Pick samples so that the longest way from any frame to a labeled one gets as short as it can.

    frame: (N,) the candidates' frames;  asked: (M,) frames already asked;  frames: number of frames of the video
    returns: (min(budget, N),) indices into `frame`, in time order of their targets. With nothing asked these are the
    middles of `budget` equal parts. A target that is no candidate goes to the nearest one (ties to the earlier frame);
    among the samples of one frame the choice is random.
    """
    count = min(budget, len(frame))
    rank = rng.permutation(len(frame))
    order = np.lexsort((rank, frame))  # by frame, and random within it
    sorted_frames = frame[order]
    free = np.ones(len(frame), bool)
    picks = np.zeros(count, np.int64)
    for i, target in enumerate(gap_targets(asked, frames, count)):
        distance = np.where(free, np.abs(sorted_frames - target), np.iinfo(np.int64).max)
        at = int(np.argmin(distance))
        free[at] = False
        picks[i] = order[at]
    return picks


def gap_targets(asked: NDArray[np.int64], frames: int, count: int) -> list[int]:
    """The `count` frames that best fill the gaps between the asked frames, in time order.

    Each next frame goes to the gap whose worst frame is farthest from a label; the frames of one gap divide it evenly.
    Between two labels a length L with m frames has its worst at L / (2m + 2); at an end of the video, where there is a
    label on one side only, at L / (2m + 1); with no label at all, at L / 2m.
    """
    marks = np.unique(asked) + 0.5  # a frame is the interval [t, t + 1); its label sits in the middle
    edges = [0.0, *marks.tolist(), float(frames)]
    sides = [int(i > 0) + int(i < len(marks)) for i in range(len(edges) - 1)]  # labels beside each gap
    filled = [0] * len(sides)

    def worst(gap: int) -> float:
        divisor = 2 * filled[gap] + sides[gap]
        length = edges[gap + 1] - edges[gap]
        return length / divisor if divisor else float("inf")

    heap = [(-worst(gap), gap) for gap in range(len(sides))]
    heapq.heapify(heap)
    for _ in range(count):
        _, gap = heap[0]
        filled[gap] += 1
        heapq.heapreplace(heap, (-worst(gap), gap))
    targets = []
    for gap, m in enumerate(filled):
        step = (edges[gap + 1] - edges[gap]) / (m + sides[gap] / 2) if m else 0.0
        first = edges[gap] + (step if gap > 0 else step / 2)
        targets += [int(first + j * step) for j in range(m)]
    return targets
