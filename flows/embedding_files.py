"""Embeddings of frames and of parts of frames, computed once per backbone and kept as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flows.context import Context, beating
from flows.frame_files import FrameFiles
from flows.superpixel_files import superpixel_ids
from propagation.embeddings import embed, embedding_maps, pooled_embedding
from selection.granularity import patch_shape
from selection.patches import grid
from workspace.facts import Lease
from workspace.files import fingerprint, read_array, write_array
from workspace.sample import Sample
from workspace.video import Video


def frame_embeddings(context: Context, lease: Lease, video: Video) -> NDArray[np.float32]:
    """(frames, D) float32."""
    path = _folder(context, video) / f"{_name(context, video)}.npy"
    if not path.exists():
        beat = beating(context, lease, "embedding frames")
        frames = FrameFiles(context.layout, video)
        write_array(path, embed(frames, context.config.segmenter, context.config.propagation, beat))
    return np.asarray(read_array(path), np.float32)


def sample_embeddings(
    context: Context, lease: Lease, video: Video, frame: NDArray[np.int64], box: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Mean vectors of rectangles.  frame: (N,) not falling;  box: (N, 4);  returns: (N, D) float32"""
    folder = _maps(context, lease, video)
    rows: list[NDArray[np.float32]] = []
    for number in np.unique(frame):
        maps = read_array(folder / f"{number:06d}.npy")
        rows.append(pooled_embedding(maps, box[frame == number], video.height, video.width))
    return np.concatenate(rows) if rows else np.zeros((0, 0), np.float32)


def asked_embeddings(
    context: Context, lease: Lease, video: Video, granularity: str, asked_of: dict[int, list[Sample]]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Frames (M,) and vectors (M, D) of what was asked; a whole frame stands for all its parts."""
    side = context.config.selection.superpixel_size
    shape = patch_shape(granularity) or (side, side)
    frames: list[NDArray[np.int64]] = []
    boxes: list[NDArray[np.int64]] = []
    for frame in sorted(asked_of):
        for sample in asked_of[frame]:
            box = _boxes(context, video, sample, shape)
            frames.append(np.full(len(box), frame, np.int64))
            boxes.append(box)
    frame_of, box_of = np.concatenate(frames), np.concatenate(boxes)
    return frame_of, sample_embeddings(context, lease, video, frame_of, box_of)


def _boxes(context: Context, video: Video, sample: Sample, shape: tuple[int, int]) -> NDArray[np.int64]:
    if sample.box is not None:
        return np.array([sample.box], np.int64)
    if sample.superpixel is None:
        return grid(video.height, video.width, *shape)
    rows, columns = np.nonzero(sample.region(video.height, video.width, superpixel_ids(context, video, sample)))
    top, left = rows.min(), columns.min()
    return np.array([[top, left, rows.max() - top + 1, columns.max() - left + 1]], np.int64)


def _maps(context: Context, lease: Lease, video: Video) -> Path:
    folder = _folder(context, video) / _name(context, video)
    if not all((folder / f"{index:06d}.npy").exists() for index in range(video.frames)):
        beat = beating(context, lease, "embedding parts of frames")
        frames = FrameFiles(context.layout, video)
        for index, maps in enumerate(
            embedding_maps(frames, context.config.segmenter, context.config.propagation, beat)
        ):
            write_array(folder / f"{index:06d}.npy", maps)
    return folder


def _folder(context: Context, video: Video) -> Path:
    return context.layout.video(video.id) / "embeddings"


def _name(context: Context, video: Video) -> str:
    return fingerprint(video.sha256, context.config.segmenter.model_dump())
