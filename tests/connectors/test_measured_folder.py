"""A folder with the truth: what is read, and each way in which it can be wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from connectors.h264_file import h264_file
from connectors.measured_folder import open_measured_folder
from connectors.video_files import decode
from workspace.errors import UserError
from workspace.mask import UNKNOWN

DATA = Path(__file__).parents[2] / "../shared/data"
H, W, N = 24, 32, 3
META = {"classes": {"7": "car", "0": "road", "200": "sky"}, "ignore": 9}


def values(index: int) -> np.ndarray:
    mask = np.zeros((H, W), np.uint8)
    mask[:, 8:16], mask[:, 16:24], mask[index, 24:] = 7, 200, 9
    return mask


def make(folder: Path, meta: Any = META, video: bool = False) -> Path:
    (folder / "masks").mkdir(parents=True)
    (folder / "meta.json").write_text(json.dumps(meta))
    for i in range(N):
        Image.fromarray(values(i)).save(folder / "masks" / f"m{i}.png")
    if video:
        with h264_file(folder / "video.mp4", 10, 20) as write:
            for _ in range(N):
                write(np.full((H, W, 3), 90, np.uint8))
    else:
        (folder / "frames").mkdir()
        for i in range(N):
            Image.fromarray(np.full((H, W, 3), i, np.uint8)).save(folder / "frames" / f"f{i}.png")
    return folder


@pytest.mark.parametrize("video", [False, True])
def test_mask_values_become_class_indices_and_void_becomes_255(tmp_path: Path, video: bool) -> None:
    folder = open_measured_folder(make(tmp_path / "clip", video=video))
    assert (folder.name, folder.n_masks, folder.width, folder.height) == ("clip", N, W, H)
    assert folder.classes == ("road", "car", "sky")
    assert folder.ids == (0, 7, 200)
    assert folder.video_path.name == ("video.mp4" if video else "frames")
    for i in range(N):
        truth = folder.truth(i)
        assert truth.dtype == np.uint8
        assert (truth[:, :8] == 0).all()
        assert (truth[:, 8:16] == 1).all()
        assert (truth[:, 16:24] == 2).all()
        assert (truth[i, 24:] == UNKNOWN).all()
        assert (truth == UNKNOWN).sum() == 8
    decoded = decode(folder.video_path, tmp_path / "out", "png", 95, lambda done, total: None)
    folder.check_video(decoded.frames, decoded.width, decoded.height)
    with pytest.raises(UserError, match=r"has 4 frames but .* holds 3 masks"):
        folder.check_video(4, W, H)
    with pytest.raises(UserError, match="is 16x24 but its masks are 32x24"):
        folder.check_video(N, 16, H)


def test_a_list_of_classes_counts_from_0_and_void_may_stand_among_them(tmp_path: Path) -> None:
    names = [f"c{i}" for i in range(201)]
    names[9] = "unjudged"
    meta = {"classes": names, "ignore": 9}
    folder = open_measured_folder(make(tmp_path / "clip", meta))
    assert 9 not in folder.ids
    assert folder.classes[:10] == (*(f"c{i}" for i in range(9)), "c10")
    assert folder.truth(0)[0, 16] == folder.ids.index(200) == 199


def rewrite(name: str, value: Any) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(value if isinstance(value, str) else json.dumps(value))


def remove(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def empty(name: str) -> Callable[[Path], object]:
    return lambda folder: [p.unlink() for p in (folder / name).iterdir()]


def draw(name: str, image: np.ndarray) -> Callable[[Path], object]:
    return lambda folder: Image.fromarray(image).save(folder / name)


WRONG: list[tuple[str, Callable[[Path], object], str]] = [
    ("no meta", remove("meta.json"), "meta.json is missing"),
    ("no JSON", rewrite("meta.json", "{"), "meta.json cannot be read"),
    ("a list", rewrite("meta.json", [1]), "holds no mapping"),
    ("no classes", rewrite("meta.json", {"ignore": None}), "names no classes"),
    ("odd key", rewrite("meta.json", {"classes": {"x": "car"}}), "names no classes"),
    ("too large a key", rewrite("meta.json", {"classes": {"256": "car"}}), "names no classes"),
    ("odd void", rewrite("meta.json", {**META, "ignore": "void"}), "ignore is 'void'"),
    ("one name twice", rewrite("meta.json", {"classes": ["a", "a"]}), "has 2 classes, 1 of them different"),
    ("only void", rewrite("meta.json", {"classes": ["a"], "ignore": 0}), "has 0 classes"),
    ("value of no class", rewrite("meta.json", {"classes": ["a", "b"]}), "m0.png holds the value 7"),
    ("no masks", empty("masks"), "holds no images"),
    ("one mask less", remove("masks/m2.png"), "has 3 frames but .* holds 2 masks"),
    ("one frame less", remove("frames/f0.png"), "has 2 frames but .* holds 3 masks"),
    ("no frames", empty("frames"), "holds no images"),
    ("mask of another size", draw("masks/m1.png", np.zeros((8, 8), np.uint8)), "m1.png is 8x8 but the video is 32x24"),
    ("coloured mask", draw("masks/m1.png", np.zeros((H, W, 3), np.uint8)), "m1.png is a RGB image"),
    ("damaged mask", rewrite("masks/m2.png", "no image"), "m2.png is no image"),
    ("frames of another size", draw("frames/f0.png", np.zeros((8, 8, 3), np.uint8)), "is 8x8 but its masks are 32x24"),
]  # fmt: skip


@pytest.mark.parametrize(("act", "message"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, act: Callable[[Path], object], message: str) -> None:
    folder = make(tmp_path / "clip")
    act(folder)
    with pytest.raises(UserError, match=message) as caught:
        open_measured_folder(folder)
    assert "\n" not in str(caught.value)


def test_folders_that_lack_a_part(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no folder"):
        open_measured_folder(tmp_path / "absent")
    (tmp_path / "meta.json").write_text(json.dumps(META))
    with pytest.raises(UserError, match=r"neither video\.mp4 nor frames/"):
        open_measured_folder(tmp_path)
    (tmp_path / "frames").mkdir()
    with pytest.raises(UserError, match="has no folder masks/"):
        open_measured_folder(tmp_path)


@pytest.mark.footage
@pytest.mark.skipif(not DATA.is_dir(), reason="no real footage beside the repository")
@pytest.mark.parametrize(("name", "classes", "masks"), [("camvid_0016E5_15hz", 11, 101), ("davis16/camel", 2, 90)])
def test_real_footage_opens(name: str, classes: int, masks: int) -> None:
    folder = open_measured_folder(DATA / name)
    assert (len(folder.classes), folder.n_masks) == (classes, masks)
