import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from quality.agreement import disagreement

stacks = arrays(np.uint8, st.tuples(st.integers(2, 4), st.just(5)), elements=st.sampled_from([0, 1, 7, 255]))


def row(*ids):
    return np.array([ids], np.uint8)


def test_the_share_of_pixels_on_which_two_differ():
    assert disagreement([row(0, 1, 2, 3), row(0, 1, 2, 0)]) == 0.25
    assert disagreement([row(0, 255), row(0, 255)]) == 0.0  # nobody said anything about the second
    assert disagreement([row(0, 255), row(0, 1)]) == 0.5  # left out by one, labeled by the other
    # pairs: 0 and 1 agree, 2 differs from both everywhere
    assert disagreement([row(0), row(0), row(4)]) == pytest.approx(2 / 3)


def test_one_opinion_or_none_cannot_disagree():
    assert disagreement([]) == disagreement([row(1, 2)]) == disagreement([row(255), row(255)]) == 0.0


def test_shapes_must_be_equal():
    with pytest.raises(ValueError, match="different shapes"):
        disagreement([row(1), row(1, 2)])


@given(stacks)
def test_it_is_a_share_and_the_order_of_people_does_not_matter(stack):
    value = disagreement(list(stack))
    assert 0 <= value <= 1
    assert value == pytest.approx(disagreement(list(stack[::-1])))
    assert (value == 0) == all((row == stack[0]).all() for row in stack)
