"""CVAT for images 1.1: one XML file with a mask per class and frame, beside the images."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from connectors.export.frames import LabeledFrame, Legend, place_image
from workspace.colors import hex_color
from workspace.errors import UserError
from workspace.files import writing_folder
from workspace.instance import cut_out
from workspace.mask import UNKNOWN

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def export_cvat(
    frames: Iterable[LabeledFrame], size: int, out: Path, legend: Legend, title: str, beat: Callable[[int], None]
) -> int:
    """Write `out`/annotations.xml and `out`/images/; returns the number of masks.

    size: how many frames there are;  beat: called with the number of frames done.  As docs.cvat.ai, "XML annotation
    format", describes it: the rectangle around a mask, and the lengths of its runs of unset and set pixels in turn, row
    by row, unset first. An image's id is its frame number. UserError for names that no XML can hold.
    """
    for name in (title, *legend.classes):
        if _NO_XML.search(name):
            raise UserError(f"The name {name!r} holds characters that XML cannot.", "Give it another name.")
    masks = done = 0
    with writing_folder(out) as folder, (folder / "annotations.xml").open("w", encoding="utf-8") as file:
        file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n')
        file.write(_text(_meta(legend, title, size)))
        for frame in frames:
            image = _image(frame, legend)
            place_image(frame, folder / "images" / image.attrib["name"])
            file.write(_text(image))
            masks, done = masks + len(image), done + 1
            beat(done)
        file.write("</annotations>\n")
    return masks


def _meta(legend: Legend, title: str, size: int) -> ET.Element:
    meta = ET.Element("meta")
    task = ET.SubElement(meta, "task")
    for tag, text in (("name", title), ("size", str(size)), ("mode", "annotation"), ("overlap", "0"),
                      ("start_frame", "0"), ("stop_frame", str(max(size - 1, 0))), ("frame_filter", "")):  # fmt: skip
        ET.SubElement(task, tag).text = text
    labels = ET.SubElement(task, "labels")
    for name, color in zip(legend.classes, legend.colors, strict=True):
        label = ET.SubElement(labels, "label")
        ET.SubElement(label, "name").text = name
        ET.SubElement(label, "color").text = hex_color(color)
        ET.SubElement(label, "type").text = "mask"
        ET.SubElement(label, "attributes")
    return meta


def _image(frame: LabeledFrame, legend: Legend) -> ET.Element:
    height, width = frame.mask.shape
    name = f"{frame.index:06d}{frame.image.suffix}"
    image = ET.Element("image", {"id": str(frame.index), "name": name, "width": str(width), "height": str(height)})
    for k in np.unique(frame.mask):
        one = cut_out(int(k), frame.mask == k) if k != UNKNOWN else None
        if one is None:
            continue
        y, x, h, w = one.box
        place = {"left": str(x), "top": str(y), "width": str(w), "height": str(h), "z_order": "0"}
        runs = ", ".join(map(str, row_runs(one.mask)))
        ET.SubElement(
            image, "mask", {"label": legend.classes[k], "source": "auto", "occluded": "0", "rle": runs, **place}
        )
    return image


def row_runs(member: NDArray[np.bool_]) -> list[int]:
    """Lengths of the runs of unset and set pixels in turn, row by row; the first may be 0."""
    flat = member.ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs: list[int] = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return [0, *runs] if flat[0] else runs


def _text(element: ET.Element) -> str:
    ET.indent(element)
    return ET.tostring(element, encoding="unicode") + "\n"
