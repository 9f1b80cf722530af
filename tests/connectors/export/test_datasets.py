"""Whole data sets, read back by torchvision, Pillow, and (elsewhere.py) datumaro, supervision and datasets."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torchvision.datasets
from PIL import Image

from connectors.export.cityscapes import export_cityscapes
from connectors.export.cvat import export_cvat
from connectors.export.datumaro import export_datumaro
from connectors.export.davis import export_davis
from connectors.export.frames import LabeledFrame, Legend
from connectors.export.huggingface import export_huggingface
from connectors.export.voc import export_voc
from connectors.export.yolo import export_yolo
from workspace.errors import UserError
from workspace.files import read_json, read_rgb

Frames = list[LabeledFrame]


def quiet(done: int) -> None:
    pass


EXPORTS: dict[str, Callable[..., int]] = {
    "yolo": export_yolo,
    "voc": export_voc,
    "datumaro": export_datumaro,
    "cityscapes": lambda frames, out, legend, beat: export_cityscapes(frames, out, legend, "clip-0123", beat),
    "cvat": lambda frames, out, legend, beat: export_cvat(frames, 3, out, legend, "my <clip>", beat),
    "davis": lambda frames, out, legend, beat: export_davis(frames, out, legend, "clip-0123", beat),
    "huggingface": lambda frames, out, legend, beat: export_huggingface(frames, out, legend, "clip-0123", beat),
}


def test_torchvision_reads_pascal_voc(tmp_path: Path, frames: Frames, legend: Legend) -> None:
    assert export_voc(frames, tmp_path / "voc", legend, quiet) == 3
    found = torchvision.datasets.VOCSegmentation(str(tmp_path / "voc"), year="2012", image_set="train")
    assert len(found) == 3
    for (image, mask), frame in zip(found, frames, strict=True):
        values = np.array(mask)  # no class is the background here, so all move up by one
        assert (values == np.where(frame.mask == 255, 255, frame.mask + 1)).all()
        assert image.size == (32, 24)
        if frame.image.suffix == ".jpg":
            assert (np.array(image) == read_rgb(frame.image)).all()
    shown = np.array(found[0][1].convert("RGB"))
    # the development kit's colours: 1 maroon, 2 green, void cream
    assert [shown[3, 4].tolist(), shown[0, 0].tolist(), shown[0, 9].tolist()] == [
        [0, 128, 0], [224, 224, 192], [128, 0, 0],
    ]  # fmt: skip


def test_a_background_class_is_0(tmp_path: Path, frames: Frames, legend: Legend) -> None:
    legend = Legend(legend.classes, legend.colors, background=1)
    export_davis(frames, tmp_path / "davis", legend, "clip", quiet)
    with Image.open(tmp_path / "davis" / "Annotations" / "480p" / "clip" / "00003.png") as image:
        values = np.array(image)
        assert image.mode == "P"
    assert (values == np.array([1, 0, 2] + [255] * 253)[frames[1].mask]).all()
    names = read_json(tmp_path / "davis" / "classes.json")
    assert names == {"0": 'odd "<name>" & Bäume', "1": "Road", "2": "traffic_light"}
    assert (tmp_path / "davis" / "ImageSets" / "2017" / "train.txt").read_text() == "clip\n"
    assert Legend(("sky", "Background"), legend.colors[:2]).from_background()[0] == ("Background", "sky")


def test_torchvision_reads_cityscapes(tmp_path: Path, frames: Frames, legend: Legend) -> None:
    assert export_cityscapes(frames, tmp_path / "city", legend, "clip-0123", quiet) == 3
    kinds = ["semantic", "color"]
    found = torchvision.datasets.Cityscapes(str(tmp_path / "city"), split="train", mode="fine", target_type=kinds)
    names = [Path(image).name for image in found.images]
    known = {one.name: one for one in torchvision.datasets.Cityscapes.classes}
    for frame in frames:
        image, (ids, color) = found[names.index(f"clip-0123_000000_{frame.index:06d}_leftImg8bit.png")]
        assert (np.array(image) == read_rgb(frame.image)).all()
        table = np.zeros(256, int)
        table[:3] = known["road"].id, 34, known["traffic light"].id
        assert (np.array(ids) == table[frame.mask]).all()
        tints = np.zeros((256, 3), int)
        tints[:3] = known["road"].color, (0, 200, 0), known["traffic light"].color
        assert (np.array(color) == tints[frame.mask]).all()


def test_every_cityscapes_class_has_the_id_and_colour_that_torchvision_knows(tmp_path: Path) -> None:
    from connectors.export.cityscapes import label_ids

    known = [one for one in torchvision.datasets.Cityscapes.classes if one.id >= 5]
    names = tuple(one.name for one in known)
    ids, colors = label_ids(Legend(names, np.zeros((len(names), 3), np.uint8)))
    assert ids.tolist() == [one.id for one in known]
    assert colors.tolist() == [list(one.color) for one in known]


@pytest.mark.slow
@pytest.mark.parametrize("frames", [".jpg"], indirect=True)
def test_other_peoples_libraries_see_the_same_pixels(
    tmp_path: Path, frames: Frames, legend: Legend, readers: Path
) -> None:
    for name, export in EXPORTS.items():
        export(frames, tmp_path / "out" / name, legend, quiet)
    program = [str(readers), str(Path(__file__).with_name("elsewhere.py")), str(tmp_path / "out"), "seen.npz"]
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf"), "HOME": str(tmp_path)}
    environment |= {"PATH": os.environ["PATH"], "DO_NOT_TRACK": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    seen = np.load(tmp_path / "seen.npz")
    for frame in frames:
        for name in ("cvat", "datumaro", "yolo", "huggingface"):
            assert (seen[f"{name}/{frame.index:06d}"] == frame.mask).all(), (name, frame.index)
        moved = np.where(frame.mask == 255, 255, frame.mask + 1)
        assert (seen[f"voc/{frame.index:06d}"] == np.where(moved == 255, 4, moved)).all()
        assert seen[f"huggingface/{frame.index:06d}.video"].tolist() == ["clip-0123"]
    for name in ("cvat", "datumaro", "yolo"):
        assert tuple(seen[f"{name}/names"]) == legend.classes
    assert tuple(seen["voc/names"]) == ("background", *legend.classes, "ignored")


@pytest.mark.parametrize("name", EXPORTS)
def test_a_stop_leaves_the_old_folder_and_no_other(tmp_path: Path, frames: Frames, legend: Legend, name: str) -> None:
    out = tmp_path / "out" / name
    out.mkdir(parents=True)
    (out / "old.txt").write_text("old")

    def stop(done: int) -> None:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        EXPORTS[name](frames, out, legend, stop)
    assert [p.name for p in (tmp_path / "out").rglob("*")] == [name, "old.txt"]
    beats: list[int] = []
    EXPORTS[name](frames, out, legend, beats.append)
    assert beats == [1, 2, 3]
    assert [p.name for p in (tmp_path / "out").iterdir()] == [name]
    assert not (out / "old.txt").exists()


@pytest.mark.parametrize("name", EXPORTS)
def test_no_frames_are_a_valid_data_set(tmp_path: Path, legend: Legend, name: str) -> None:
    assert EXPORTS[name]([], tmp_path / "out", legend, quiet) == 0
    assert any((tmp_path / "out").iterdir())


def test_names_that_a_format_cannot_hold_are_told(tmp_path: Path) -> None:
    colors = np.zeros((1, 3), np.uint8)
    for export, name in ((export_voc, "a:b"), (partial(export_cvat, size=0, title="x"), "a\x01b")):
        with pytest.raises(UserError, match=r"(cannot hold the class name|XML cannot)"):
            export([], out=tmp_path / "out", legend=Legend((name,), colors), beat=quiet)
    assert not (tmp_path / "out").exists()
    many = Legend(tuple(f"c{k}" for k in range(250)), np.zeros((250, 3), np.uint8))
    with pytest.raises(UserError, match="no label ids for 250 classes"):
        export_cityscapes([], tmp_path / "out", many, "x", quiet)
