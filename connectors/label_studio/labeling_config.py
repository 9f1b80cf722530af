"""The labeling interface made from the classes, and which label text stands for which class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from workspace.colors import class_colors, hex_color
from workspace.config import ClassConfig

IMAGE, BRUSH, POLYGON = "image", "brush", "polygon"
HOTKEYS = "1234567890qwetasdfgzxcvbyiopjkl"  # single keys that Label Studio itself leaves free
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def label_text(name: str) -> str:
    """How a class name is written in Label Studio: one line, trimmed, blanks collapsed, nothing XML cannot hold.

    Label Studio trims and collapses blanks in places, and reads $word as a reference to task data: the dollar becomes
    its full-width twin.
    """
    return " ".join(_NOT_IN_XML.sub(" ", name).replace("$", "＄").split())


def label_texts(names: Sequence[str]) -> tuple[str, ...]:
    """One distinct label text per class id; names that would look the same get " (2)", " (3)", ... in class order."""
    texts: list[str] = []
    plain = {label_text(name) for name in names}
    for k, name in enumerate(names):
        base = text = label_text(name) or f"class {k}"
        number = 2
        while text in texts or (text != base and text in plain):
            text, number = f"{base} ({number})", number + 1
        texts.append(text)
    return tuple(texts)


def class_ids(names: Sequence[str]) -> dict[str, int]:
    """Class id by label text; look up with `label_text(what came back)`."""
    return {text: k for k, text in enumerate(label_texts(names))}


def labeling_config(classes: Sequence[ClassConfig]) -> str:
    """The XML of the project: brush and polygon labels over one image, one colour per class, hotkeys on the brush."""
    texts = label_texts([c.name for c in classes])
    colors = [hex_color(color) for color in class_colors(classes)]
    view = ET.Element("View")
    # rotated images would need rotated masks: the button is not offered
    ET.SubElement(view, "Image", name=IMAGE, value="$image", zoom="true", zoomControl="true", rotateControl="false")
    for tag, name in (("BrushLabels", BRUSH), ("PolygonLabels", POLYGON)):
        labels = ET.SubElement(view, tag, name=name, toName=IMAGE)
        for k, (text, color) in enumerate(zip(texts, colors, strict=True)):
            label = ET.SubElement(labels, "Label", value=text, background=color)
            if tag == "BrushLabels" and k < len(HOTKEYS):
                label.set("hotkey", HOTKEYS[k])
    return ET.tostring(view, encoding="unicode")
