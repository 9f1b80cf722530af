"""Regions as single polygons along the edges of their pixels, which COCO's own filling turns back exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Point = tuple[int, int]


def edge_polygon(region: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(N, 2) int64 x, y of the corners of an 8-connected region, along the edges of its pixels.

    region: (H, W) bool, not empty.  Where two pixels touch at a corner only, the line passes from one to the other.
    Each hole hangs on the nearest corner by a seam that is walked there and back: filled by parity (`pycocotools`
    does), it leaves no trace, whatever it crosses.
    """
    loops = [_straightened(loop) for loop in _loops(_steps(region))]
    whole, *holes = sorted(loops, key=lambda loop: -np.ptp(loop, axis=0).prod())  # the outer line spans the most
    for hole in holes:
        distance = np.abs(whole[:, None] - hole[None]).sum(axis=2)
        place, turn = np.unravel_index(int(distance.argmin()), distance.shape)
        around = np.roll(hole, -int(turn), axis=0)
        whole = np.concatenate([whole[: place + 1], around, around[:1], whole[place:]])
    return whole


def _steps(region: NDArray[np.bool_]) -> dict[Point, list[Point]]:
    """From each corner along pixel edges to the next, with the region on the right hand (y points down)."""
    padded = np.pad(region, 1)
    steps: dict[Point, list[Point]] = {}
    # per side of a pixel: its outer neighbour in the padded mask, and where the edge begins and ends
    for (dy, dx), (x0, y0), (x1, y1) in (
        ((-1, 0), (0, 0), (1, 0)),
        ((0, 1), (1, 0), (1, 1)),
        ((1, 0), (1, 1), (0, 1)),
        ((0, -1), (0, 1), (0, 0)),
    ):
        outer = padded[1 + dy : padded.shape[0] - 1 + dy, 1 + dx : padded.shape[1] - 1 + dx]
        for y, x in np.argwhere(region & ~outer).tolist():
            steps.setdefault((x + x0, y + y0), []).append((x + x1, y + y1))
    return steps


def _loops(steps: dict[Point, list[Point]]) -> list[NDArray[np.int64]]:
    """Closed lines that use every step once; `steps` is used up."""
    loops = []
    while steps:
        begin = at = next(iter(steps))
        loop: list[Point] = []
        before = at
        while True:
            ways = steps[at]
            ahead = (at[0] - before[0], at[1] - before[1])
            left = (at[0] + ahead[1], at[1] - ahead[0])
            way = ways.pop(ways.index(left) if left in ways else 0)
            if not ways:
                del steps[at]
            loop.append(at)
            before, at = at, way
            if at == begin:
                break
        loops.append(np.array(loop, np.int64))
    return loops


def _straightened(loop: NDArray[np.int64]) -> NDArray[np.int64]:
    turn = (np.roll(loop, -1, axis=0) - loop) != (loop - np.roll(loop, 1, axis=0))
    return np.asarray(loop[turn.any(axis=1)])
