"""The plainest propagation: the nearest label in time, carried along the flow, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from propagation.sources import FlowSource, FrameSource
from propagation.warp import read, travel
from workspace.mask import UNKNOWN, MaskArray


def nearest_labels(
    frames: FrameSource, labels: Mapping[int, MaskArray], flow: FlowSource
) -> Iterator[tuple[int, MaskArray]]:
    """Each frame's index, in no order, and its (H, W) uint8 class ids; class 0 where no label arrives.

    labels: whole frames;  of two labels equally near the earlier one is taken; a labeled frame keeps its own.
    Flow is composed from frame to frame, and the label is read at the end.
    """
    height, width = frames[0].shape[:2]
    nearest = {i: min(sorted(labels), key=lambda labeled: abs(labeled - i)) for i in range(len(frames))}
    yield from labels.items()
    for order in (range(len(frames)), range(len(frames) - 1, -1, -1)):
        for index, track, _ in travel(order, labels, flow, (height, width)):
            source = nearest[index]
            if source != index and (source < index) == (order.step > 0):
                arrived = read(track, index, frames[index], labels.__getitem__, frames.__getitem__)[0, 0]
                yield index, np.where(arrived == UNKNOWN, np.uint8(0), arrived)
