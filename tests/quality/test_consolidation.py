import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from quality.consolidation import majority

stacks = arrays(
    np.uint8, st.tuples(st.integers(1, 5), st.just(3), st.just(4)), elements=st.sampled_from([0, 1, 7, 255])
)


def row(*ids):
    return np.array([ids], np.uint8)


def test_most_votes_win_and_unknown_does_not_vote():
    result = majority([row(0, 1, 255, 255), row(1, 1, 255, 2), row(1, 255, 255, 255)])
    assert result.tolist() == [[1, 1, 255, 2]]


def test_a_tie_goes_to_the_earliest_annotation_of_the_tied_classes():
    assert majority([row(5), row(3)]).tolist() == [[5]]
    assert majority([row(9), row(3), row(5), row(5), row(3)]).tolist() == [[3]]  # 3 and 5 have two votes; 9 came first
    assert majority([row(255), row(3), row(2)]).tolist() == [[3]]


def test_the_result_is_a_new_array():
    mask = row(1, 2)
    result = majority([mask])
    result[:] = 0
    assert mask.tolist() == [[1, 2]]


def test_no_masks_and_different_shapes_are_errors():
    with pytest.raises(ValueError, match="no mask"):
        majority([])
    with pytest.raises(ValueError, match=r"different shapes \[\(1, 1\), \(1, 2\)\]"):
        majority([row(1), row(1, 2)])


@given(stacks)
def test_every_pixel_by_counting(stack):
    result = majority(list(stack))
    for pixel in np.ndindex(3, 4):
        votes = [int(v) for v in stack[(slice(None), *pixel)] if v != 255]
        expected = max(votes, key=lambda v: (votes.count(v), -votes.index(v))) if votes else 255
        assert result[pixel] == expected
