"""Vectors that are near for frames, and for parts of frames, that look alike; for choosing diverse samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from propagation.canvas import canvas
from propagation.devices import torch_device
from propagation.out_of_memory import in_parts
from propagation.segmenters import Features, features
from propagation.sources import FrameSource
from workspace.config import PropagationConfig, SegmenterConfig

_EMBEDDING_SIDE = 320
_REGIONS = 4
_MAP_CHANNELS = 32
_FRAMES_AT_ONCE = 32  # on CUDA


def embed(
    frames: FrameSource, segmenter: SegmenterConfig, settings: PropagationConfig, beat: Callable[[float], None]
) -> NDArray[np.float32]:
    """returns: (N, D) float32, rows of length 1

    Pretrained features: the mean of the coarsest map. Otherwise the mean and spread of colour and the strength of
    edges in 4x4 regions of the frame. Centred over the video first: what all frames share tells none from another.
    """
    device = torch_device(settings.device)
    backbone = features(segmenter, device, settings.seed)
    rows = []
    if backbone.pretrained:
        side = min(segmenter.input_side, _EMBEDDING_SIDE)
        for level in _maps(frames, backbone, -1, side, device, _at_once(device)):
            rows.append(level.mean(dim=(0, 2, 3)).cpu().numpy())
            beat(len(rows) / len(frames))
    else:
        for index in range(len(frames)):
            rows.append(colour_and_texture(frames[index]))
            beat((index + 1) / len(frames))
    table = np.stack(rows).astype(np.float32)
    if len(table) > 1:
        table = table - table.mean(axis=0)
    length = np.linalg.norm(table, axis=1, keepdims=True)
    first = np.zeros_like(table)
    first[:, 0] = 1  # a frame that is the very mean (all frames alike, say) still gets a direction
    return np.where(length > 1e-6, table / np.maximum(length, 1e-6), first).astype(np.float32)


def embedding_maps(
    frames: FrameSource, segmenter: SegmenterConfig, settings: PropagationConfig, beat: Callable[[float], None]
) -> Iterator[NDArray[np.float16]]:
    """For each frame a coarse map of vectors, to be averaged over patches and superpixels by `pooled_embedding`.

    yields: (h, w, 32) float16; the map of stride 16 of the backbone (the coarsest but one), reduced by a fixed random
    projection, which keeps distances about as they are (Johnson & Lindenstrauss 1984)
    """
    device = torch_device(settings.device)
    backbone = features(segmenter, device, settings.seed)
    channels = backbone.channels[-2]
    rng = np.random.default_rng(settings.seed)
    projection = torch.from_numpy(rng.normal(0, _MAP_CHANNELS**-0.5, (channels, _MAP_CHANNELS)).astype(np.float32))
    side = min(segmenter.input_side, _EMBEDDING_SIDE)
    for index, level in enumerate(_maps(frames, backbone, -2, side, device, _at_once(device))):
        reduced = torch.einsum("chw,cd->hwd", level[0], projection.to(device))
        yield reduced.half().cpu().numpy()
        beat((index + 1) / len(frames))


def _at_once(device: torch.device) -> int:
    return _FRAMES_AT_ONCE if device.type == "cuda" else 1  # a CPU gains nothing from more


def _maps(
    frames: FrameSource, backbone: Features, level: int, side: int, device: torch.device, at_once: int
) -> Iterator[Tensor]:
    """Per frame (1, C, h, w) of one level; `at_once` frames at a time, fewer if the device's memory is too small."""

    def batch(begin: int, end: int) -> Tensor:
        images = (frames[index] for index in range(begin, end))
        inputs = [canvas(image.shape[0], image.shape[1], side).to_input(image, device) for image in images]
        with torch.inference_mode():
            return backbone(torch.cat(inputs))[level]

    for maps in in_parts(batch, len(frames), at_once):
        yield from torch.split(maps, 1)


def pooled_embedding(
    maps: NDArray[np.floating], box: NDArray[np.int64], height: int, width: int
) -> NDArray[np.float32]:
    """The mean vector of each rectangle.

    maps: (h, w, D) over a frame of (height, width) pixels;  box: (P, 4) y, x, height, width in pixels
    returns: (P, D) float32; a rectangle within one cell of the map gets that cell's vector
    """
    h, w, dim = maps.shape
    total = np.zeros((h + 1, w + 1, dim), np.float64)
    total[1:, 1:] = maps.astype(np.float64).cumsum(axis=0).cumsum(axis=1)
    top, left = box[:, 0] * h // height, box[:, 1] * w // width
    bottom = np.maximum(-((-(box[:, 0] + box[:, 2]) * h) // height), top + 1)
    right = np.maximum(-((-(box[:, 1] + box[:, 3]) * w) // width), left + 1)
    area = ((bottom - top) * (right - left))[:, None]
    sums = total[bottom, right] - total[top, right] - total[bottom, left] + total[top, left]
    mean: NDArray[np.float32] = (sums / area).astype(np.float32)
    return mean


def colour_and_texture(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """image: (H, W, 3) uint8;  returns: (4*4*8,) float32; per region mean and spread of RGB and mean |d/dx|, |d/dy|"""
    small = cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    grey = small.mean(axis=2)
    across = np.abs(np.diff(grey, axis=1, append=grey[:, -1:]))
    down = np.abs(np.diff(grey, axis=0, append=grey[-1:]))
    side = 64 // _REGIONS
    maps = np.concatenate([small, across[..., None], down[..., None]], axis=2)
    regions = maps.reshape(_REGIONS, side, _REGIONS, side, 5)
    mean = regions.mean(axis=(1, 3))
    spread = regions[..., :3].std(axis=(1, 3))
    table: NDArray[np.float32] = np.concatenate([mean, spread], axis=2).reshape(-1).astype(np.float32)
    return table
