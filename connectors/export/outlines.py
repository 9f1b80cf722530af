"""Regions as single polygons, pixel for pixel: holes hang on the outer line by a seam that is walked there and back."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Points = NDArray[np.int32]


def outline(region: NDArray[np.bool_]) -> Points:
    """(N, 2) int32 x, y of the pixels that a polygon around an 8-connected region passes through, N >= 3.

    region: (H, W) bool.  `cv2.fillPoly` (even-odd, border included) makes the region of it again, with its holes. Each
    hole hangs on the line that is next to the left of its leftmost pixel (the bridges of Held 2001, "FIST: Fast
    industrial-strength triangulation of polygons", Algorithmica 30), so that seams stay inside the region. Corners on a
    straight line are left out; a point or a line repeats its last one.
    """
    contours, _ = cv2.findContours(region.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    lines = [line[:, 0, :].astype(np.int32) for line in contours]
    outer = max(range(len(lines)), key=lambda n: np.ptp(lines[n], axis=0).prod() + len(lines[n]) / 1e9)
    whole = _joined(region, lines.pop(outer), lines) if len(lines) > 1 else lines[0]
    corners = _corners(whole)
    return np.concatenate([corners, np.repeat(corners[-1:], max(0, 3 - len(corners)), axis=0)])


def _joined(region: NDArray[np.bool_], outer: Points, holes: list[Points]) -> Points:
    """One closed line through the outer line and all holes; (N, 2)."""
    width = region.shape[1]
    keys = np.concatenate([line[:, 1].astype(np.int64) * width + line[:, 0] for line in (outer, *holes)])
    owner = np.repeat(np.arange(len(holes) + 1), [len(line) for line in (outer, *holes)])
    order = np.argsort(keys, kind="stable")
    keys, owner = keys[order], owner[order]
    whole, joined = outer, np.zeros(len(holes) + 1, bool)
    joined[0] = True
    starts = [hole[np.lexsort((hole[:, 1], hole[:, 0]))[0]] for hole in holes]
    waiting = sorted(range(len(holes)), key=lambda n: (starts[n][0], starts[n][1]))
    while waiting:
        later = []
        for n in waiting:
            own = starts[n]
            at = np.array([_run_start(region[own[1]], int(own[0])), own[1]], np.int32)
            if _on_joined(keys, owner, joined, int(own[1]) * width + int(own[0])):
                at = own
            if not _on_joined(keys, owner, joined, int(at[1]) * width + int(at[0])):
                later.append(n)
                continue
            whole = _hung(whole, at, holes[n], own)
            joined[n + 1] = True
        if len(later) == len(waiting):  # holes that touch each other in a ring: by the shortest way
            n = later.pop(0)
            distance, index = cKDTree(whole).query(holes[n])
            best = int(distance.argmin())
            whole = _hung(whole, whole[index[best]], holes[n], holes[n][best])
            joined[n + 1] = True
        waiting = later
    return whole


def _run_start(row: NDArray[np.bool_], x: int) -> int:
    """The leftmost pixel of the run of set pixels that `x` belongs to."""
    unset = np.flatnonzero(~row[:x])
    return int(unset[-1]) + 1 if unset.size else 0


def _on_joined(keys: NDArray[np.int64], owner: NDArray[np.int64], joined: NDArray[np.bool_], key: int) -> bool:
    """Whether a pixel lies on a line that is joined already."""
    first, last = np.searchsorted(keys, [key, key + 1])
    return bool(joined[owner[first:last]].any())


def _hung(whole: Points, at: Points, hole: Points, own: Points) -> Points:
    """`whole` with the way from its point `at` to the hole's point `own`, around the hole and back."""
    place = int(np.flatnonzero((whole == at).all(axis=1))[0])
    around = np.roll(hole, -int(np.flatnonzero((hole == own).all(axis=1))[0]), axis=0)
    return np.concatenate([whole[: place + 1], around, around[:1], whole[place:]])


def _corners(line: Points) -> Points:
    """Without repeated points and those where the line goes straight on."""
    line = line[(line != np.roll(line, 1, axis=0)).any(axis=1)] if len(line) > 1 else line
    if len(line) < 3:
        return line if len(line) else np.zeros((1, 2), np.int32)
    before, after = line - np.roll(line, 1, axis=0), np.roll(line, -1, axis=0) - line
    cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    return np.asarray(line[(cross != 0) | ((before * after).sum(axis=1) < 0)])
