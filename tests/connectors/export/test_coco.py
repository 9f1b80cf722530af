"""COCO, read back by pycocotools."""

from __future__ import annotations

import contextlib
import io
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools.coco import COCO

from connectors.export.coco import export_coco
from connectors.export.pixel_edges import edge_polygon

COLORS = np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200]], np.uint8)
NAMES = ["road", 'odd "name"', "Bäume"]


def quiet(done: int) -> None:
    pass


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # pycocotools' reader with numpy 2
def test_masks_areas_and_boxes_come_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = np.zeros((20, 30), np.uint8)
    first[5:9, 10:16] = 1  # 4 x 6 pixels
    first[12, 3] = 1  # a second piece of the same class, one annotation with the first
    first[15:] = 255
    second = np.full((20, 30), 2, np.uint8)
    beats: list[int] = []
    count = export_coco(
        iter([(0, first), (7, second)]),
        tmp_path / "coco.json",
        NAMES,
        COLORS,
        lambda i: f"frames/{i:06d}.jpg",
        beats.append,
    )
    assert count == 3
    assert beats == [1, 2]
    coco = COCO(str(tmp_path / "coco.json"))
    capsys.readouterr()
    assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == NAMES
    images = [(i["id"], i["frame_index"], i["file_name"], i["width"], i["height"]) for i in coco.loadImgs([1, 8])]
    assert images == [(1, 0, "frames/000000.jpg", 30, 20), (8, 7, "frames/000007.jpg", 30, 20)]
    assert len(coco.getImgIds()) == 2
    for index, mask in ((0, first), (7, second)):
        rebuilt = np.full(mask.shape, 255, np.uint8)
        for annotation in coco.loadAnns(coco.getAnnIds(imgIds=[index + 1])):
            rebuilt[coco.annToMask(annotation) == 1] = annotation["category_id"] - 1
        assert (rebuilt == mask).all()
    (odd,) = coco.loadAnns(coco.getAnnIds(imgIds=[1], catIds=[2]))
    assert odd["area"] == 25
    assert odd["bbox"] == [3, 5, 13, 8]  # x, y, width, height: columns 3 to 15, rows 5 to 12
    assert isinstance(odd["segmentation"]["counts"], str)
    assert odd["iscrowd"] == 0
    assert sorted(a["id"] for a in coco.loadAnns(coco.getAnnIds())) == [1, 2, 3]


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
@given(mask=arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=12), elements={"max_value": 2}))
def test_polygons_come_back_with_their_holes(tmp_path_factory: pytest.TempPathFactory, mask: np.ndarray) -> None:
    path = tmp_path_factory.mktemp("coco") / "coco.json"
    mask[mask == 2] = 255
    count = export_coco([(3, mask)], path, NAMES, COLORS, str, quiet, polygons=True)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(path))
    rebuilt = np.full(mask.shape, 255, np.uint8)
    for annotation in coco.loadAnns(coco.getAnnIds(imgIds=[4])):
        member = coco.annToMask(annotation) == 1
        assert (rebuilt[member] == 255).all()
        rebuilt[member] = annotation["category_id"] - 1
        rows, columns = np.nonzero(member)
        assert annotation["area"] == len(rows)
        assert annotation["bbox"] == [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
        assert len(annotation["segmentation"]) == 1
    assert (rebuilt == mask).all()
    assert count == len(coco.anns)


def test_a_ring_is_two_squares_and_a_seam() -> None:
    ring = np.ones((3, 3), bool)
    assert edge_polygon(ring).tolist() == [[0, 0], [3, 0], [3, 3], [0, 3]]
    ring[1, 1] = False
    assert len(edge_polygon(ring)) == 4 + 4 + 2
    assert sorted(map(tuple, edge_polygon(np.eye(2, dtype=bool)).tolist())) == [
        (0, 0), (0, 1), (1, 0), (1, 1), (1, 1), (1, 2), (2, 1), (2, 2),
    ]  # fmt: skip


def test_no_frames_and_unlabeled_frames_are_valid_files(tmp_path: Path) -> None:
    path = tmp_path / "coco.json"
    assert export_coco([], path, NAMES, COLORS, str, quiet) == 0
    assert json.loads(path.read_text())["images"] == []
    assert export_coco([(0, np.full((2, 2), 255, np.uint8))], path, NAMES, COLORS, str, quiet) == 0
    data = json.loads(path.read_text())
    assert (len(data["images"]), data["annotations"]) == (1, [])


def test_a_stop_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "coco.json"
    path.write_text("old")

    def stop(done: int) -> None:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        export_coco([(0, np.zeros((2, 2), np.uint8))], path, NAMES, COLORS, str, stop)
    assert [p.name for p in tmp_path.iterdir()] == ["coco.json"]
    assert path.read_text() == "old"


def test_memory_does_not_grow_with_the_number_of_frames(tmp_path: Path) -> None:
    def many(count: int) -> Iterator[tuple[int, np.ndarray]]:
        rng = np.random.default_rng(0)
        for index in range(count):
            yield index, rng.integers(0, 3, (40, 40), dtype=np.uint8)

    peaks = []
    for count in (50, 500):
        tracemalloc.start()
        export_coco(many(count), tmp_path / "coco.json", NAMES, COLORS, str, quiet)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (tmp_path / "coco.json").stat().st_size > 1_000_000
    assert peaks[1] - peaks[0] < 200_000
