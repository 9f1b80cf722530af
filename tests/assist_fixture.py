"""A tiny model, learned in a moment, for what needs one, and the help server as Label Studio reaches it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import uvicorn

from assist.backends.registry import click_backend
from assist.examples import examples_of
from assist.server import assist_app
from assist.service import Assist
from assist.snapping import BoxSnapper
from assist.training.train import Effort, Material, train
from connectors.label_studio.bucket_links import BucketLinks
from connectors.label_studio.image_source import ImageSource
from connectors.label_studio.server import LabelStudioServer

USER, PASSWORD = "fewclicks", "a password for tests"


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


@contextmanager
def serving(
    server: LabelStudioServer,
    answers: list[Any] | None = None,
    snapper: BoxSnapper | None = None,
    click_file: Path | None = None,
    bucket: BucketLinks | None = None,
) -> Iterator[str]:
    """The real help server; what it answers is noted too."""

    class Noting(Assist):
        def answer(self, request: Any) -> list[dict[str, Any]]:
            found = super().answer(request)
            if answers is not None and found:
                answers.append(found)
            return found

    with ImageSource(server.url, server.token, bucket) as source:
        noting = Noting(source, click_backend("classic"), snapper, click_file=click_file)
        app = assist_app(noting, USER, PASSWORD)
        running = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
        thread = threading.Thread(target=running.run)
        thread.start()
        try:
            deadline = time.monotonic() + 60
            while not running.started:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}"
        finally:
            running.should_exit = True
            thread.join()
