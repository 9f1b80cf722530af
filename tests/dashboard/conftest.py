"""A small project whose every number can be worked out by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from workspace.facts import Facts, NewEvent
from workspace.files import write_array, write_image
from workspace.layout import Layout
from workspace.video import Video

H, W, N = 24, 32, 8
MODELS = "a" * 16, "b" * 16
HOSTILE = '<script>alert("x")</script>'


@pytest.fixture(scope="session")
def street(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """Two rounds of a video of 8 frames: round 1 through, round 2 waiting; a second video that nothing happened to."""
    layout = Layout(tmp_path_factory.mktemp("projects") / "Street 1")
    layout.videos.mkdir(parents=True)
    layout.config_file.write_text(
        json.dumps({"project": {"name": HOSTILE, "classes": ["road", "<b>car</b>"]}}), encoding="utf-8"
    )
    video = Video("clip-0123456789", HOSTILE, "0" * 64, N, W, H, 10.0, ".png")
    with Facts.open(layout.database_file) as facts:
        facts.add_video(video)
        facts.add_video(Video("other-0123456789", "other", "1" * 64, 4, W, H, 10.0, ".png"))
        for kind, number, payload in events():
            facts.append(video.id, number, NewEvent(kind, payload))
        with facts._engine.begin() as connection:
            connection.execute(text("UPDATE video SET state = 'waiting', round = 2 WHERE id = :v"), {"v": video.id})
    for index in range(N):
        write_image(layout.frame(video, index), np.full((H, W, 3), 30 * index, np.uint8))
        for which, model in enumerate(MODELS):
            mask = np.zeros((H, W), np.uint8)
            mask[:, : 4 * (which + 1)] = 1
            mask[0, 0] = 255
            write_image(layout.masks(video.id, model) / f"{index:06d}.png", mask)
        np.savez_compressed(
            _made(layout.probabilities(video.id, MODELS[1])) / f"{index:06d}.npz",
            probabilities=np.full((2, 6, 8), 0.5, np.float16),
        )
    write_array(layout.frame_errors(video.id, MODELS[1]), np.linspace(0, 0.35, N, dtype=np.float32))
    return layout


def events() -> Iterator[tuple[str, int, dict]]:
    yield "moved", 0, {"from": "ready", "to": "selecting", "round": 1}
    yield "selected", 1, {"samples": ["f000000", "f000004", "f000007"], "strategy": "uniform", "seed": 3}
    yield "pushed", 1, {"samples": [], "new": 3, "model": ""}
    yield "moved", 1, {"from": "pushing", "to": "waiting", "round": 1}
    for n, (who, frame) in enumerate((("anna", 0), ("ben", 4), (HOSTILE, 7))):
        yield "label", 1, {
            "sample": f"f{frame:06d}", "annotation": str(n), "annotator": who, "skipped": False, "seconds": 10.0,
            "known_pixels": H * W, "clicks": {"drawing": 100, "correcting": 100}, "file": None,
            "finished_at": f"2026-01-0{n + 1}T00:00:00Z",
            "effort": {"clicks": 120, "keys": 0, "active_seconds": 8.0, "wall_seconds": 9.0} if n == 0 else None,
        }  # fmt: skip
    yield "failed", 1, {"state": "fitting", "error": f"no memory {HOSTILE}"}
    yield "retried", 1, {"state": "fitting", "hold": None, "before": "failed"}
    yield "propagated", 1, {"model": MODELS[1], "frames": N, "estimated_miou": 0.8, "drawing_every_frame": 500}
    yield "scored", 1, {"miou": 0.75, "drawing_every_frame": 600}
    yield "selected", 2, {"samples": ["f000002", "f000003"], "strategy": "uniform", "seed": 3}
    yield "pushed", 2, {"samples": [], "new": 2, "model": MODELS[1]}
    yield "moved", 2, {"from": "pushing", "to": "waiting", "round": 2}
    yield "reliability", 2, {"annotators": {"pixels": {"anna": [0.9, 30.0]}, "choices": {"anna": [0.5, 10.0]}}}


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
