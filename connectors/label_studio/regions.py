"""Masks as Label Studio regions, and an annotation's regions as one mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.label_studio.brush import decode_brush, encode_brush
from connectors.label_studio.labeling_config import BRUSH, CLICK, IMAGE, POLYGON, label_text
from connectors.label_studio.polygons import polygon_pixels
from workspace.mask import UNKNOWN, MaskArray

UNTOUCHED, CHANGED, MANUAL = "prediction", "prediction-changed", "manual"  # Label Studio's words for a region's origin


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """`pixels`: (H, W) bool, what this region covers, as class `class_id`."""

    class_id: int
    pixels: NDArray[np.bool_]
    origin: str


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """An annotation read: (H, W) uint8 mask, how many regions people touched, and what could not be read, in words."""

    mask: MaskArray
    changed_regions: int
    problems: tuple[str, ...]


def brush_region(name: str, label: str, pixels: NDArray[np.bool_], origin: str | None = None) -> dict[str, Any]:
    """One brush region in Label Studio's JSON. `name`: distinct within the annotation; `pixels`: (H, W) bool."""
    height, width = pixels.shape
    region: dict[str, Any] = {
        "id": name,
        "from_name": BRUSH,
        "to_name": IMAGE,
        "type": "brushlabels",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {"format": "rle", "rle": encode_brush(pixels), "brushlabels": [label]},
    }
    return region if origin is None else {**region, "origin": origin}


def prediction_regions(mask: MaskArray, labels: Sequence[str], background: int | None) -> list[dict[str, Any]]:
    """One brush region per class present, in class order; the background class and 255 are not drawn.

    mask: (H, W) uint8;  labels: the label text of each class id.
    """
    present = [k for k in np.flatnonzero(np.bincount(mask.ravel())).tolist() if k not in (UNKNOWN, background)]
    return [brush_region(f"class{k}", labels[k], mask == k) for k in present]


def read_region(
    region: Any, height: int, width: int, ids: Mapping[str, int], decoded: list[tuple[Any, NDArray[np.bool_]]]
) -> Region:
    """One region of a result; ValueError says in words what is wrong with it. `ids`: class id by label text.

    decoded: run lengths that were read before, with their pixels, and from now on these: those of an untouched region
    are those of the prediction, and comparing them is much quicker than reading them again.
    """
    if not isinstance(region, dict) or not isinstance(region.get("value"), dict):
        raise ValueError("it is no region")
    value, kind = region["value"], region.get("type")
    control = {"brushlabels": BRUSH, "polygonlabels": POLYGON}.get(str(kind))
    if control is None or region.get("from_name") != control:
        raise ValueError(f"it was drawn with {region.get('from_name')!r} ({kind}), not with our brush or polygon")
    names = value.get(kind)
    if not isinstance(names, list) or len(names) != 1 or label_text(str(names[0])) not in ids:
        raise ValueError(f"its label {names!r} is not one of the classes")
    size = (region.get("original_width"), region.get("original_height"))
    if size != (width, height):
        raise ValueError(f"it was drawn on an image of {size[0]}x{size[1]}, not {width}x{height}")
    if region.get("image_rotation") not in (None, 0):
        raise ValueError("it was drawn on a rotated image")
    if control == BRUSH:
        rle = value.get("rle")
        known = next((pixels for before, pixels in decoded if before == rle), None)
        pixels = decode_brush(rle, height, width) if known is None else known
        if known is None:
            decoded.append((rle, pixels))
    else:
        pixels = polygon_pixels(value.get("points"), height, width)
    return Region(ids[label_text(str(names[0]))], pixels, str(region.get("origin") or MANUAL))


def flatten(regions: Sequence[Region], shown: MaskArray) -> MaskArray:
    """(H, W) uint8, 255 where no region is. A person's paint wins over the model's; later wins over earlier.

    shown: (H, W) uint8, the prediction the annotator began with. Of a prediction region that was changed, only the
    pixels added to the prediction are the person's; the rest counts as the model's.
    """
    mask = np.full_like(shown, UNKNOWN)
    for region in regions:
        if region.origin == UNTOUCHED:
            mask[region.pixels] = region.class_id
        elif region.origin == CHANGED:
            mask[region.pixels & (shown == region.class_id)] = region.class_id
    for region in regions:
        if region.origin == CHANGED:
            mask[region.pixels & (shown != region.class_id)] = region.class_id
        elif region.origin != UNTOUCHED:
            mask[region.pixels] = region.class_id
    return mask


def read_result(
    result: Any, predicted: Any, height: int, width: int, ids: Mapping[str, int], background: int | None
) -> Reading:
    """A result (list of regions) to one (height, width) uint8 mask; `predicted` is the result it began with, or None.

    Unpainted pixels get `background`, if there is one, else 255. A region that cannot be read is left out and named in
    `problems`; then unpainted pixels stay 255, because they may be what that region covered.
    """
    decoded: list[tuple[Any, NDArray[np.bool_]]] = []
    shown_regions, _ = _readable(predicted, height, width, ids, decoded)
    untouched = [Region(r.class_id, r.pixels, UNTOUCHED) for r in shown_regions]
    shown = flatten(untouched, np.full((height, width), UNKNOWN, np.uint8))
    regions, problems = _readable(result, height, width, ids, decoded)
    mask = flatten(regions, shown)
    if background is not None and not problems:
        mask[mask == UNKNOWN] = background
    kept = sum(r.origin in (UNTOUCHED, CHANGED) for r in regions)
    drawn = sum(r.origin != UNTOUCHED for r in regions)
    removed = max(0, len(untouched) - kept - len(problems))
    return Reading(mask, drawn + removed, tuple(problems))


def _readable(
    result: Any, height: int, width: int, ids: Mapping[str, int], decoded: list[tuple[Any, NDArray[np.bool_]]]
) -> tuple[list[Region], list[str]]:
    regions, problems = [], []
    if result is not None and not isinstance(result, list):
        return [], ["its result is not a list of regions"]
    for number, region in enumerate(result or [], 1):
        if isinstance(region, dict) and region.get("from_name") == CLICK:
            continue  # it asked for help, and was left beside the answer
        try:
            regions.append(read_region(region, height, width, ids, decoded))
        except ValueError as error:
            problems.append(f"region {number}: {error}")
    return regions, problems
