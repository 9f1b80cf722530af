"""A tiny model, learned in a moment, for what needs one."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from assist.examples import examples_of
from assist.training.train import Effort, Material, train


def write_footage(folder: Path, pictures: int = 4) -> Path:
    """Reddish rectangles on a bluish noisy ground, as images and masks."""
    rng = np.random.default_rng(0)
    for name in ("frames", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(pictures):
        mask = np.zeros((72, 96), np.uint8)
        top, left = rng.integers(8, 24), rng.integers(8, 40)
        mask[top : top + rng.integers(24, 40), left : left + rng.integers(24, 44)] = 1
        color = np.where(mask[..., None] > 0, [60, 70, 200], [170, 90, 40]) + rng.normal(0, 5, (72, 96, 3))
        cv2.imwrite(str(folder / "frames" / f"{number}.png"), np.clip(color, 0, 255).astype(np.uint8))
        cv2.imwrite(str(folder / "masks" / f"{number}.png"), mask)
    (folder / "meta.json").write_text(json.dumps({"classes": {"0": "background", "1": "object"}, "ignore": 255}))
    return folder


@pytest.fixture(scope="session")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_footage(tmp_path_factory.mktemp("footage") / "rectangles")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory, footage: Path) -> Path:
    folder = tmp_path_factory.mktemp("model") / "tiny"
    train(material(footage), folder, "compact", None, Effort(12, 5.0), lambda text: None)
    return folder


def material(*sources: Path) -> Material:
    return Material(tuple(e for s in sources for e in examples_of(s)), (), tuple(map(str, sources)), "")
