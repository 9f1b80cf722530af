from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from propagation.flow import dis_flow
from propagation.warp import follow, no_track, read, remembering, restart, source_frames, travel, unpack

H, W = 6, 20
IMAGE = np.zeros((H, W, 3), np.uint8)
PERFECT = np.zeros((H, W), np.float32)


def stripe(x: int, width: int = 2) -> np.ndarray:
    mask = np.zeros((H, W), np.uint8)
    mask[:, x : x + width] = 1
    return mask


def shift_flow(dx: float) -> np.ndarray:
    return np.zeros((H, W, 2), np.float32) + np.float32([dx, 0])


def read_plain(track, index, labels):
    return unpack(read(track, index, IMAGE, labels.__getitem__, lambda _: IMAGE))


def test_half_pixels_add_up_over_frames():
    """Four frames of 0.5 px are 2 px; rounding the mask in each frame would give 0 or 4."""
    labels = {0: stripe(5)}
    track = restart(no_track(H, W), 0, labels[0] != 255)
    for _ in range(4):
        track = follow(track, shift_flow(-0.5), PERFECT)
    arrival = read_plain(track, 4, labels)[0]
    assert np.array_equal(arrival.classes[:, 4:], stripe(7)[:, 4:])
    assert np.allclose(arrival.distance, 4, atol=0.1)
    assert (arrival.log_reliability == 0).all()


@settings(max_examples=30, deadline=None)
@given(steps=st.lists(st.integers(-2, 2), min_size=1, max_size=5))
def test_whole_pixels_move_the_label_by_their_sum(steps):
    labels = {0: stripe(9)}
    track = restart(no_track(H, W), 0, labels[0] != 255)
    for dx in steps:
        track = follow(track, shift_flow(-dx), PERFECT)
    inner = slice(10, 11)  # far enough from both ends that nothing comes from outside
    expected = stripe(9 + sum(steps)) if -9 <= sum(steps) <= 9 else stripe(0, 0)
    assert np.array_equal(read_plain(track, len(steps), labels)[0].classes[:, inner], expected[:, inner])


def test_reliabilities_multiply():
    track = restart(no_track(H, W), 0, np.ones((H, W), bool))
    for _ in range(3):
        track = follow(track, shift_flow(0), PERFECT - 0.5)
    assert (read_plain(track, 3, {0: stripe(3)})[0].log_reliability + 1.5 < 0.02).all()


def test_a_new_label_comes_first_and_the_old_one_second():
    labels = {0: stripe(3), 1: np.where(np.arange(W) < 10, stripe(12), 255).astype(np.uint8)}
    track = restart(no_track(H, W), 0, labels[0] != 255)
    track = restart(follow(track, shift_flow(0), PERFECT), 1, labels[1] != 255)
    first, second = read_plain(track, 2, labels)
    assert np.array_equal(source_frames(track), np.where(np.arange(W) < 10, 1, 0) * np.ones((H, 1), int))
    assert np.array_equal(first.classes, np.where(np.arange(W) < 10, 0, stripe(3)))
    assert (second.classes[:, :10] == stripe(3)[:, :10]).all()
    assert (second.classes[:, 10:] == 255).all()
    assert np.allclose(second.distance[:, :10], 2, atol=0.06)
    assert (second.log_reliability[:, 10:] == -8).all()
    assert (second.residual[:, 10:] == 1).all()


def test_the_residual_is_the_difference_in_colour():
    bright = IMAGE + np.uint8(51)
    track = restart(no_track(H, W), 0, np.ones((H, W), bool))
    arrival = unpack(read(track, 0, bright, {0: stripe(1)}.__getitem__, lambda _: IMAGE))[0]
    assert np.allclose(arrival.residual, 0.2, atol=0.005)


def test_what_arrives_at_a_labeled_frame_does_not_know_its_labels():
    labels = {0: stripe(2), 2: stripe(14)}
    still = lambda source, target: shift_flow(0)  # noqa: E731
    visits = list(travel(range(4), labels, still, (H, W)))
    assert [index for index, _, _ in visits] == [0, 1, 2, 3]
    assert visits[0][1].empty
    assert np.array_equal(read_plain(visits[2][1], 2, labels)[0].classes, stripe(2))
    assert np.array_equal(read_plain(visits[2][2], 2, labels)[0].classes, stripe(14))
    assert np.array_equal(read_plain(visits[3][1], 3, labels)[1].classes, stripe(2))


