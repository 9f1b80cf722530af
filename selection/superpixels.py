"""A frame cut into superpixels: connected regions of similar colour whose ids never change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from workspace.files import fingerprint

Method = Literal["slic", "seeds"]


@dataclass(frozen=True, slots=True, eq=False)
class Superpixels:
    """ids: (H, W) int32, 0 to count - 1 in raster order of their first pixels, each 4-connected.

    fingerprint: 8 hex digits of the ids, for `Sample.superpixel`: the same digits mean the same regions.
    """

    ids: NDArray[np.int32]
    count: int
    fingerprint: str


def superpixels(image: NDArray[np.uint8], size_px: int, method: Method = "slic") -> Superpixels:
    """Cut a frame into superpixels of about size_px x size_px pixels.

    image: (H, W, 3) uint8 RGB;  size_px: side in pixels, at least 2
    Deterministic. A region smaller than a quarter of that area is joined to the neighbour it shares most border with.
    slic: Achanta et al. 2012 (the SLICO variant);  seeds: Van den Bergh et al. 2012.
    """
    height, width = image.shape[:2]
    if size_px < 2:
        raise ValueError(f"superpixels of {size_px} px: give at least 2")
    if size_px >= max(height, width) or min(height, width) < 4:  # nothing to cut, or less than the methods take
        ids: NDArray[np.int32] = np.zeros((height, width), np.int32)
    else:
        lab = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2LAB)
        ids = _slic(lab, size_px) if method == "slic" else _seeds(lab, size_px)
        ids = joined(connected(ids), size_px * size_px // 4)
    return Superpixels(ids, int(ids.max()) + 1, fingerprint(ids)[:8])


def superpixel_sums(values: NDArray[Any], ids: NDArray[np.int32], count: int) -> NDArray[np.float64]:
    """Sum of each superpixel.  values, ids: (H, W);  returns: (count,) float64."""
    return np.bincount(ids.ravel(), weights=values.ravel(), minlength=count).astype(np.float64)


def superpixel_means(
    values: NDArray[np.floating],
    counts: NDArray[np.bool_],
    regions: Superpixels,
    weight: NDArray[np.floating] | None = None,
) -> NDArray[np.float32]:
    """Mean over the pixels that count of each superpixel; 0 where none counts.

    values: (H, W), finite;  counts: (H, W) bool;  weight: (H, W) or None;  returns: (count,) float32
    """
    counted = values * (counts if weight is None else counts * weight)
    number = superpixel_sums(counts, regions.ids, regions.count)
    return np.asarray(superpixel_sums(counted, regions.ids, regions.count) / np.maximum(number, 1), np.float32)


def connected(ids: NDArray[np.int32]) -> NDArray[np.int32]:
    """Split every id into its 4-connected parts.

    ids: (H, W) int32;  returns: (H, W) int32, numbered from 0 in raster order of the parts' first pixels
    """
    height, width = ids.shape
    # Pixels at even places, links between equal neighbours at odd ones: then one run on a binary image finds all.
    links = np.zeros((2 * height - 1, 2 * width - 1), np.uint8)
    links[::2, ::2] = 1
    links[::2, 1::2] = ids[:, 1:] == ids[:, :-1]
    links[1::2, ::2] = ids[1:] == ids[:-1]
    _, parts = cv2.connectedComponents(links, connectivity=4, ltype=cv2.CV_32S)
    return _in_raster_order(parts[::2, ::2])


def joined(ids: NDArray[np.int32], smallest_px: int) -> NDArray[np.int32]:
    """Join every region smaller than `smallest_px` to the neighbour that it shares most border with, smallest first.

    ids: (H, W) int32, numbered from 0, each connected;  returns: the same kind; ties go to the lowest id
    """
    area = np.bincount(ids.ravel())
    border = _shared_borders(ids, len(area))
    into = np.arange(len(area))
    for small in np.argsort(area, kind="stable"):
        if area[small] >= smallest_px or not border[small]:
            continue
        target = min(border[small], key=lambda other: (-border[small][other], other))
        into[small] = target
        area[target] += area[small]
        for other, length in border[small].items():
            del border[other][small]
            if other != target:
                border[other][target] = border[other].get(target, 0) + length
                border[target][other] = border[target].get(other, 0) + length
        border[small] = {}
    while (into != into[into]).any():
        into = into[into]
    return _in_raster_order(into[ids])


def _shared_borders(ids: NDArray[np.int32], count: int) -> list[dict[int, int]]:
    """For each region its neighbours and the number of pixel edges shared with each."""
    pairs = np.concatenate(
        [
            np.stack([ids[:, 1:].ravel(), ids[:, :-1].ravel()]),
            np.stack([ids[1:].ravel(), ids[:-1].ravel()]),
        ],
        axis=1,
    ).astype(np.int64)
    pairs = pairs[:, pairs[0] != pairs[1]]
    code, length = np.unique(pairs.min(axis=0) * count + pairs.max(axis=0), return_counts=True)
    border: list[dict[int, int]] = [{} for _ in range(count)]
    for a, b, edges in zip((code // count).tolist(), (code % count).tolist(), length.tolist(), strict=True):
        border[a][b] = border[b][a] = edges
    return border


def _in_raster_order(ids: NDArray[Any]) -> NDArray[np.int32]:
    _, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int32)
    rank[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
    return np.asarray(rank[inverse].reshape(ids.shape), np.int32)


def _slic(lab: NDArray[Any], size_px: int) -> NDArray[np.int32]:
    algorithm = cv2.ximgproc.createSuperpixelSLIC(lab, cv2.ximgproc.SLICO, size_px)
    algorithm.iterate(10)
    return np.asarray(algorithm.getLabels(), np.int32)


def _seeds(lab: NDArray[Any], size_px: int) -> NDArray[np.int32]:
    height, width, channels = lab.shape
    wanted = max(1, round(height * width / size_px**2))
    # The blocks are 2, 3 or 4 px doubled once per further level: this many levels come nearest to the size.
    levels = max(1, round(float(np.log2(size_px / 3))) + 1)
    algorithm = cv2.ximgproc.createSuperpixelSEEDS(width, height, channels, wanted, num_levels=levels)
    algorithm.iterate(lab, 10)
    return np.asarray(algorithm.getLabels(), np.int32)
