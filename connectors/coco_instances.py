"""COCO's instances: polygons and run lengths to pixels, with every number checked that comes from outside."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

from workspace.errors import UserError
from workspace.instance import Instance, cut_out
from workspace.mask import MAX_CLASSES

_MOST_PIXELS = 2**28
_FORM = "It must be a COCO JSON file with images, annotations and categories."

Images = dict[str, tuple[int, int, Callable[[], list[Instance]]]]
"""file_name -> height, width, and what decodes its instances"""


def read_coco(data: Any, path: Path) -> tuple[tuple[str, ...], Images]:
    """The names of the classes, in the order of their ids, and the images.

    data: parsed JSON;  path: for messages. UserError for anything that is not as Lin et al. 2014, arXiv:1405.0312,
    and cocodataset.org describe it; masks are checked when they are decoded.
    """
    if not isinstance(data, dict) or not all(
        isinstance(data.get(key), list) and all(isinstance(item, dict) for item in data[key])
        for key in ("images", "annotations", "categories")
    ):
        raise UserError(f"{path} is no COCO file.", _FORM)
    try:
        names = {int(c["id"]): str(c["name"]) for c in data["categories"]}
        order = {number: k for k, number in enumerate(sorted(names))}
        sizes = {i["id"]: (str(i["file_name"]), int(i["height"]), int(i["width"])) for i in data["images"]}
        of_image: dict[Any, list[dict[str, Any]]] = {number: [] for number in sizes}
        for annotation in data["annotations"]:
            if annotation["image_id"] not in of_image or annotation["category_id"] not in order:
                raise UserError(
                    f"{path}: annotation {annotation.get('id')!r} names an image or category that is not there.",
                    _FORM,
                )
            of_image[annotation["image_id"]].append(annotation)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is no COCO file: {type(error).__name__} {error}.", _FORM) from None
    if not 1 <= len(names) < MAX_CLASSES or len(set(names.values())) != len(names):
        raise UserError(f"{path} has {len(names)} categories, {len(set(names.values()))} of them different.", _FORM)
    images: Images = {}
    for number, (file_name, height, width) in sizes.items():
        if height < 1 or width < 1 or height * width > _MOST_PIXELS or file_name in images:
            raise UserError(
                f"{path}: image {file_name!r} of {width}x{height} is there twice, or of a size that no image has.",
                _FORM,
            )
        images[file_name] = height, width, partial(_instances, of_image[number], order, height, width, path)
    return tuple(names[number] for number in sorted(names)), images


def _instances(
    annotations: list[dict[str, Any]], order: dict[int, int], height: int, width: int, path: Path
) -> list[Instance]:
    found = []
    for annotation in annotations:
        try:
            member, vertices = segmentation_pixels(annotation["segmentation"], height, width)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise UserError(
                f"{path}: the segmentation of annotation {annotation.get('id')!r} cannot be read: {error}.",
                "It must be polygons, or run lengths of the image's size.",
            ) from None
        one = cut_out(order[annotation["category_id"]], member)
        if one is None:
            continue
        attributes = annotation.get("attributes")
        track = annotation.get("track_id", attributes.get("track_id") if isinstance(attributes, dict) else None)
        kept = (
            {str(k): str(v) for k, v in attributes.items() if k != "track_id"} if isinstance(attributes, dict) else {}
        )
        crowd = bool(annotation.get("iscrowd", 0))
        name = None if track is None else str(track)
        found.append(Instance(one.class_id, one.y, one.x, one.mask, vertices, crowd, name, kept))
    return found


def segmentation_pixels(segmentation: Any, height: int, width: int) -> tuple[NDArray[np.bool_], int]:
    """(height, width) bool, and the vertices it was drawn with; ValueError for what is no segmentation of that size."""
    if isinstance(segmentation, list):
        polygons = [_polygon(points, height, width) for points in segmentation]
        member = np.zeros((height, width), bool)
        for polygon in polygons:
            drawn = rle.frPyObjects([polygon.ravel().tolist()], height, width)[0]  # fills as COCO does
            member |= _pixels(_runs(drawn["counts"].decode("ascii")), height, width)
        return member, sum(len(polygon) for polygon in polygons)
    if not isinstance(segmentation, dict) or list(segmentation["size"]) != [height, width]:
        raise ValueError("its size is not the image's")
    counts = segmentation["counts"]
    runs = _runs(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(isinstance(run, int) and run >= 0 for run in runs):
        raise ValueError("its run lengths are no numbers")
    # pycocotools trusts the sum and would write beyond its buffer
    if sum(runs) != height * width:
        raise ValueError(f"its run lengths cover {sum(runs)} of {height * width} pixels")
    return _pixels(runs, height, width), 0


def _pixels(runs: list[int], height: int, width: int) -> NDArray[np.bool_]:
    """Runs of unset and set pixels in turn, column by column."""
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T.copy()


def _polygon(points: Any, height: int, width: int) -> NDArray[np.float64]:
    corners = np.asarray(points, np.float64)
    if corners.ndim != 1 or len(corners) < 6 or len(corners) % 2 or not np.isfinite(corners).all():
        raise ValueError("a polygon has fewer than three corners, or corners that are no numbers")
    return np.clip(corners.reshape(-1, 2), 0, (width, height))


def _runs(text: str) -> list[int]:
    """COCO's compressed run lengths: 5 bits per character, the least first; from the fourth on, differences to the
    last but one."""
    runs: list[int] = []
    value = shift = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64 or shift > 40:
            raise ValueError("its compressed run lengths are broken")
        value |= (code & 0x1F) << shift
        shift += 5
        if not code & 0x20:
            if code & 0x10:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("its compressed run lengths end in the middle")
    return runs
