"""Pascal VOC's segmentation: palette PNGs in which 0 is the background and 255 is void."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from connectors.export.frames import LabeledFrame, Legend, place_bytes, place_image
from connectors.export.png import palette_png
from workspace.errors import UserError
from workspace.files import writing_folder
from workspace.mask import UNKNOWN


def export_voc(frames: Iterable[LabeledFrame], out: Path, legend: Legend, beat: Callable[[int], None]) -> int:
    """Write `out`/VOCdevkit/VOC2012 with JPEGImages, SegmentationClass and ImageSets; returns how many masks.

    Values are as in `Legend.from_background`, colours are VOC's own, and labelmap.txt names them. Everham et al.,
    "The Pascal visual object classes challenge", IJCV 2010. There is no SegmentationObject: masks know no objects.
    beat: called with the number of frames done. UserError for class names that labelmap.txt cannot hold.
    """
    names, table = legend.from_background()
    colors = voc_colors()
    wrong = [name for name in names if ":" in name or name.startswith("#") or len(name.splitlines()) != 1]
    if wrong:
        raise UserError(
            f"Pascal VOC cannot hold the class name {wrong[0]!r}.", "Name it without a colon, hash or line break."
        )
    values = {name: k for k, name in enumerate(names)}
    values.setdefault("ignored", UNKNOWN)  # readers that go by colours must know this one too
    labelmap = "# label:color_rgb:parts:actions\n" + "".join(
        f"{name}:{','.join(map(str, colors[k].tolist()))}::\n" for name, k in values.items()
    )
    stems = []
    with writing_folder(out) as folder:
        root = folder / "VOCdevkit" / "VOC2012"
        place_bytes(root / "labelmap.txt", labelmap.encode())
        for frame in frames:
            stems.append(f"{frame.index:06d}")
            place_image(frame, root / "JPEGImages" / f"{stems[-1]}.jpg")
            place_bytes(root / "SegmentationClass" / f"{stems[-1]}.png", palette_png(table[frame.mask], colors))
            beat(len(stems))
        listed = "".join(f"{stem}\n" for stem in stems).encode()
        for name in ("train", "trainval"):
            place_bytes(root / "ImageSets" / "Segmentation" / f"{name}.txt", listed)
    return len(stems)


def voc_colors() -> NDArray[np.uint8]:
    """(256, 3) uint8 RGB: the palette of the VOC development kit, where bits 0, 1, 2 of a value are the highest bits of
    red, green, blue, the next three the second highest, and so on."""
    values = np.arange(256)
    colors = np.zeros((256, 3), np.int64)
    for bit in range(8):
        colors[:, bit % 3] |= ((values >> bit) & 1) << (7 - bit // 3)
    return colors.astype(np.uint8)
