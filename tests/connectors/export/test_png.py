"""Index PNGs, read back by Pillow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from connectors.export.png import export_png
from workspace.files import read_json, read_mask

COLORS = np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200]], np.uint8)


def test_values_are_class_indices_and_colours_are_only_shown(tmp_path: Path) -> None:
    masks = [(4, np.array([[0, 1], [2, 255]], np.uint8)), (11, np.array([[255, 255], [1, 1]], np.uint8))]
    beats: list[int] = []
    assert export_png(iter(masks), tmp_path, ["a", "b/../c", "d"], COLORS, beats.append) == 2
    assert beats == [1, 2]
    assert sorted(p.name for p in (tmp_path / "masks").iterdir()) == ["000004.png", "000011.png"]
    with Image.open(tmp_path / "masks" / "000004.png") as image:
        assert image.mode == "P"
        assert np.array(image).tolist() == [[0, 1], [2, 255]]
        assert np.array(image.convert("RGB")).tolist() == [[[200, 0, 0], [0, 200, 0]], [[0, 0, 200], [0, 0, 0]]]
    meta = read_json(tmp_path / "meta.json")
    assert meta["classes"] == {"0": "a", "1": "b/../c", "2": "d"}
    assert meta["ignore"] == 255


@given(seed=st.integers(0, 1 << 16), height=st.integers(1, 9), width=st.integers(1, 9))
def test_no_value_is_lost(tmp_path_factory, seed: int, height: int, width: int) -> None:
    folder = tmp_path_factory.mktemp("png")
    mask = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    export_png([(0, mask)], folder, ["a", "b", "c"], COLORS, lambda done: None)
    assert (read_mask(folder / "masks" / "000000.png") == mask).all()
