"""Greedy by gain per click: answers on paper, and laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selection.gain import greedy_gain


def picks(frame, gain, cost=None, box=None, motion=None, budget=99, clicks=None, per_frame=0.5):
    gain = np.array(gain, np.float32)
    cost = np.ones_like(gain) if cost is None else np.array(cost, np.float32)
    boxes = None if box is None else np.array(box, np.int64)
    moves = None if motion is None else np.array(motion, np.float32)
    return greedy_gain(np.array(frame, np.int64), boxes, moves, gain, cost, budget, clicks, per_frame=per_frame)


def test_the_most_per_click_comes_first_and_ties_go_to_the_lowest():
    # far apart in time, so that nothing is discounted: 10/5, 6/2, 6/2, 1/1
    assert picks([0, 100, 200, 300], [10, 6, 6, 1], [5, 2, 2, 1]).index.tolist() == [1, 2, 0, 3]


def test_a_pick_takes_gain_from_its_neighbours_in_time():
    # frame 1 mends all of itself, half of frame 0 and 2; frame 9 is too far to be touched
    chosen = picks([0, 1, 2, 9], [7, 10, 8, 5])
    assert chosen.index.tolist() == [1, 3, 2, 0]
    # of frame 2 half is left; frame 9 is out of reach (4 frames); frame 0 lost half to frame 1 and a quarter to frame 2
    assert chosen.gain.tolist() == [10, 5, 4, pytest.approx(7 * 0.5 * 0.75)]


def test_labels_that_mend_nothing_around_them_take_nothing_from_other_frames():
    frame, gain, cost = np.array([3, 4, 4]), np.array([9, 8, 7], np.float32), np.ones(3, np.float32)
    # of two samples in one frame, each the whole of it, the second has nothing left
    chosen = greedy_gain(frame, None, None, gain, cost, 3, mend=np.zeros(3, np.float32))
    assert chosen.index.tolist() == [0, 1, 2]
    assert chosen.gain.tolist() == [9, 8, 0]
    assert greedy_gain(frame, None, None, gain, cost, 3, None, np.float32([0, 0.5, 1]), 0.5).gain.tolist() == [9, 6, 0]


def test_only_what_overlaps_is_discounted():
    boxes = [(0, 0, 4, 4), (0, 4, 4, 4), (0, 2, 4, 4)]
    chosen = picks([0, 1, 1], [10, 6, 7], box=boxes)
    # the third is half covered by the first, one frame away: 7 (1 - 0.5 * 0.5) = 5.25 < 6; then half of that goes
    assert chosen.index.tolist() == [0, 1, 2]
    assert chosen.gain.tolist() == [10, 6, 5.25 * 0.5]


def test_what_a_pick_mends_moves_with_what_is_in_it():
    # 4 pixels to the right per frame: in the next frame the first pick covers the second box, not the one where it was
    boxes = [(0, 0, 4, 4), (0, 4, 4, 4), (0, 0, 4, 4)]
    chosen = picks([0, 1, 1], [10, 6, 6], box=boxes, motion=[(0, 4), (0, 0), (0, 0)])
    assert chosen.index.tolist() == [0, 2, 1]
    assert chosen.gain.tolist() == [10, 6, 3]


def test_the_clicks_are_kept_to_but_one_sample_is_always_asked():
    assert picks([0, 50, 99], [9, 8, 7], [4, 4, 4], clicks=8).index.tolist() == [0, 1]
    assert picks([0, 50, 99], [9, 8, 7], [4, 4, 4], clicks=1).index.tolist() == [0]
    assert picks([], []).index.tolist() == []


@given(st.integers(0, 10_000), st.integers(0, 60), st.integers(0, 40))
def test_distinct_and_falling_value_per_click(seed, n, budget):
    rng = np.random.default_rng(seed)
    frame = np.sort(rng.integers(0, 12, n))
    cost = rng.uniform(1, 9, n).astype(np.float32)
    chosen = greedy_gain(frame, None, None, rng.random(n).astype(np.float32), cost, budget)
    assert len(set(chosen.index.tolist())) == len(chosen.index) == min(n, budget)
    ratio = chosen.gain / cost[chosen.index]
    assert (np.diff(ratio) <= 1e-9).all()  # submodular: what comes later never promises more
    assert (chosen.gain >= 0).all()
