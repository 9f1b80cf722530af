"""Masks from elsewhere in a project's own ids: PNG folders, COCO and CVAT, and what a user is told about wrong ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from PIL import Image

from connectors.cvat_images import read_cvat
from connectors.export.coco import export_coco
from connectors.export.cvat import export_cvat, row_runs
from connectors.export.frames import LabeledFrame, Legend
from connectors.export.png import export_png
from connectors.imported_masks import frame_numbers, open_masks
from connectors.label_sets import open_label_set
from workspace.errors import UserError
from workspace.files import write_image

NAMES = ("road", "car", "sky")
COLORS = np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200]], np.uint8)
LABELS = "<label><name>car</name></label><label><name>road</name></label>"
HEAD = f"<annotations><meta><task><labels>{LABELS}</labels></task></meta>"


def quiet(done: int) -> None:
    pass


def cvat(folder: Path, shapes: str, head: str = HEAD) -> Path:
    path = folder / "annotations.xml"
    path.write_text(
        f'{head}<image id="5" name="a/frame_000005.png" width="6" height="4">{shapes}</image></annotations>'
    )
    return path


@given(arrays(np.uint8, (5, 7), elements={"max_value": 3}))
def test_what_we_export_comes_back(tmp_path_factory: pytest.TempPathFactory, mask: np.ndarray) -> None:
    folder = tmp_path_factory.mktemp("sets")
    mask[mask == 3] = 255
    mask[0, 0] = 1
    write_image(folder / "000007.png", np.zeros((5, 7, 3), np.uint8))
    frame = LabeledFrame(7, mask, folder / "000007.png")
    export_png([(7, mask)], folder / "png", NAMES, COLORS, quiet)
    export_coco([(7, mask)], folder / "coco.json", NAMES, COLORS, lambda i: f"{i:06d}.png", quiet)
    export_cvat([frame], 1, folder / "cvat", Legend(NAMES, COLORS), "clip", quiet)
    for source in ("png", "coco.json", "cvat", "cvat/annotations.xml"):
        masks = open_masks(folder / source, ("sky", "car", "road"), None)
        back = masks["000007"]()
        assert back is not None
        table = np.array([2, 1, 0] + [255] * 253, np.uint8)
        assert (back == table[mask]).all(), source


@given(arrays(bool, (4, 5)))
def test_run_lengths_begin_with_unset_pixels(member: np.ndarray) -> None:
    runs = row_runs(member)
    assert (np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(4, 5) == member).all()
    assert all(run > 0 for run in runs[1:])


def test_cvats_shapes_by_their_order(tmp_path: Path) -> None:
    shapes = (
        '<box label="car" xtl="0" ytl="0" xbr="3.0" ybr="2" z_order="1"/>'
        '<mask label="road" rle="1, 2, 1" left="2" top="0" width="2" height="2" z_order="0"></mask>'
        '<polygon label="road" points="3.0,2.0;6.0,2.0;6.0,4.0;3.0,4.0" z_order="0"/><tag label="car"/>'
    )
    path = cvat(tmp_path, shapes)
    # the mask has (x 3, y 0) and (x 2, y 1) of its rectangle, the latter under the box
    expected = [[1, 1, 1, 0, 9, 9], [1, 1, 1, 9, 9, 9], [9, 9, 9, 0, 0, 0], [9, 9, 9, 0, 0, 0]]
    for background, ground in ((None, 255), (2, 2)):
        mask = open_masks(path, NAMES, background)["frame_000005"]()
        assert mask is not None
        assert mask.tolist() == [[ground if v == 9 else v for v in row] for row in expected]
    left_out = open_masks(path, ("road", "sky"), 1, without=("car",))["frame_000005"]()
    assert left_out is not None
    assert left_out[0].tolist() == [255, 255, 255, 0, 1, 1]
    assert open_label_set(path).classes == ("car", "road")


def test_an_image_without_shapes_was_not_labeled(tmp_path: Path) -> None:
    assert open_masks(cvat(tmp_path, ""), NAMES, 0)["frame_000005"]() is None


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ('<polyline label="car" points="0,0;1,1"/>', "has a polyline"),
        ('<box label="car" xtl="0" ytl="0" xbr="3" ybr="2" rotation="30"/>', "has a rotated box"),
        ('<mask label="car" rle="1, 2" left="0" top="0" width="2" height="2"/>', "cover 3 of 4 pixels"),
        ('<mask label="car" rle="5, -1" left="0" top="0" width="2" height="2"/>', "cover 4 of 4 pixels"),
        ('<mask label="car" rle="4" left="5" top="0" width="2" height="2"/>', "lies outside the image"),
        ('<mask label="car" rle="4" left="0" top="0" width="99999999" height="99999999"/>', "outside the image"),
        ('<mask label="car" rle="x" left="0" top="0" width="2" height="2"/>', "ValueError"),
        ('<mask label="car" left="0" top="0" width="2" height="2"/>', "KeyError"),
        ('<polygon label="car" points="1,1;2"/>', "cannot be read"),
        ('<polygon label="truck" points="0,0;1,1;0,1"/>', "has the class 'truck'"),
        ("<box", "is no CVAT file"),
        ('</image><image id="x" name="b" width="a" height="4">', "is no CVAT file"),
        ('</image><image id="6" name="a/frame_000005.png" width="6" height="4">', "is there twice"),
        ('</image><track id="0" label="car"></track><image id="6" name="b" width="1" height="1">', "CVAT for video"),
    ],
)
def test_what_is_wrong_with_a_cvat_file_is_told(tmp_path: Path, shapes: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_masks(cvat(tmp_path, shapes), NAMES, None)["frame_000005"]()


def test_a_cvat_file_that_would_blow_up_or_read_other_files_is_refused(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;"><!ENTITY c SYSTEM "file:///etc/hostname">]>'
    with pytest.raises(UserError, match="is no CVAT file: DTDForbidden"):
        read_cvat(cvat(tmp_path, '<tag label="&b;&c;"/>', bomb + HEAD))
    (tmp_path / "annotations.xml").write_text(f"{HEAD}</annotations>")
    with pytest.raises(UserError, match="0 images"):
        read_cvat(tmp_path / "annotations.xml")
    with pytest.raises(UserError, match="cannot be read"):
        read_cvat(tmp_path / "none.xml")


def test_png_masks_by_meta_and_without(tmp_path: Path) -> None:
    write_image(tmp_path / "masks" / "frame_12.png", np.array([[4, 7], [0, 7]], np.uint8))
    (tmp_path / "meta.json").write_text(json.dumps({"classes": {"4": "sky", "7": "road"}, "ignore": 0}))
    mask = open_masks(tmp_path, NAMES, 1)["frame_12"]()
    assert mask is not None
    assert mask.tolist() == [[2, 0], [255, 0]]  # unknown stays unknown: a mask says something about every pixel
    (tmp_path / "meta.json").unlink()
    with pytest.raises(UserError, match="holds the value 4"):
        open_masks(tmp_path, NAMES, None)["frame_12"]()


def test_png_files_of_every_depth_hold_ids_or_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "0.png"
    ids = np.array([[0, 1], [1, 1]], np.uint8)

    def read() -> object:
        mask = open_masks(tmp_path, NAMES, None)["0"]()
        assert mask is not None
        return mask.tolist()

    Image.fromarray(ids.astype(bool)).save(file)  # one bit
    assert read() == ids.tolist()
    palette = Image.fromarray(ids)
    palette.putpalette([9, 9, 9, 200, 0, 0], "RGB")
    palette.save(file, bits=2)
    assert read() == ids.tolist()  # never the colours
    Image.fromarray(ids.astype(np.uint16)).save(file)
    with pytest.raises(UserError, match=r"is a 16-bit image\. Masks are 8-bit single-channel PNG"):
        read()
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(file)
    with pytest.raises(UserError, match="is a RGB image"):
        read()
    file.write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"0.png is no image\. Masks are PNG"):
        read()


def test_frames_by_the_last_number_in_their_names() -> None:
    assert frame_numbers(["0016E5_00003", "0016E5_00001"], 1, 3) == {"0016E5_00003": 2, "0016E5_00001": 0}
    for names, first, message in (
        (["a1", "b2"], 0, "'b2' would be frame 2, but frames are 0 to 1"),
        (["a1"], 2, "'a1' would be frame -1"),
        (["x"], 0, "holds no frame number"),
        (["1" * 5000], 0, "holds no frame number"),
        (["a1", "b1"], 0, "2 images are frame 1"),
    ):
        with pytest.raises(UserError, match=message):
            frame_numbers(names, first, 2)
