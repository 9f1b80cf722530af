"""Dense optical flow between two frames, and where to believe it."""

from __future__ import annotations

from threading import local

import cv2
import numpy as np
from numpy.typing import NDArray

_SMALLEST_SIDE = 16  # DIS matches 8x8 patches on a pyramid: it refuses images smaller than about two of them
_WORST_LOG_AGREEMENT = -4.0
_of_thread = local()


def dis_flow(source: NDArray[np.uint8], target: NDArray[np.uint8], max_side: int) -> NDArray[np.float32]:
    """Where each pixel of `source` lies in `target`, by Dense Inverse Search.

    source, target: (H, W, 3) uint8 RGB of one size;  max_side: the longer side in pixels at which flow is computed;
    larger frames are made smaller for it
    returns: (H, W, 2) float32, (dx, dy) in pixels of the full frame
    Kroeger et al. 2016, "Fast Optical Flow using Dense Inverse Search", arXiv:1603.03590.
    """
    height, width = source.shape[:2]
    scale = min(1.0, max_side / max(height, width))
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    grey = [_padded(_grey(image, small)) for image in (source, target)]
    flow = _dis().calc(grey[0], grey[1], None)
    flow = flow[: small[1], : small[0]]
    if small != (width, height):
        flow = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR)
        flow = flow * np.array([width / small[0], height / small[1]], np.float32)
    return np.ascontiguousarray(flow, np.float32)


def log_agreement(flow: NDArray[np.float32], back: NDArray[np.float32]) -> NDArray[np.float32]:
    """How well going along `flow` and returning along `back` ends where it began: 0 is perfect, below -1 occluded.

    flow: (H, W, 2) from frame a to b;  back: (H, W, 2) from b to a;  both in pixels
    returns: (H, W) float32 in [-4, 0];  -4 where the flow leaves the frame
        -|f(x) + b(x + f(x))|^2 / (0.01 (|f|^2 + |b|^2) + 0.5)
    The usual yes/no test is at -1: Sundaram, Brox & Keutzer 2010, "Dense Point Trajectories by GPU-accelerated Large
    Displacement Optical Flow".
    """
    height, width = flow.shape[:2]
    x, y = target_position(flow)
    returned = cv2.remap(back, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    error = _squared_length(flow + returned)
    tolerance = np.float32(0.01) * (_squared_length(flow) + _squared_length(returned)) + np.float32(0.5)
    agreement = np.maximum(-error / tolerance, np.float32(_WORST_LOG_AGREEMENT))
    inside = (x > -0.5) & (y > -0.5) & (x < width - 0.5) & (y < height - 0.5)
    agreement[~inside] = _WORST_LOG_AGREEMENT
    return agreement


def target_position(flow: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(x, y), each (H, W) float32: where each pixel goes, in pixels of the other frame."""
    height, width = flow.shape[:2]
    x = flow[..., 0] + np.arange(width, dtype=np.float32)[None, :]
    y = flow[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    return x, y


def _dis() -> cv2.DISOpticalFlow:
    """This thread's; a new one for each pair would take a third longer, most of it for memory.

    Down to the finest scale, which thin things need; that is paid for with fewer iterations and no wider patches.
    """
    made: cv2.DISOpticalFlow | None = getattr(_of_thread, "dis", None)
    if made is not None:
        return made
    dis: cv2.DISOpticalFlow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)
    dis.setPatchStride(4)
    dis.setGradientDescentIterations(8)
    dis.setVariationalRefinementIterations(1)
    _of_thread.dis = dis
    return dis


def _squared_length(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    x, y = vectors[..., 0], vectors[..., 1]  # ten times as fast as a sum over so short an axis
    return x * x + y * y


def _grey(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if size != (image.shape[1], image.shape[0]):
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return np.asarray(grey, np.uint8)


def _padded(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    bottom, right = (max(0, _SMALLEST_SIDE - side) for side in grey.shape)
    if not bottom and not right:
        return grey
    return np.asarray(cv2.copyMakeBorder(grey, 0, bottom, 0, right, cv2.BORDER_REPLICATE), np.uint8)


def coarse(
    flow: NDArray[np.float32], back: NDArray[np.float32], stride: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Flow and its reliability at the middle of every cell of stride x stride pixels.

    flow, back: (H, W, 2) as for `log_agreement`
    returns: (ceil(H/stride), ceil(W/stride), 2) float32 in cells, and the reliability of the same height and width in
    [0, 1]: 1 where going along the flow and returning ends where it began, 0 where the usual test sees an occlusion
    """
    height, width = flow.shape[:2]
    y = np.minimum(np.arange(0, height, stride) + stride // 2, height - 1)
    x = np.minimum(np.arange(0, width, stride) + stride // 2, width - 1)
    here, reliability = _at(flow, back, y, x)
    return here / np.float32(stride), reliability


def on_grid(
    flow: NDArray[np.float32], back: NDArray[np.float32], rows: int, columns: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Flow in cells and its reliability, (rows, columns, 2) and (rows, columns), in the middle of the cells of a grid
    that covers the whole frame."""
    height, width = flow.shape[:2]
    y = np.minimum((np.arange(rows) + 0.5) * (height / rows), height - 1).astype(np.int64)
    x = np.minimum((np.arange(columns) + 0.5) * (width / columns), width - 1).astype(np.int64)
    here, reliability = _at(flow, back, y, x)
    return here * np.array([columns / width, rows / height], np.float32), reliability


def _at(
    flow: NDArray[np.float32], back: NDArray[np.float32], y: NDArray[np.int64], x: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Flow in pixels and its reliability at the rows `y` and the columns `x`."""
    height, width = flow.shape[:2]
    here = flow[y[:, None], x[None, :]]
    to_x, to_y = x[None, :] + here[..., 0], y[:, None] + here[..., 1]
    inside = (to_x > -0.5) & (to_y > -0.5) & (to_x < width - 0.5) & (to_y < height - 0.5)
    row = np.rint(to_y).clip(0, height - 1).astype(np.int64)
    column = np.rint(to_x).clip(0, width - 1).astype(np.int64)
    returned = back[row, column]
    error = _squared_length(here + returned)
    tolerance = np.float32(0.01) * (_squared_length(here) + _squared_length(returned)) + np.float32(0.5)
    return here, (np.maximum(1 - error / tolerance, 0) * inside).astype(np.float32)
