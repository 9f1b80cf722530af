"""What an annotator did with a smart tool, read from Label Studio's request, and the answer to it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring
from numpy.typing import NDArray

from connectors.label_studio.brush import decode_brush, encode_brush
from connectors.label_studio.bucket_links import SCHEME, asked_at
from connectors.label_studio.labeling_config import label_text

_POINT, _RECTANGLE = "keypointlabels", "rectanglelabels"


@dataclass(frozen=True, slots=True)
class Point:
    """In parts of the image's width and height, 0 to 1; positive: belongs to it."""

    x: float
    y: float
    positive: bool


@dataclass(frozen=True, slots=True, eq=False)
class Hint:
    """The last thing somebody drew with a smart tool, and what goes with it.

    id          of the last region of the context: the answer carries it, and replaces that region
    control     the tool with which it was drawn;  to_name: the image tag
    label       the text of the label it was drawn with
    image       the image's address, out of the task's data; of one in a bucket, where Label Studio is asked for it
    points      all key points of the group in the order they were made; empty for a box
    box         left, top, right, bottom in parts of the image's size; None for points
    brush       the brush control that takes the mask; None: the answer is a box
    shown       results (lists of regions) of what is drawn already: the newest draft or annotation, else the prediction
    """

    id: str
    control: str
    to_name: str
    label: str
    image: Any
    points: tuple[Point, ...]
    box: tuple[float, float, float, float] | None
    brush: str | None
    shown: Any


def is_interactive(request: Any) -> bool:
    """Whether somebody has drawn something; Label Studio also asks for predictions of tasks that have none."""
    parameters = request.get("params") if isinstance(request, dict) else None
    context = parameters.get("context") if isinstance(parameters, dict) else None
    return isinstance(context, dict) and bool(context.get("result"))


def read_hint(request: Any) -> Hint:
    """The last region of an interactive request; ValueError says in words what cannot be read or helped."""
    if not is_interactive(request):
        raise ValueError("nothing was drawn")
    tasks = request.get("tasks")
    if not isinstance(tasks, list) or len(tasks) != 1 or not isinstance(tasks[0], dict):
        raise ValueError("it is not about one task")
    regions = request["params"]["context"]["result"]
    if not isinstance(regions, list) or not isinstance(regions[-1], dict):
        raise ValueError("its context is no list of regions")
    task, last = tasks[0], regions[-1]
    kind, control, to_name = last.get("type"), str(last.get("from_name")), str(last.get("to_name"))
    label = _label_of(last)
    if label is None or kind not in (_POINT, _RECTANGLE):
        raise ValueError(f"a {kind!r} region with no single label")
    if last.get("image_rotation") not in (None, 0):
        raise ValueError("it was drawn on a rotated image")
    view = _parsed(request.get("label_config"))
    image = _address(view, to_name, task)
    brush = _brush_of(view, to_name, label)
    if kind == _RECTANGLE:
        # a box that can only be drawn with the smart tool, where there is a brush, asks for the mask in it
        smart_only = any(tag.get("name") == control and tag.get("smartOnly") == "true" for tag in view.iter())
        as_mask = brush if smart_only else None
        return Hint(_id(last), control, to_name, label, image, (), _box(last), as_mask, _shown(task))
    if brush is None:
        raise ValueError(f"no brush of the project takes the label {label!r}")
    group = [
        region
        for region in regions
        if isinstance(region, dict)
        and (region.get("type"), region.get("from_name"), _label_of(region)) == (kind, control, label)
    ]
    points = tuple(_point(region) for region in group)
    return Hint(_id(last), control, to_name, label, image, points, None, brush, _shown(task))


def mask_answer(hint: Hint, pixels: NDArray[np.bool_], note: str) -> dict[str, Any]:
    """One brush region with the id of the hint.  pixels: (H, W) bool"""
    assert hint.brush is not None
    value = {"format": "rle", "rle": encode_brush(pixels), "brushlabels": [hint.label]}
    height, width = pixels.shape
    return _region(hint, hint.brush, "brushlabels", value, height, width, note)


def box_answer(
    hint: Hint, edges: tuple[float, float, float, float], height: int, width: int, note: str, score: float
) -> dict[str, Any]:
    """One rectangle with the id of the hint.

    edges: left, top, right, bottom in parts of the image;  score: 0 to 1, the least sure edge's;  note: shown with it
    """
    left, top, right, bottom = edges
    value = {
        "x": 100 * left,
        "y": 100 * top,
        "width": 100 * (right - left),
        "height": 100 * (bottom - top),
        "rotation": 0,
        "rectanglelabels": [hint.label],
    }
    return _region(hint, hint.control, _RECTANGLE, value, height, width, note) | {"score": round(score, 4)}


