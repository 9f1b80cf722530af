"""The superpixels of a video's frames as files: computed once, named by what they were computed with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flows.context import Context
from selection.superpixels import Superpixels, superpixels
from workspace.errors import UserError
from workspace.files import fingerprint, read_array, read_rgb, write_array
from workspace.sample import Sample
from workspace.video import Video


def frame_superpixels(context: Context, video: Video, frame: int) -> Superpixels:
    """The superpixels of one frame under the present settings."""
    settings = context.config.selection
    folder = context.layout.superpixels(video.id) / fingerprint(
        video.sha256, settings.superpixel_size, settings.superpixel_method
    )
    index = folder / f"{frame:06d}.npy"
    if not index.exists():
        made = superpixels(
            read_rgb(context.layout.frame(video, frame)), settings.superpixel_size, settings.superpixel_method
        )
        # a sample names the regions themselves, so they are found again whatever the settings are by then
        write_array(_named(context, video, made.fingerprint), made.ids)
        write_array(index, np.frombuffer(made.fingerprint.encode(), np.uint8))
    name = read_array(index).tobytes().decode()
    ids = read_array(_named(context, video, name))
    return Superpixels(ids, int(ids.max()) + 1, name)


def superpixel_file(context: Context, video: Video, sample: Sample) -> Path | None:
    """Where the ids of the segmentation lie that a superpixel belongs to; None for other samples."""
    return None if sample.superpixel is None else _named(context, video, sample.superpixel[0])


def superpixel_ids(context: Context, video: Video, sample: Sample) -> NDArray[np.int32] | None:
    """(H, W) int32 of that file; None for other samples. UserError if the file is gone."""
    path = superpixel_file(context, video, sample)
    if path is None:
        return None
    if not path.exists():
        raise UserError(
            f"{path}, the superpixels that {sample.key} belongs to, is missing.", "Restore the file from a copy."
        )
    return np.asarray(read_array(path), np.int32)


def _named(context: Context, video: Video, name: str) -> Path:
    return context.layout.superpixels(video.id) / f"{name}.npy"
