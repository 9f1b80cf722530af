import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selection.spread import evenly_spread, gap_targets

NONE = np.zeros(0, np.int64)


def spread(frame, asked, frames, budget):
    return evenly_spread(np.array(frame), np.array(asked, np.int64), frames, budget, np.random.default_rng(0)).tolist()


@pytest.mark.parametrize(("frames", "count"), [(101, 1), (101, 3), (101, 10), (12, 12), (4, 2), (1, 1)])
def test_with_nothing_asked_the_middles_of_equal_parts(frames, count):
    assert gap_targets(NONE, frames, count) == [int((i + 0.5) * frames / count) for i in range(count)]


def test_one_more_goes_to_the_middle_of_the_longest_gap():
    assert gap_targets(np.array([5, 25, 95]), 101, 1) == [60]


def test_the_ends_count_double_because_labels_reach_them_from_one_side():
    # 0..20 | label at 20 | 30 frames | label at 50: the worst frame of the start is 20 away, of the middle 15.
    assert gap_targets(np.array([20, 50]), 53, 1) == [6]  # 20.5 long, cut at 1/3 : 2/3


def test_several_share_the_gaps():
    # Gaps of 40 between labels at 0, 40, 80 (of 81 frames): one each first, then a second in the first gap.
    assert gap_targets(np.array([0, 40, 80]), 81, 2) == [20, 60]
    assert gap_targets(np.array([0, 40, 80]), 81, 4) == [13, 27, 53, 67]


def test_a_target_that_is_no_candidate_goes_to_the_nearest():
    assert spread([0, 1, 8], [], 10, 1) == [2]  # target 5: frame 8 is nearer than frame 1
    assert spread([3, 7], [], 10, 1) == [0]  # target 5: a tie goes to the earlier frame


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))), st.integers(1, 30))
def test_asking_all_at_once_leaves_no_frame_farther_than_an_even_spread_would(case, budget):
    frames, asked = case
    open_frames = sorted(set(range(frames)) - asked)
    picks = [open_frames[i] for i in spread(open_frames, sorted(asked), frames, budget)] if open_frames else []
    assert len(set(picks)) == min(budget, len(open_frames))
    labeled = np.array(sorted(asked | set(picks)))
    farthest = max(int(np.abs(labeled - t).min()) for t in range(frames)) if labeled.size else frames
    assert farthest <= frames / (2 * min(budget, frames)) + 1
