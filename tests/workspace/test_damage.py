"""A cut file or a flipped bit is told, whatever the format; what is read is what was written."""

from __future__ import annotations

import io
import pickle
import random
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from workspace.damage import DamagedFile
from workspace.errors import UserError
from workspace.files import read_array, read_arrays, read_mask, read_rgb, write_array, write_bytes, write_image

NOISE = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)


def write_arrays(path: Path, array: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, a=array)
    write_bytes(path, buffer.getvalue())


KINDS: dict[str, tuple[Callable[[Path, np.ndarray], None], Callable[[Path], np.ndarray], np.ndarray]] = {
    "a.npy": (write_array, read_array, NOISE.astype(np.float16)),
    "a.npz": (write_arrays, lambda path: read_arrays(path)["a"], NOISE),
    "mask.png": (write_image, read_mask, NOISE[:, :, 0]),
    "frame.png": (write_image, read_rgb, NOISE),
    "frame.jpg": (write_image, read_rgb, NOISE),
}


@pytest.mark.parametrize("name", KINDS)
def test_no_damage_looks_like_a_result(name: str, tmp_path: Path) -> None:
    write, read, array = KINDS[name]
    path, chance = tmp_path / name, random.Random(1)
    write(path, array)
    whole, wanted = path.read_bytes(), read(path)
    if not name.endswith(".jpg"):
        assert np.array_equal(wanted, array)
    told = 0
    for _ in range(300):
        at, bit = chance.randrange(len(whole)), chance.randrange(8)
        flipped = whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :]
        for content in (flipped, whole[:at]):
            path.write_bytes(content)
            try:
                found = read(path)
            except UserError:
                told += 1
            else:  # a bit of no meaning: a date in a zip, the mark of the checksum itself
                assert np.array_equal(found, wanted)
    assert told > 570


def test_others_read_the_sealed_files_and_we_read_unsealed_ones(tmp_path: Path) -> None:
    write_array(tmp_path / "a.npy", NOISE)
    assert np.array_equal(np.load(tmp_path / "a.npy"), NOISE)
    np.save(tmp_path / "b.npy", NOISE)
    assert np.array_equal(read_array(tmp_path / "b.npy"), NOISE)
    write_image(tmp_path / "a.jpg", NOISE, 90)
    with Image.open(tmp_path / "a.jpg") as image:
        theirs = np.asarray(image)
    assert np.abs(theirs.astype(int) - read_rgb(tmp_path / "a.jpg")).max() <= 4  # another decoder
    assert cv2.imwrite(str(tmp_path / "b.jpg"), NOISE)
    assert read_rgb(tmp_path / "b.jpg").shape == NOISE.shape


def test_the_error_survives_a_process_border(tmp_path: Path) -> None:
    error = pickle.loads(pickle.dumps(DamagedFile(tmp_path / "x")))
    assert (error.path, "x is damaged" in error.message) == (tmp_path / "x", True)
