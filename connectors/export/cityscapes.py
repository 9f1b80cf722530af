"""Cityscapes' layout: leftImg8bit with the images, gtFine with label ids and colours."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from connectors.export.frames import LabeledFrame, Legend, place_bytes, place_image
from workspace.errors import UserError
from workspace.files import json_bytes, writing_folder

# Cordts et al. 2016, arXiv:1604.01685, and the data set's own table: id, name, colour; 0 is unlabeled
_TABLE = (
    (5, "dynamic", 0x6F4A00), (6, "ground", 0x510051), (7, "road", 0x804080), (8, "sidewalk", 0xF423E8),
    (9, "parking", 0xFAAAA0), (10, "rail track", 0xE6968C), (11, "building", 0x464646), (12, "wall", 0x66669C),
    (13, "fence", 0xBE9999), (14, "guard rail", 0xB4A5B4), (15, "bridge", 0x966464), (16, "tunnel", 0x96785A),
    (17, "pole", 0x999999), (18, "polegroup", 0x999999), (19, "traffic light", 0xFAAA1E),
    (20, "traffic sign", 0xDCDC00), (21, "vegetation", 0x6B8E23), (22, "terrain", 0x98FB98), (23, "sky", 0x4682B4),
    (24, "person", 0xDC143C), (25, "rider", 0xFF0000), (26, "car", 0x00008E), (27, "truck", 0x000046),
    (28, "bus", 0x003C64), (29, "caravan", 0x00005A), (30, "trailer", 0x00006E), (31, "train", 0x005064),
    (32, "motorcycle", 0x0000E6), (33, "bicycle", 0x770B20),
)  # fmt: skip
_FIRST_OWN = 34


def export_cityscapes(
    frames: Iterable[LabeledFrame], out: Path, legend: Legend, city: str, beat: Callable[[int], None]
) -> int:
    """Write `out`/leftImg8bit/train/CITY/… and `out`/gtFine/train/CITY/…; returns how many masks.

    city: a name without underscores that is safe in paths;  beat: called with the number of frames done.  A class that
    has a name of Cityscapes (whatever its case, underscores as blanks) gets its id and colour there, others ids from 34
    on and our colour; labels.json lists them. Unknown pixels are 0, "unlabeled". Masks know no objects, so there are no
    instanceIds. UserError for more classes than ids.
    """
    ids, colors = label_ids(legend)
    table = np.zeros(256, np.uint8)
    table[: len(ids)] = ids
    tints = np.zeros((256, 3), np.uint8)
    tints[: len(ids)] = colors
    listed = [{"id": int(ids[k]), "name": name, "color": colors[k].tolist()} for k, name in enumerate(legend.classes)]
    done = 0
    with writing_folder(out) as folder:
        place_bytes(folder / "labels.json", json_bytes(listed))
        for frame in frames:
            stem = f"{city}_000000_{frame.index:06d}"
            place_image(frame, folder / "leftImg8bit" / "train" / city / f"{stem}_leftImg8bit.png")
            for kind, pixels in (("labelIds", table[frame.mask]), ("color", tints[frame.mask])):
                place_bytes(folder / "gtFine" / "train" / city / f"{stem}_gtFine_{kind}.png", _png(pixels))
            done += 1
            beat(done)
    return done


def label_ids(legend: Legend) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(K,) uint8 label ids and (K, 3) uint8 RGB of the classes."""
    known = {name: (number, color) for number, name, color in _TABLE}
    ids, colors = [], []
    own = _FIRST_OWN
    for name, color in zip(legend.classes, legend.colors, strict=True):
        number, rgb = known.pop(" ".join(name.casefold().replace("_", " ").split()), (None, 0))
        if number is None:
            ids.append(own)
            colors.append(color.tolist())
            own += 1
        else:
            ids.append(number)
            colors.append(list(rgb.to_bytes(3, "big")))
    if own > 256:
        raise UserError(
            f"Cityscapes has no label ids for {own - _FIRST_OWN} classes of other names.",
            f"Use another format for more than {256 - _FIRST_OWN}.",
        )
    return np.array(ids, np.uint8), np.array(colors, np.uint8)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()