def drawn_pixels(hint: Hint, height: int, width: int) -> NDArray[np.bool_]:
    """(height, width) bool: what is painted with the hint's label already; regions that cannot be read are left out."""
    painted = np.zeros((height, width), bool)
    for region in hint.shown if isinstance(hint.shown, list) else []:
        if not isinstance(region, dict) or region.get("type") != "brushlabels" or _label_of(region) != hint.label:
            continue
        try:
            painted |= decode_brush(region["value"].get("rle"), height, width)
        except ValueError:
            continue
    return painted


def _region(
    hint: Hint, control: str, kind: str, value: Mapping[str, Any], height: int, width: int, note: str
) -> dict[str, Any]:
    return {
        "id": hint.id,
        "from_name": control,
        "to_name": hint.to_name,
        "type": kind,
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": dict(value),
        "meta": {"text": [note]},
    }


def _shown(task: Mapping[str, Any]) -> Any:
    """What the annotator most likely sees: the draft or annotation written last, else the first prediction."""
    for name in ("drafts", "annotations"):
        kept = [entry for entry in task.get(name) or [] if isinstance(entry, dict)]
        if kept:
            return max(kept, key=lambda entry: str(entry.get("updated_at") or entry.get("created_at"))).get("result")
    predictions = [entry for entry in task.get("predictions") or [] if isinstance(entry, dict)]
    return predictions[0].get("result") if predictions else None


def _parsed(config: Any) -> Element:
    try:
        view: Element = fromstring(str(config), forbid_dtd=True)
        return view
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise ValueError(f"its labeling configuration cannot be read ({error})") from None


def _address(view: Element, to_name: str, task: Mapping[str, Any]) -> Any:
    """The value of the task's data that the image tag `to_name` shows, as a browser would ask for it."""
    data = task.get("data")
    image = next((tag for tag in view.iter("Image") if tag.get("name") == to_name), None)
    named = re.fullmatch(r"\$(\w+)", image.get("value") or "") if image is not None else None
    if named is None or not isinstance(data, dict) or named[1] not in data:
        raise ValueError(f"there is no picture behind {to_name!r}")
    address = data[named[1]]
    if isinstance(address, str) and address.startswith(SCHEME) and isinstance(task.get("id"), int):
        return asked_at(task["id"], address)
    return address


def _brush_of(view: Element, to_name: str, label: str) -> str | None:
    for tag in view.iter("BrushLabels"):
        if tag.get("toName") == to_name and any(label_text(str(c.get("value"))) == label_text(label) for c in tag):
            return tag.get("name")
    return None


def _label_of(region: Mapping[str, Any]) -> str | None:
    value, kind = region.get("value"), region.get("type")
    names = value.get(str(kind)) if isinstance(value, dict) else None
    return str(names[0]) if isinstance(names, list) and len(names) == 1 else None


def _id(region: Mapping[str, Any]) -> str:
    if not isinstance(region.get("id"), str) or not region["id"]:
        raise ValueError("its region has no id")
    return str(region["id"])


def _point(region: Mapping[str, Any]) -> Point:
    x, y = _numbers(region["value"], ("x", "y"))
    if not (0 <= x <= 1 and 0 <= y <= 1):
        raise ValueError("a point lies outside the picture")
    return Point(x, y, region.get("is_positive") is not False)


def _box(region: Mapping[str, Any]) -> tuple[float, float, float, float]:
    x, y, width, height = _numbers(region["value"], ("x", "y", "width", "height"))
    if region["value"].get("rotation") not in (None, 0):
        raise ValueError("the box is rotated")
    left, top, right, bottom = (min(max(edge, 0.0), 1.0) for edge in (x, y, x + width, y + height))
    if right <= left or bottom <= top:
        raise ValueError("the box is empty")
    return left, top, right, bottom


def _numbers(value: Mapping[str, Any], names: Sequence[str]) -> list[float]:
    """Label Studio's percents as parts."""
    try:
        numbers = [float(value[name]) / 100 for name in names]
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"its {', '.join(names)} are not numbers") from None
    if not np.isfinite(numbers).all():
        raise ValueError(f"its {', '.join(names)} are not numbers")
    return numbers
