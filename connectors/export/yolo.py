"""YOLO segmentation as Ultralytics lays it out: one text file per image, one polygon per object."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import yaml

from connectors.export.frames import LabeledFrame, Legend, place_bytes, place_image
from connectors.export.outlines import outline
from workspace.files import writing_folder
from workspace.instance import Instance, regions
from workspace.mask import MaskArray

# Readers round or truncate to whole pixels: a quarter pixel in, both come to the pixel that is meant.
_INTO_PIXEL = 0.25


def export_yolo(frames: Iterable[LabeledFrame], out: Path, legend: Legend, beat: Callable[[int], None]) -> int:
    """Write `out`/data.yaml, images/train/ and labels/train/; returns how many objects.

    An object is an 8-connected region of a class; the background class has none, as what no polygon covers is the
    background there. A line is the class and x, y in shares of width and height; holes are cut in by a seam
    (`outlines`), so that filling the polygons at the image's size makes the mask again. beat: called with the number of
    frames done.
    """
    objects = done = 0
    with writing_folder(out) as folder:
        names = dict(enumerate(legend.classes))
        settings = {"path": ".", "train": "images/train", "val": "images/train", "names": names}
        place_bytes(folder / "data.yaml", yaml.safe_dump(settings, allow_unicode=True, sort_keys=False).encode())
        without = frozenset() if legend.background is None else frozenset({legend.background})
        for frame in frames:
            place_image(frame, folder / "images" / "train" / f"{frame.index:06d}{frame.image.suffix}")
            found = regions(frame.mask, without)
            lines = "".join(_line(one, frame.mask) for one in found)
            place_bytes(folder / "labels" / "train" / f"{frame.index:06d}.txt", lines.encode())
            objects, done = objects + len(found), done + 1
            beat(done)
    return objects


def _line(one: Instance, mask: MaskArray) -> str:
    height, width = mask.shape
    points = outline(one.mask) + np.array([one.x, one.y]) + _INTO_PIXEL
    return f"{one.class_id} " + " ".join(f"{v:.7g}" for v in (points / (width, height)).ravel()) + "\n"
