"""The labeling interface made from the classes, and which label text stands for which class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from xml.etree import ElementTree as ET

from workspace.colors import class_colors, hex_color
from workspace.config import ClassConfig

IMAGE, BRUSH, POLYGON = "image", "brush", "polygon"
CLICK = "click"  # a smart tool: what is drawn with it asks for help and is no label itself
TILE_IMAGE, TILE_CHOICE = "tile", "choice"  # followed by the tile's index
VERDICT, VERDICTS = "verdict", ("accept", "correct", "reject")
SEVERAL_TEXT, CANNOT_TELL_TEXT = "more than one class", "can't tell"
TILE_SIDE_PX, NARROW_SIDE_PX, SINGLE_SIDE_PX, TILE_HEIGHT_PX = 150, 120, 560, 210
ONE_COLUMN = 12  # choices on a tile below each other; more are in two columns
LONG_TEXT = 16  # characters; longer ones are cut off on a tile, and shown whole under the mouse
RADIOS = 16  # choices that are buttons of their own; more of them are a list to open
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


def labeling_config(classes: Sequence[ClassConfig], assist: bool = False) -> str:
    """The XML of the project: brush and polygon labels over one image, one colour per class, hotkeys on the brush.

    assist: also key points, which only exist as a smart tool and are answered with a brush region.
    """
    texts = label_texts([c.name for c in classes])
    colors = [hex_color(color) for color in class_colors(classes)]
    view = ET.Element("View")
    # rotated images would need rotated masks: the button is not offered
    ET.SubElement(view, "Image", name=IMAGE, value="$image", zoom="true", zoomControl="true", rotateControl="false")
    tags = [("BrushLabels", BRUSH), ("PolygonLabels", POLYGON)]
    if assist:
        tags.insert(1, ("KeyPointLabels", CLICK))
    for tag, name in tags:
        labels = ET.SubElement(view, tag, name=name, toName=IMAGE)
        if assist:
            # with auto-annotation on, the brush would be smart by default, and take the place of the key point
            labels.set("smart", "true" if name == CLICK else "false")
            if name == CLICK:
                labels.set("smartOnly", "true")
        for k, (text, color) in enumerate(zip(texts, colors, strict=True)):
            label = ET.SubElement(labels, "Label", value=text, background=color)
            if tag == "BrushLabels" and k < len(HOTKEYS):
                label.set("hotkey", HOTKEYS[k])
    return ET.tostring(view, encoding="unicode")


def review_config(classes: Sequence[ClassConfig]) -> str:
    """The XML of a project in which labels are judged: why this one is asked about, a verdict, and what paints."""
    view = ET.fromstring(labeling_config(classes))  # noqa: S314 - made here
    told = ET.Element("Header", value="$note", size="5")
    verdict = ET.Element(
        "Choices", name=VERDICT, toName=IMAGE, choice="single-radio", showInLine="true", required="true"
    )
    for name in VERDICTS:
        ET.SubElement(verdict, "Choice", value=name)
    view.insert(0, told)
    view.insert(1, verdict)
    return ET.tostring(view, encoding="unicode")


def choice_texts(names: Sequence[str]) -> tuple[str, ...]:
    """The choices of a tile: the label text of each class id, then "more than one class", then "can't tell".

    The classes are written as in `label_texts`; a class with the name of one of the last two makes that one " (2)".
    """
    return label_texts([*names, SEVERAL_TEXT, CANNOT_TELL_TEXT])


def tiles_config(classes: Sequence[ClassConfig], tiles: int) -> str:
    """The XML of the project of tiles: pictures in a grid, one choice beside each; `tiles`: how many a task has.

    Radio buttons while they fit, a drop-down list beyond. Results hold the texts of `choice_texts`.
    """
    texts = choice_texts([c.name for c in classes])
    several, buttons = tiles > 1, len(texts) <= RADIOS
    # Label Studio replaces this word by the index wherever it stands, in a class name too
    index = "{{idx}}"
    while any(index in text for text in texts):
        index = index.replace("{{", "{{i")
    view = ET.Element("View")
    ET.SubElement(view, "Style").text = _tiles_style(several, buttons, len(texts))
    grid = ET.SubElement(view, "View", className="fc-grid")
    repeater = ET.SubElement(grid, "Repeater", on="$tiles", indexFlag=index, mode="list")
    tile = ET.SubElement(repeater, "View", className="fc-tile")
    narrow = buttons and len(texts) > ONE_COLUMN
    side = f"{SINGLE_SIDE_PX if not several else NARROW_SIDE_PX if narrow else TILE_SIDE_PX}px"
    image = ET.SubElement(tile, "Image", name=f"{TILE_IMAGE}{index}", value=f"$tiles[{index}].image")
    image.set("width", side)
    image.set("maxWidth", side)
    for name in ("zoom", "zoomControl", "brightnessControl", "contrastControl", "rotateControl", "selectionControl"):
        image.set(name, "false")
    choices = ET.SubElement(tile, "Choices", name=f"{TILE_CHOICE}{index}", toName=f"{TILE_IMAGE}{index}")
    choices.set("choice", "single-radio")
    choices.set("required", "true")
    choices.set("requiredMessage", "Choose something for every tile.")
    if not buttons:
        choices.set("layout", "select")
    for k, text in enumerate(texts):
        if buttons:
            # Browsers take radio buttons of one name for one group, which Tab enters once and arrows move within, and
            # Label Studio names them by their value: so it is the tile's. It shows `html` and returns `alias`.
            choice = ET.SubElement(choices, "Choice", value=f"{TILE_CHOICE}{index}", alias=text, html=escape(text))
        else:
            choice = ET.SubElement(choices, "Choice", value=text)
        if not several and k < len(HOTKEYS):
            choice.set("hotkey", HOTKEYS[k])
        if several and len(text) > LONG_TEXT:
            choice.set("hint", text)
    return ET.tostring(view, encoding="unicode")


def _tiles_style(several: bool, buttons: bool, choices: int) -> str:
    """CSS without > (Label Studio drops rules with one); the Repeater's own boxes around tiles are laid open."""
    rules = [
        ".fc-grid{display:flex;flex-wrap:wrap;gap:4px}",
        ".fc-grid div:has(.fc-tile){display:contents}",
        ".fc-tile{display:flex;gap:6px;border:1px solid #ccc;padding:3px;border-radius:4px;overflow:hidden}",
        ".fc-tile .lsf-toolbar{display:none}",
    ]
    if several and buttons:
        row = min(22, TILE_HEIGHT_PX // choices) if choices <= ONE_COLUMN else 22
        wide = 140 if choices <= ONE_COLUMN else 85
        rules += [
            f".fc-tile{{width:310px;height:{TILE_HEIGHT_PX + 8}px}}",
            f".fc-tile .lsf-choices{{display:flex;flex-flow:column wrap;align-content:flex-start;margin:0;"
            f"height:{TILE_HEIGHT_PX}px}}",
            f".fc-tile .lsf-choice,.fc-tile .lsf-choice__item{{margin:0;padding:0;min-height:0;height:{row}px}}",
            f".fc-tile label{{font-size:12px;line-height:{row}px;height:{row}px;width:{wide}px}}",
            ".fc-tile label{overflow:hidden;white-space:nowrap}",
            f".fc-tile .ant-radio{{line-height:{row}px}} .fc-tile .ant-radio-inner{{width:13px;height:13px}}",
        ]
    elif several:
        rules += [".fc-tile{flex-direction:column}", f".fc-tile .lsf-choices{{width:{TILE_SIDE_PX}px;margin:0}}"]
    return "".join(rules)
