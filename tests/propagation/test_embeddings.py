from __future__ import annotations

import numpy as np
import pytest

from propagation.embeddings import embed
from workspace.config import PropagationConfig, SegmenterConfig

CPU = PropagationConfig(device="cpu")


@pytest.mark.parametrize("name", ["compact", "mobilenet_v2"])
@pytest.mark.parametrize("count", [1, 2, 9])
def test_rows_have_length_one_and_are_the_same_twice(scene, name, count):
    config = SegmenterConfig(name=name, weights=None)
    told: list[float] = []
    table = embed(scene.frames[:count], config, CPU, told.append)
    assert table.shape[0] == count
    assert table.dtype == np.float32
    assert np.allclose(np.linalg.norm(table, axis=1), 1, atol=1e-5)
    assert np.array_equal(table, embed(scene.frames[:count], config, CPU, told.append))
    assert told[-1] == 1


def test_like_frames_lie_near_and_unlike_ones_far():
    rng = np.random.default_rng(0)
    red, blue = (np.zeros((40, 60, 3), np.uint8) + np.uint8(c) for c in ([200, 30, 30], [30, 30, 200]))
    frames = [(f + rng.integers(0, 9, f.shape)).astype(np.uint8) for f in (red, red, blue, blue)]
    near = embed(frames, SegmenterConfig(name="compact", weights=None), CPU, lambda _: None)
    likeness = near @ near.T
    assert likeness[0, 1] > 0.9
    assert likeness[2, 3] > 0.9
    assert likeness[0, 2] < 0


def test_frames_that_are_all_the_same():
    same = [np.full((40, 60, 3), 7, np.uint8)] * 3
    table = embed(same, SegmenterConfig(name="compact", weights=None), CPU, lambda _: None)
    assert np.allclose(np.linalg.norm(table, axis=1), 1)
