"""DAVIS 2017's layout, which code for video object segmentation reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from connectors.export.frames import LabeledFrame, Legend, place_bytes, place_image
from connectors.export.png import palette_png
from connectors.export.voc import voc_colors
from workspace.files import json_bytes, writing_folder


def export_davis(
    frames: Iterable[LabeledFrame], out: Path, legend: Legend, sequence: str, beat: Callable[[int], None]
) -> int:
    """Write `out`/JPEGImages/480p/SEQUENCE/00000.jpg and so on, with Annotations and ImageSets; returns how many masks.

    sequence: a name that is safe in paths;  beat: called with the number of frames done.  Each class is an object:
    values are as in `Legend.from_background`, 255 is void, and classes.json names them. The folder is called 480p
    because that is where readers look; the images have their own size. Pont-Tuset et al. 2017, arXiv:1704.00675.
    """
    names, table = legend.from_background()
    done = 0
    with writing_folder(out) as folder:
        place_bytes(folder / "classes.json", json_bytes({str(k): name for k, name in enumerate(names)}))
        for name in ("train", "val"):
            place_bytes(folder / "ImageSets" / "2017" / f"{name}.txt", f"{sequence}\n".encode())
        for frame in frames:
            stem = f"{frame.index:05d}"
            place_image(frame, folder / "JPEGImages" / "480p" / sequence / f"{stem}.jpg")
            png = palette_png(table[frame.mask], voc_colors())
            place_bytes(folder / "Annotations" / "480p" / sequence / f"{stem}.png", png)
            done += 1
            beat(done)
    return done
