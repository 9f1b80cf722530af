"""Who speaks about a labeled frame when its own label is kept from them."""

from __future__ import annotations

import numpy as np

from propagation.held_out import opinions, witnesses
from workspace.config import PropagationConfig, SegmenterConfig

H, W, N = 32, 48, 9


def still(source: int, target: int) -> np.ndarray:
    return np.zeros((H, W, 2), np.float32)


def moving(source: int, target: int) -> np.ndarray:
    """Everything moves one pixel to the right per frame."""
    flow = np.zeros((H, W, 2), np.float32)
    flow[..., 0] = target - source
    return flow


def box(index: int) -> np.ndarray:
    mask = np.zeros((H, W), np.uint8)
    mask[8:20, 10 + index : 20 + index] = 1
    return mask


def quiet(fraction: float) -> None:
    pass


def test_the_nearest_two_on_each_side_speak():
    labels = {index: np.full((H, W), index, np.uint8) for index in (0, 2, 3, 7, 8)}
    found = {one.frame: one for one in witnesses(labels, still, (H, W), quiet)}
    assert list(found) == [0, 2, 3, 7, 8]
    told = found[3].read(labels.__getitem__)
    assert told[:, :, 5, 5].tolist() == [[2, 0], [7, 8]]
    assert found[0].read(labels.__getitem__)[:, :, 5, 5].tolist() == [[255, 255], [2, 3]]


def test_they_are_where_flow_leads():
    labels = {index: box(index) for index in range(N)}
    for one in witnesses(labels, moving, (H, W), quiet):
        told = one.read(labels.__getitem__)
        inside = np.s_[..., 4:-4, 8:-9]  # what comes in at the edge comes from nowhere
        agreed = (told == labels[one.frame]) | (told == 255)
        assert agreed[inside].all()


def test_many_labels_do_not_need_each_other_in_memory():
    labels = {index: np.full((H, W), index % 7, np.uint8) for index in range(60)}
    read = [one.read(labels.__getitem__)[:, 0, 3, 3].tolist() for one in witnesses(labels, still, (H, W), quiet)]
    assert len(read) == 60
    assert read[24] == [23 % 7, 25 % 7]  # across the border of what is in memory together


def test_pixels_that_nobody_labeled_say_nothing():
    labels = {0: box(0), 1: np.full((H, W), 255, np.uint8), 2: box(0)}
    labels[1][:, :10] = 0
    found = {one.frame: one.read(labels.__getitem__) for one in witnesses(labels, still, (H, W), quiet)}
    assert found[0][1, 0, 10, 5] == 0
    assert found[0][1, 0, 10, 12] == 1  # from frame 2, since frame 1 knows nothing here


def test_a_model_that_never_saw_a_label_does_not_repeat_its_mistake():
    rng = np.random.default_rng(0)
    labels = {index: box(index) for index in range(N)}
    frames = [rng.integers(0, 40, (H, W, 3)) + 180 * box(i)[..., None] * np.array([1, 0, 0]) for i in range(N)]
    labels[4] = np.zeros((H, W), np.uint8)
    said = {
        one.frame: one
        for one in opinions(
            [frame.astype(np.uint8) for frame in frames],
            labels,
            2,
            SegmenterConfig(name="compact", weights=None),
            PropagationConfig(),
            quiet,
        )
    }
    assert list(said) == list(range(N))
    for index, one in said.items():
        assert one.classes == (0, 1)
        assert one.model.shape == (2, H, W)
        assert np.allclose(one.model.sum(axis=0), 1, atol=1e-4)
        middle = one.model[1][10:18, 13 + index : 17 + index]
        assert middle.mean() > 0.5, index
    assert not list(opinions([], {}, 2, SegmenterConfig(name="compact", weights=None), PropagationConfig(), quiet))
