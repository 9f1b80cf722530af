"""Objects to click on, out of COCO files."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from assist.examples import examples_of
from workspace.errors import UserError


def write_coco(folder: Path, names: list[str]) -> Path:
    square = [2, 2, 22, 2, 22, 22, 2, 22]
    other = [12, 12, 32, 12, 32, 32, 12, 32]  # on top of the first
    annotations = [
        {"id": 3 * i + k, "image_id": i, "category_id": 1, "segmentation": [s], "iscrowd": crowd}
        for i in range(len(names))
        for k, (s, crowd) in enumerate([(square, 0), (other, 0), (other, 1)])
    ]
    images = [{"id": i, "file_name": name, "height": 40, "width": 50} for i, name in enumerate(names)]
    data = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]}
    (folder / "coco.json").write_text(json.dumps(data))
    return folder / "coco.json"


@pytest.mark.parametrize("where", [".", "images", "frames"])
def test_each_annotation_of_a_coco_file_is_an_object(tmp_path, where) -> None:
    (tmp_path / where).mkdir(exist_ok=True)
    cv2.imwrite(str(tmp_path / where / "b.png"), np.zeros((40, 50, 3), np.uint8))
    (example,) = examples_of(write_coco(tmp_path, ["b.png"]))
    image, objects = example.read()
    assert image.shape == (40, 50, 3)
    assert [int(mask.sum()) for mask in objects] == [400, 400]  # both whole, though one lies on the other; no crowd
    assert example.read(smallest_px=401)[1] == []


def test_an_image_that_is_not_there_or_of_another_size_is_named(tmp_path) -> None:
    coco = write_coco(tmp_path, ["../../etc/passwd.png"])
    with pytest.raises(UserError, match="'passwd', which is not there"):
        examples_of(coco)
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((10, 10, 3), np.uint8))
    (example,) = examples_of(write_coco(tmp_path, ["a.png"]))
    with pytest.raises(UserError, match="is 10x10, but its mask is 50x40"):
        example.read()
