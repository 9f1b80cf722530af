"""The baseline of the propagation benchmark, on motion that is known."""

from __future__ import annotations

import numpy as np

from benchmarks.nearest_label import nearest_labels


def test_the_nearer_label_moves_with_the_picture_and_the_farther_one_never_counts() -> None:
    """Everything moves one pixel to the right per frame; labels 0 and 4 tell their columns, from 1 and 101."""
    frames = np.zeros((5, 4, 12, 3), np.uint8)
    columns = np.tile(np.arange(12, dtype=np.uint8), (4, 1))
    labels = {0: columns + 1, 4: columns + 101}

    def flow(source: int, target: int) -> np.ndarray:
        moved = np.zeros((4, 12, 2), np.float32)
        moved[..., 0] = target - source
        return moved

    found = dict(nearest_labels(frames, labels, flow))
    assert sorted(found) == [0, 1, 2, 3, 4]
    assert (found[0] == labels[0]).all()
    assert (found[4] == labels[4]).all()
    assert found[1][0, 1:].tolist() == list(range(1, 12))
    assert found[2][0, 2:].tolist() == list(range(1, 11))  # equally near: the earlier one
    assert found[3][0, :-1].tolist() == list(range(102, 113))
