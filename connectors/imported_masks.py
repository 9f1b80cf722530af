"""Masks that somebody made elsewhere, frame by frame, in a project's own class ids."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from connectors.label_sets import LabeledImage, mask_files, open_label_set
from connectors.measured_folder import read_meta, to_indices
from workspace.errors import UserError
from workspace.files import read_mask
from workspace.mask import UNKNOWN, MaskArray

Read = Callable[[], MaskArray | None]


def open_masks(
    path: Path, classes: Sequence[str], background: int | None, without: Sequence[str] = ()
) -> Mapping[str, Read]:
    """By name without ending, what reads an image's mask: (H, W) uint8 ids of `classes`, 255 = unknown.

    path: whatever `open_label_set` takes.  Classes meet by name; index PNGs without a meta.json hold the ids.
    In COCO and CVAT files later shapes lie over earlier ones (CVAT: by z_order), pixels without a shape are the
    background, or unknown where there is none, and an image without any shape was not labeled: None.
    without: names of classes whose pixels become unknown.  UserError for a class that is in neither.
    """
    if path.is_dir() and not (path / "annotations.xml").is_file():
        return _png(path, classes, without)
    labels = open_label_set(path)
    table = _renamed(path, labels.classes, classes, without)
    ground = UNKNOWN if background is None else background
    return {key: _painting(read, table, ground) for key, read in labels.images.items()}


def frame_numbers(names: Sequence[str], first: int, frames: int) -> dict[str, int]:
    """The frame of each image: the last number in its name, less `first`; UserError unless each is a frame, once."""
    numbers: dict[str, int] = {}
    for name in names:
        digits = re.findall(r"[0-9]+", name)
        if not digits or len(digits[-1]) > 18:
            raise UserError(f"The name {name!r} holds no frame number.", "Name masks after frames, as 000012.png.")
        numbers[name] = int(digits[-1]) - first
    wrong = [name for name in names if not 0 <= numbers[name] < frames]
    if wrong:
        raise UserError(
            f"{wrong[0]!r} would be frame {numbers[wrong[0]]}, but frames are 0 to {frames - 1}.",
            "If the names do not begin at 0, say with --first which number the first frame has.",
        )
    times = Counter(numbers.values())
    twins = [name for name in names if times[numbers[name]] > 1]
    if twins:
        raise UserError(
            f"{times[numbers[twins[0]]]} images are frame {numbers[twins[0]]}, {twins[0]!r} is one of them.",
            "Keep one.",
        )
    return numbers


def _png(path: Path, classes: Sequence[str], without: Sequence[str]) -> Mapping[str, Read]:
    files, meta = mask_files(path)
    names, ids, ignore = (tuple(classes), tuple(range(len(classes))), UNKNOWN) if meta is None else read_meta(meta)
    table = _renamed(path, names, classes, without)

    def reading(file: Path) -> Read:
        return lambda: np.asarray(table[to_indices(read_mask(file), file, ids, ignore)])

    return {file.stem: reading(file) for file in files}


def _painting(read: Callable[[], LabeledImage], table: NDArray[np.uint8], ground: int) -> Read:
    def paint() -> MaskArray | None:
        image = read()
        if not image.instances:
            return None
        mask: MaskArray = np.full((image.height, image.width), ground, np.uint8)
        for one in image.instances:
            y, x, h, w = one.box
            mask[y : y + h, x : x + w][one.mask] = table[one.class_id]
        return mask

    return paint


def _renamed(path: Path, theirs: Sequence[str], ours: Sequence[str], without: Sequence[str]) -> NDArray[np.uint8]:
    """(256,) uint8: our id of each of their classes, 255 for those that are left out."""
    strange = [name for name in theirs if name not in ours and name not in without]
    if strange:
        raise UserError(
            f"{path} has the class {strange[0]!r}, which the project has not.",
            f"Leave it out with --without, or name it as the project does: {', '.join(ours)}.",
        )
    table = np.full(256, UNKNOWN, np.uint8)
    for k, name in enumerate(theirs):
        if name not in without:
            table[k] = ours.index(name)
    return table
