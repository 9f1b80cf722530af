"""Files appear whole or not at all."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from workspace.errors import UserError
from workspace.files import (
    fingerprint,
    read_array,
    read_json,
    read_mask,
    read_rgb,
    write_array,
    write_bytes,
    write_image,
    write_json,
    writing,
    writing_folder,
)


def test_a_broken_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"old": True})

    def write_half() -> None:
        with writing(path) as part:
            part.write_text("half")
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        write_half()
    assert read_json(path) == {"old": True}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_secret_is_never_readable_by_others(tmp_path: Path) -> None:
    write_bytes(tmp_path / "token", b"x", mode=0o600)
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600


@given(mask=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_a_mask_comes_back_exactly(mask: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("m") / "m.png"
    write_image(path, mask)
    assert np.array_equal(read_mask(path), mask)


def test_a_png_frame_comes_back_exactly_and_in_rgb(tmp_path: Path) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    write_image(tmp_path / "f.png", frame)
    assert np.array_equal(read_rgb(tmp_path / "f.png"), frame)
    with Image.open(tmp_path / "f.png") as image:
        assert image.getpixel((0, 0)) == tuple(frame[0, 0])


def test_a_palette_mask_is_read_as_ids_and_a_colour_image_refused(tmp_path: Path) -> None:
    ids = np.array([[0, 1], [2, 255]], np.uint8)
    image = Image.fromarray(ids)
    image.putpalette([7] * 768)
    image.save(tmp_path / "p.png")
    assert np.array_equal(read_mask(tmp_path / "p.png"), ids)
    Image.new("RGB", (2, 2)).save(tmp_path / "rgb.png")
    with pytest.raises(UserError, match="is a RGB image"):
        read_mask(tmp_path / "rgb.png")
    (tmp_path / "no.png").write_bytes(b"no")
    with pytest.raises(UserError, match="no image"):
        read_mask(tmp_path / "no.png")
    with pytest.raises(UserError, match="no image"):
        read_rgb(tmp_path / "no.png")


def test_arrays_and_json(tmp_path: Path) -> None:
    write_array(tmp_path / "a.npy", np.arange(3))
    assert read_array(tmp_path / "a.npy").tolist() == [0, 1, 2]
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        read_json(tmp_path / "x.json")


@given(parts=st.lists(st.one_of(st.integers(), st.text(), st.binary()), max_size=4))
def test_fingerprints_tell_parts_apart(parts: list[object]) -> None:
    assert fingerprint(*parts) == fingerprint(*parts)
    assert fingerprint(*parts) != fingerprint(*parts, 0)
    assert fingerprint("ab", "c") != fingerprint("a", "bc")
    assert fingerprint(np.zeros(2, np.uint8)) != fingerprint(np.zeros((1, 2), np.uint8))


def test_a_folder_appears_whole_and_takes_the_place_of_the_old(tmp_path: Path) -> None:
    target = tmp_path / "set"
    for text in ("old", "new"):
        with writing_folder(target) as part:
            (part / "a").mkdir()
            (part / "a" / text).write_text(text)
            assert (target / "a" / "old").exists() == (text == "new")
    assert [p.name for p in target.rglob("*")] == ["a", "new"]

    def write_half() -> None:
        with writing_folder(target) as part:
            (part / "half").write_text("")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write_half()
    assert [p.name for p in tmp_path.iterdir()] == ["set"]
    assert (target / "a" / "new").exists()


def test_a_killed_processs_folder_is_removed_and_a_living_ones_is_not(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    for pid in (gone.pid, os.getpid()):
        (tmp_path / f".set.{pid}.abcd.part").mkdir()
    with writing_folder(tmp_path / "set"):
        pass
    assert sorted(p.name for p in tmp_path.iterdir()) == [f".set.{os.getpid()}.abcd.part", "set"]


def test_a_file_is_never_replaced_by_a_folder(tmp_path: Path) -> None:
    (tmp_path / "set").write_text("mine")
    with pytest.raises(UserError, match="is there and is no folder"), writing_folder(tmp_path / "set"):
        pass
    assert (tmp_path / "set").read_text() == "mine"