def test_no_flow_is_asked_for_before_the_first_label():
    asked = []

    def flow(source, target):
        asked.append((source, target))
        return shift_flow(0)

    list(travel(range(5, -1, -1), {2: stripe(1)}, flow, (H, W)))
    assert sorted(asked) == [(0, 1), (1, 0), (1, 2), (2, 1)]


@settings(max_examples=40, deadline=None)
@given(
    classes=arrays(np.uint8, (H, W)),
    reliability=arrays(np.float32, (H, W), elements=st.floats(-8, 0, width=32)),
    distance=st.integers(0, 70_000),
    brightness=st.integers(0, 255),
)
def test_what_is_read_keeps_classes_and_the_rest_to_half_a_step(classes, reliability, distance, brightness):
    track = follow(restart(no_track(H, W), 0, np.ones((H, W), bool)), shift_flow(0), reliability)
    packed = read(track, distance, IMAGE + np.uint8(brightness), lambda _: classes, lambda _: IMAGE)
    assert packed.shape == (2, 4, H, W)
    assert packed.dtype == np.uint8
    back, nothing = unpack(packed)
    known = classes != 255
    assert np.array_equal(back.classes, classes)
    assert np.abs(back.log_reliability - reliability)[known].max(initial=0) <= 4 / 255 + 1e-5
    assert np.abs(back.residual - brightness / 255)[known].max(initial=0) <= 1.5 / 255
    exact = np.log2(1 + min(distance, 59_999))
    assert np.abs(np.log2(1 + back.distance) - exact)[known].max(initial=0) <= 0.5 / 16 + 1e-3
    for missing in (packed[0][:, ~known], packed[1].reshape(4, -1)):
        assert (missing == np.array([[255], [255], [0], [255]])).all()
    assert (nothing.classes == 255).all()


def test_each_pixel_is_read_from_its_own_source():
    """Two sources side by side, with other labels, colours and distances."""
    left = np.where(np.arange(W) < 10, 3, 255) * np.ones((H, 1), int)
    labels = {0: np.full((H, W), 7, np.uint8), 4: left.astype(np.uint8)}
    images = {0: IMAGE + np.uint8(100), 4: IMAGE + np.uint8(50)}
    track = restart(restart(no_track(H, W), 0, labels[0] != 255), 4, labels[4] != 255)
    first, second = unpack(read(track, 5, IMAGE, labels.__getitem__, images.__getitem__))
    assert np.array_equal(first.classes, np.where(np.arange(W) < 10, 3, 7) * np.ones((H, 1), int))
    assert np.allclose(first.distance[:, :10], 1, atol=0.05)
    assert np.allclose(first.distance[:, 10:], 5, atol=0.1)
    assert np.allclose(first.residual[:, :10], 50 / 255, atol=0.01)
    assert np.allclose(first.residual[:, 10:], 100 / 255, atol=0.01)
    assert (second.classes[:, :10] == 7).all()
    assert (second.classes[:, 10:] == 255).all()


def test_remembering_reads_each_once_while_it_fits():
    read_indices = []

    def of(index):
        read_indices.append(index)
        return IMAGE

    remembered = remembering(of, 1)
    for index in (1, 2, 1, 2):
        remembered(index)
    assert read_indices == [1, 2]


def test_nothing_crosses_a_cut():
    """Two scenes of noise that have nothing in common, three frames each."""
    rng = np.random.default_rng(0)
    scenes = [np.kron(rng.integers(0, 256, (30, 40, 3)), np.ones((4, 4, 1))).astype(np.uint8) for _ in range(2)]
    frames = [np.roll(scenes[index // 3], index, axis=1) for index in range(6)]

    def flow(source, target):
        return dis_flow(frames[source], frames[target], 640)

    label = {1: np.ones((120, 160), np.uint8)}
    reached = {index: not track.empty for index, _, track in travel(range(6), label, flow, (120, 160))}
    assert reached == {0: False, 1: True, 2: True, 3: False, 4: False, 5: False}
