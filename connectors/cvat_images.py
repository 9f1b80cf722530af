"""CVAT for images 1.1: masks, polygons and boxes to pixels, with every number checked that comes from outside."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, iterparse
from numpy.typing import NDArray

from connectors.coco_instances import Images, segmentation_pixels
from workspace.errors import UserError
from workspace.instance import Instance, cut_out
from workspace.mask import MAX_CLASSES

_MOST_PIXELS = 2**28
_FORM = "Export the task from CVAT as `CVAT for images 1.1`, and give its annotations.xml."
_FLAT = frozenset({"mask", "polygon", "box"})
_OTHERS = frozenset({"polyline", "points", "ellipse", "cuboid", "skeleton"})

Shape = tuple[str, dict[str, str]]
"""the element's name, and its attributes"""


def read_cvat(path: Path, without: tuple[str, ...] = ()) -> tuple[tuple[str, ...], Images]:
    """The names of the labels, in the order of the file, and the images; shapes as instances, the lowest first.

    without: labels whose shapes are left out unread.  UserError for anything that is not as docs.cvat.ai, "XML
    annotation format", describes images 1.1, and for shapes without an area; pixels are made when they are asked for.
    """
    names: dict[str, None] = {}
    images: Images = {}
    found: dict[str, tuple[int, int, list[Shape]]] = {}
    try:
        for _, element in iterparse(path, events=("end",), forbid_dtd=True):
            if element.tag == "track":
                raise UserError(f"{path} is in the form `CVAT for video`.", _FORM)
            if element.tag == "label":
                names.setdefault(str(element.findtext("name") or "").strip())
            if element.tag == "image":
                name = element.attrib["name"]
                height, width = int(element.attrib["height"]), int(element.attrib["width"])
                if height < 1 or width < 1 or height * width > _MOST_PIXELS or name in found:
                    raise UserError(
                        f"{path}: image {name!r} of {width}x{height} is there twice, or of a size that no image has."
                    )
                shapes = [(child.tag, dict(child.attrib)) for child in element if child.tag in _FLAT | _OTHERS]
                found[name] = height, width, [one for one in shapes if one[1].get("label") not in without]
                element.clear()
    except (ParseError, DefusedXmlException, KeyError, ValueError) as error:
        raise UserError(f"{path} is no CVAT file: {type(error).__name__} {error}.", _FORM) from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    for name, (_, _, shapes) in found.items():
        for kind, attributes in shapes:
            if kind in _OTHERS or float(attributes.get("rotation") or 0):
                what = kind if kind in _OTHERS else f"rotated {kind}"
                raise UserError(
                    f"{path}: image {name!r} has a {what}.", "Only masks, polygons and upright boxes count."
                )
            names.setdefault(attributes.get("label", ""))
    if not found or not 1 <= len(names) < MAX_CLASSES or "" in names:
        raise UserError(f"{path} has {len(found)} images and {len(names)} labels.", _FORM)
    order = {name: k for k, name in enumerate(names)}
    for name, (height, width, shapes) in found.items():
        images[name] = height, width, partial(_instances, shapes, order, height, width, f"{path}: image {name!r}")
    return tuple(names), images


def _instances(shapes: list[Shape], order: dict[str, int], height: int, width: int, where: str) -> list[Instance]:
    instances = []
    try:
        for kind, attributes in sorted(shapes, key=lambda shape: int(shape[1].get("z_order", 0))):
            member = _mask(attributes, height, width) if kind == "mask" else _drawn(kind, attributes, height, width)
            one = cut_out(order[attributes["label"]], member)
            if one is not None:
                instances.append(one)
    except (KeyError, ValueError, OverflowError) as error:
        raise UserError(f"{where} has a shape that cannot be read: {type(error).__name__} {error}.", _FORM) from None
    return instances


def _mask(attributes: dict[str, str], height: int, width: int) -> NDArray[np.bool_]:
    left, top, w, h = (int(attributes[key]) for key in ("left", "top", "width", "height"))
    if min(left, top) < 0 or min(w, h) < 1 or left + w > width or top + h > height:
        raise ValueError(f"a mask of {w}x{h} at x {left}, y {top} lies outside the image")
    runs = [int(run) for run in attributes["rle"].split(",")]
    if min(runs) < 0 or sum(runs) != w * h:
        raise ValueError(f"run lengths cover {sum(runs)} of {w * h} pixels")
    member = np.zeros((height, width), bool)
    member[top : top + h, left : left + w] = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(h, w)
    return member


def _drawn(kind: str, attributes: dict[str, str], height: int, width: int) -> NDArray[np.bool_]:
    if kind == "box":
        x0, y0, x1, y1 = (float(attributes[key]) for key in ("xtl", "ytl", "xbr", "ybr"))
        points = [x0, y0, x1, y0, x1, y1, x0, y1]
    else:
        points = [float(v) for pair in attributes["points"].split(";") for v in pair.split(",")]
    return segmentation_pixels([points], height, width)[0]  # filled as CVAT's own exports do, with COCO's routines
