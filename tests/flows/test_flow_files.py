"""Flow on disk: filled in parallel, computed once per pair and direction, rounded the same way read or computed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from flows.frame_files import FlowFiles


class Frames:
    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> np.ndarray:
        return np.full((4, 5, 3), index, np.uint8)


@pytest.mark.parametrize("workers", [1, 3])
def test_every_pair_of_neighbours_is_computed_once(tmp_path, workers):
    asked: Counter[tuple[int, int]] = Counter()

    def compute(source, target):
        asked[int(source[0, 0, 0]), int(target[0, 0, 0])] += 1
        return np.full((4, 5, 2), float(target[0, 0, 0]) - float(source[0, 0, 0]) / 3, np.float32)

    flow = FlowFiles(tmp_path, Frames(), compute)
    before = flow(2, 3)  # one was there already
    done: list[float] = []
    flow.fill(workers, done.append)
    assert asked == {(i + way, i + 1 - way): 1 for i in range(5) for way in (0, 1)}
    assert done == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    again = FlowFiles(tmp_path, Frames(), compute)(2, 3)
    assert np.array_equal(before, again)
    flow.fill(workers, done.append)
    assert set(asked.values()) == {1}


@pytest.mark.parametrize("workers", [1, 3])
def test_an_interrupted_fill_leaves_whole_files(tmp_path, workers):
    def compute(source, target):
        return np.zeros((4, 5, 2), np.float32)

    def stop(fraction: float) -> None:
        if fraction > 0.5:
            raise KeyboardInterrupt

    flow = FlowFiles(tmp_path, Frames(), compute)
    with pytest.raises(KeyboardInterrupt):
        flow.fill(workers, stop)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) >= 6
    assert all(np.load(tmp_path / name).shape == (4, 5, 2) for name in names)
