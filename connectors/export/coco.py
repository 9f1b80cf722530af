"""COCO with run lengths or polygons: one JSON file that pycocotools and its relatives read."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

from connectors.export.pixel_edges import edge_polygon
from workspace.files import writing
from workspace.instance import regions
from workspace.mask import UNKNOWN, MaskArray


def export_coco(
    masks: Iterable[tuple[int, MaskArray]],
    path: Path,
    classes: Sequence[str],
    colors: NDArray[np.uint8],
    file_name: Callable[[int], str],
    beat: Callable[[int], None],
    polygons: bool = False,
) -> int:
    """Write one COCO JSON file; returns the number of annotations.

    masks: (frame index, (H, W) uint8);  colors: (K, 3) uint8 RGB;  file_name: what to call a frame's image;  beat:
    called with the number of frames done.  The annotations are semantic: one per class and frame that shows it, all its
    pixels in one run-length mask (`iscrowd` 0, as in COCO-Stuff), since the masks know no instances. With `polygons`,
    one per 8-connected region, along the edges of its pixels, so that COCO's filling gives the mask again. 255 gets
    none. As COCO counts from 1, image id = frame index + 1 and category id = class index + 1; images carry
    `frame_index` too.
    Lin et al. 2014, arXiv:1405.0312; Caesar et al. 2018, arXiv:1612.03716.
    """
    part_of = "region" if polygons else "class and frame"
    path.parent.mkdir(parents=True, exist_ok=True)
    # Images and annotations are two lists of one file but arise together: the second waits on disk, not in memory.
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", dir=path.parent) as waiting,
        writing(path) as part,
        part.open("w", encoding="utf-8") as file,
    ):
        file.write(f'{{"info": {{"description": "semantic masks, one annotation per {part_of}", "version": "1.0"}},\n')
        file.write(f'"licenses": [],\n"categories": {json.dumps(_categories(classes, colors))},\n"images": [')
        annotations = 0
        for done, (index, mask) in enumerate(masks):
            height, width = mask.shape
            image = {
                "id": index + 1, "file_name": file_name(index), "width": width, "height": height, "frame_index": index,
            }  # fmt: skip
            file.write((",\n" if done else "\n") + json.dumps(image))
            for annotation in (_polygons if polygons else _annotations)(index, mask):
                waiting.write((",\n" if annotations else "\n") + json.dumps({"id": annotations + 1, **annotation}))
                annotations += 1
            beat(done + 1)
        file.write('],\n"annotations": [')
        waiting.seek(0)
        shutil.copyfileobj(waiting, file)
        file.write("]}\n")
    return annotations


def _categories(classes: Sequence[str], colors: NDArray[np.uint8]) -> list[dict[str, Any]]:
    return [
        {"id": k + 1, "name": name, "supercategory": "", "color": colors[k].tolist()} for k, name in enumerate(classes)
    ]


def _annotations(index: int, mask: MaskArray) -> Iterator[dict[str, Any]]:
    for k in np.unique(mask):
        if k == UNKNOWN:
            continue
        runs = rle.encode(np.asfortranarray(mask == k, dtype=np.uint8))
        yield {
            "image_id": index + 1,
            "category_id": int(k) + 1,
            "segmentation": {"size": list(map(int, runs["size"])), "counts": runs["counts"].decode("ascii")},
            "area": int(rle.area(runs)),
            "bbox": [float(v) for v in rle.toBbox(runs)],
            "iscrowd": 0,
        }


def _polygons(index: int, mask: MaskArray) -> Iterator[dict[str, Any]]:
    for one in regions(mask):
        points = edge_polygon(one.mask) + np.array([one.x, one.y])
        yield {
            "image_id": index + 1,
            "category_id": one.class_id + 1,
            "segmentation": [points.ravel().tolist()],
            "area": one.area,
            "bbox": [float(v) for v in (one.x, one.y, one.mask.shape[1], one.mask.shape[0])],
            "iscrowd": 0,
        }
