"""A small data set with everything that is hard: holes, single and unknown pixels, odd names, JPEG and PNG frames."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from connectors.export.frames import LabeledFrame, Legend
from workspace.files import write_image

ROOT = Path(__file__).parents[3]


@pytest.fixture(params=[".jpg", ".png"])
def frames(request: pytest.FixtureRequest, tmp_path: Path) -> list[LabeledFrame]:
    rng = np.random.default_rng(0)
    made = []
    for index in (0, 3, 11):
        mask = np.zeros((24, 32), np.uint8)
        mask[2:14, 3:20] = 1
        mask[5:9, 6:12], mask[7, 8] = 0, 2  # a hole with an island
        mask[20, 30], mask[0, :5] = 2, 255
        mask[16:, :8] = rng.integers(0, 4, (8, 8))
        mask[mask == 3] = 255
        path = tmp_path / "frames" / f"{index:06d}{request.param}"
        write_image(path, rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
        made.append(LabeledFrame(index, mask, path))
    return made


@pytest.fixture
def legend() -> Legend:
    colors = np.array([[0, 0, 0], [0, 200, 0], [0, 0, 200]], np.uint8)
    return Legend(("Road", 'odd "<name>" & Bäume', "traffic_light"), colors)


@pytest.fixture(scope="session")
def readers() -> Path:
    """A Python with datumaro, supervision and datasets (`make readers`): they want other versions than ours."""
    home = Path(os.environ.get("FEWCLICKS_HOME") or ROOT / ".cache" / "fewclicks")
    python = Path(os.environ.get("FEWCLICKS_READERS") or home / "readers" / "bin" / "python")
    if not python.exists():
        reason = "other people's readers are not installed: run `make readers`, or set FEWCLICKS_READERS"
        if os.environ.get("CI") or os.environ.get("FEWCLICKS_REQUIRE_REAL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return python
