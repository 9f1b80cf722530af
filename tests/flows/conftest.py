"""A tiny video in a workspace, and the loop on it with the in-memory labeling tool."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from connectors.memory import MemoryTool
from flows.context import Context
from workspace.config import parse_config
from workspace.facts import Facts
from workspace.files import write_image
from workspace.layout import Layout
from workspace.video import Video

FRAMES, HEIGHT, WIDTH = 6, 32, 48
VIDEO = Video("clip-0123456789", "clip", "0123456789" * 6 + "abcd", FRAMES, WIDTH, HEIGHT, 10.0, ".png")


def box(index: int) -> np.ndarray:
    """The truth: a box that moves to the right over the ground."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[8:24, 4 + 3 * index : 16 + 3 * index] = 1
    return mask


@pytest.fixture
def truth() -> Callable[[int], np.ndarray]:
    return box


@pytest.fixture
def make_context(tmp_path: Path) -> Iterator[Callable[..., Context]]:
    """Makes a context on the workspace of this test; several share files and facts, settings may differ."""
    layout = Layout(tmp_path)
    texture = np.random.default_rng(0).integers(0, 60, (HEIGHT, WIDTH, 3))
    for index in range(FRAMES):
        frame = texture + 150 * box(index)[:, :, None] * np.array([1, 0, 0])
        write_image(layout.frame(VIDEO, index), frame.astype(np.uint8))
    facts = Facts.open(layout.database_file)
    facts.add_video(VIDEO)

    def make(tool: MemoryTool, **sections: dict[str, Any]) -> Context:
        values = {
            "project": {"classes": ["ground", "box"]},
            "selection": {"budget": 2},
            "stopping": {"rounds": 2, "quality": None},
            "segmenter": {"name": "compact", "weights": None},
            "propagation": {"decoder_steps": 3, "tuning_steps": 3},
        }
        return Context(layout, parse_config(values | sections, "test"), facts, tool)

    yield make
    facts.close()
