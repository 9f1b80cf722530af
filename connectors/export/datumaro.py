"""Datumaro's own format: one JSON file with run lengths, beside the images."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as rle

from connectors.export.frames import LabeledFrame, Legend, place_image
from workspace.files import writing_folder
from workspace.mask import UNKNOWN

SUBSET = "default"


def export_datumaro(frames: Iterable[LabeledFrame], out: Path, legend: Legend, beat: Callable[[int], None]) -> int:
    """Write `out`/annotations/default.json and `out`/images/default/; returns the number of annotations.

    Format 1.0, as Datumaro 1.13 writes it: one mask per class and frame that shows it, with COCO's run lengths; class
    ids are ours, from 0. beat: called with the number of frames done.
    """
    header = {
        "dm_format_version": "1.0",
        "media_type": 2,  # images
        "infos": {},
        "categories": {
            "label": {
                "labels": [{"name": name, "parent": "", "attributes": []} for name in legend.classes],
                "label_groups": [],
                "attributes": [],
            },
            "mask": {
                "colormap": [
                    {"label_id": k, "r": r, "g": g, "b": b} for k, (r, g, b) in enumerate(legend.colors.tolist())
                ]
            },
        },
    }
    annotations = done = 0
    with writing_folder(out) as folder:
        (folder / "annotations").mkdir()
        with (folder / "annotations" / f"{SUBSET}.json").open("w", encoding="utf-8") as file:
            file.write(json.dumps(header)[:-1] + ', "items": [')  # frame by frame: memory does not grow with the video
            for frame in frames:
                name = f"{frame.index:06d}{frame.image.suffix}"
                place_image(frame, folder / "images" / SUBSET / name)
                found = _annotations(frame)
                item = {
                    "id": f"{frame.index:06d}",
                    "annotations": found,
                    "attr": {"frame": frame.index},
                    "image": {"path": name, "size": list(frame.mask.shape)},
                }
                file.write((",\n" if done else "\n") + json.dumps(item))
                annotations, done = annotations + len(found), done + 1
                beat(done)
            file.write("]}\n")
    return annotations


def _annotations(frame: LabeledFrame) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for k in np.unique(frame.mask):
        if k == UNKNOWN:
            continue
        runs = rle.encode(np.asfortranarray(frame.mask == k, dtype=np.uint8))
        counts = {"counts": runs["counts"].decode("ascii"), "size": list(map(int, runs["size"]))}
        found.append(
            {"id": len(found), "type": "mask", "attributes": {}, "group": 0, "label_id": int(k), "rle": counts,
             "z_order": 0}
        )  # fmt: skip
    return found
