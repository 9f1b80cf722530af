"""What the samples of a frame are worth, on frames worked out on paper."""

import numpy as np

from selection.clicks import frame_clicks
from selection.expected_clicks import outlines
from selection.granularity import first_frames, patch_shape, sample_pixels
from selection.scoring import FrameMaps, at_pixels, score_frame, score_patches, score_superpixels
from selection.superpixels import Superpixels

HALVES = np.repeat([[0, 0, 0, 0, 1, 1, 1, 1]], 4, axis=0).astype(np.uint8)

MOTION = np.stack([HALVES * 3, np.full(HALVES.shape, -2.0)]).astype(np.float32)  # the right half moves down too


def maps(open_pixels=None):
    """4x8, two classes; gain 1 on the left, 2 on the right; uncertainty 0.25 and 0.5."""
    left = HALVES == 0
    every = np.ones(HALVES.shape, bool) if open_pixels is None else open_pixels
    gain = np.where(left, 1, 2).astype(np.float32)
    return FrameMaps(every, gain, gain / 4, np.zeros(HALVES.shape, np.float32), MOTION, outlines(HALVES))


def test_a_frame_is_the_sum_of_its_open_pixels():
    scores = score_frame(maps())
    assert (scores.gain[0], scores.uncertainty[0], scores.open[0]) == (16 + 32, 0.375, 32)
    assert scores.cost[0] == frame_clicks(HALVES, 2)
    assert scores.box.tolist() == [[0, 0, 4, 8]]
    assert scores.motion.tolist() == [[1.5, -2]]
    assert score_patches(maps(), 4, 4).motion.tolist() == [[0, -2], [3, -2]]


def test_pixels_that_were_asked_about_count_nothing():
    half = np.zeros(HALVES.shape, bool)
    half[:2, 4:] = True
    scores = score_patches(maps(half), 4, 4)
    assert scores.gain.tolist() == [0, 16]
    assert scores.uncertainty.tolist() == [0, 0.5]  # the mean over what is open, not over the patch
    assert scores.open.tolist() == [0, 8]
    assert scores.cost.tolist() == [1, 1]


def test_a_superpixel_across_a_boundary_is_worth_less():
    # ids 0 and 2 are pure, 1 is half of each class: one class for it mends as much as it breaks
    ids = np.repeat([[0, 0, 0, 1, 1, 2, 2, 2]], 4, axis=0).astype(np.int32)
    scores = score_superpixels(maps(), Superpixels(ids, 3, "0" * 8))
    assert scores.gain.tolist() == [12, 0, 24]
    assert scores.cost.tolist() == [1, 1, 1]
    assert scores.motion.tolist() == [[0, -2], [1.5, -2], [3, -2]]
    assert scores.box.tolist() == [[0, 0, 4, 3], [0, 3, 4, 2], [0, 5, 4, 3]]


def test_cells_become_pixels_also_at_the_border():
    cells = np.array([[1, 2], [3, 4]], np.float16)
    assert at_pixels(cells, 2, 3, 3).tolist() == [[1, 1, 2], [1, 1, 2], [3, 3, 4]]


def test_words_of_granularity():
    assert [patch_shape(name) for name in ("patch:32", "patch:16x48", "frame")] == [(32, 32), (16, 48), None]
    assert sample_pixels("patch:64", 32, 200, 24) == 32 * 64
    # a frame of 320x480 holds 150 patches of 32x32: 300 of them are two frames, and two is also the least
    assert first_frames(300, "patch:32", 320, 480, 24) == 2
    assert first_frames(750, "patch:32", 320, 480, 24) == 5
    assert first_frames(3, "superpixel", 320, 480, 24) == 2
    assert first_frames(1, "frame", 320, 480, 24) == first_frames(1, "mixed", 320, 480, 24) == 1
