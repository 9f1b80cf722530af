"""Label sets from files: what is read, and what a user is told about files that are wrong."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from pycocotools import mask as rle

from connectors.coco_instances import segmentation_pixels
from connectors.export.coco import export_coco
from connectors.label_sets import open_label_set
from workspace.errors import UserError
from workspace.files import write_image


def coco(**changes: Any) -> dict[str, Any]:
    annotation = {
        "id": 1, "image_id": 5, "category_id": 7, "segmentation": [[2, 1, 6, 1, 6, 4, 2, 4]], "iscrowd": 0,
        "attributes": {"occluded": True, "track_id": 3},
    }  # fmt: skip
    return {
        "images": [{"id": 5, "file_name": "street/a.jpg", "height": 8, "width": 10}],
        "annotations": [annotation | changes],
        "categories": [{"id": 9, "name": "car"}, {"id": 7, "name": "road"}],
    }


def written(tmp_path: Path, data: Any) -> Path:
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(data))
    return path


def test_a_polygon_with_all_that_belongs_to_it(tmp_path: Path):
    found = open_label_set(written(tmp_path, coco()))
    assert found.classes == ("road", "car")
    image = found.images["a"]()
    (one,) = image.instances
    assert (image.height, image.width) == (8, 10)
    assert (one.class_id, one.box, one.area) == (0, (1, 2, 3, 4), 12)
    assert (one.vertices, one.track, one.attributes, one.crowd) == (4, "3", {"occluded": "True"}, False)


@given(arrays(bool, (6, 7)))
def test_run_lengths_are_read_as_coco_reads_them(mask: np.ndarray):
    compressed = rle.encode(np.asfortranarray(mask, np.uint8))
    text = {"size": [6, 7], "counts": compressed["counts"].decode()}
    assert (segmentation_pixels(text, 6, 7)[0] == mask).all()
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat])))
    plain = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    assert (segmentation_pixels({"size": [6, 7], "counts": plain}, 6, 7)[0] == mask).all()


def test_a_long_run(tmp_path: Path):
    mask = np.zeros((400, 500), bool)
    mask[30:200, 40:300] = True
    compressed = rle.encode(np.asfortranarray(mask, np.uint8))
    found, _ = segmentation_pixels({"size": [400, 500], "counts": compressed["counts"].decode()}, 400, 500)
    assert (found == mask).all()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "is no COCO file"),
        ({"images": [], "annotations": [], "categories": []}, "0 categories"),
        ({"images": [{}], "annotations": [], "categories": [{"id": 1, "name": "a"}]}, "KeyError"),
        (coco(image_id=6), "annotation 1 names an image"),
        (coco(segmentation=[[1, 2, 3]]), "fewer than three corners"),
        (coco(segmentation=[["a"] * 6]), "annotation 1 cannot be read"),
        (coco(segmentation=7), "size is not the image's"),
        (coco(segmentation={"size": [8, 10], "counts": [80, 999_999_999]}), "cover 1000000079 of 80 pixels"),
        (coco(segmentation={"size": [8, 10], "counts": [90, -10]}), "are no numbers"),
        (coco(segmentation={"size": [8, 10], "counts": "PPPPPPPPPPPPP"}), "broken"),
        (coco(segmentation={"size": [9, 9], "counts": "0"}), "size is not the image's"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, data: Any, message: str):
    with pytest.raises(UserError, match=message):
        open_label_set(written(tmp_path, data)).images["a"]()


def test_files_that_are_no_labels(tmp_path: Path):
    with pytest.raises(UserError, match="There are no labels at"):
        open_label_set(tmp_path / "none")
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read as JSON"):
        open_label_set(tmp_path / "x.json")
    with zipfile.ZipFile(tmp_path / "task.zip", "w") as archive:
        archive.writestr("annotations.xml", "<annotations/>")
    with pytest.raises(UserError, match=r"task.zip is a ZIP archive. Unpack it"):
        open_label_set(tmp_path / "task.zip")
    with pytest.raises(UserError, match="holds no images"):
        open_label_set(tmp_path / "empty") if (tmp_path / "empty").mkdir() is None else None


def masks(folder: Path) -> Path:
    mask = np.zeros((8, 10), np.uint8)
    mask[1:3, 1:3], mask[5:7, 1:3], mask[0, 9] = 4, 4, 255
    write_image(folder / "masks" / "000000.png", mask)
    (folder / "meta.json").write_text(json.dumps({"classes": {"0": "ground", "4": "box"}, "ignore": 255}))
    return folder


def test_regions_of_masks_are_instances(tmp_path: Path):
    found = open_label_set(masks(tmp_path), without=("ground",))
    assert found.classes == ("ground", "box")
    image = found.images["000000"]()
    assert [(one.class_id, one.box) for one in image.instances] == [(1, (1, 1, 2, 2)), (1, (5, 1, 2, 2))]
    assert len(open_label_set(tmp_path).images["000000"]().instances) == 3


def test_masks_without_names(tmp_path: Path):
    masks(tmp_path)
    found = open_label_set(tmp_path / "masks")
    assert found.classes == ("0", "1", "2", "3", "4")


def test_what_we_export_comes_back(tmp_path: Path):
    mask = np.random.default_rng(0).integers(0, 3, (9, 11)).astype(np.uint8)
    colors = np.zeros((3, 3), np.uint8)
    export_coco([(0, mask)], tmp_path / "c.json", ["a", "b", "c"], colors, lambda i: f"{i:06d}.png", lambda done: None)
    image = open_label_set(tmp_path / "c.json").images["000000"]()
    for one in image.instances:
        assert (one.on(9, 11) == (mask == one.class_id)).all()
