from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from propagation.fusion import fuse
from propagation.warp import DISTANCE_OF, LOG_RELIABILITY_OF, RESIDUAL_OF

CPU = torch.device("cpu")


def arrived(*sources: tuple[int, float, float, float]) -> list[np.ndarray]:
    """Sides of (S/2, 4, 2, 2), the same at every pixel: class, log reliability, distance, residual per source, to the
    nearest byte."""
    rows = []
    for label, *values in sources:
        tables = (LOG_RELIABILITY_OF, DISTANCE_OF, RESIDUAL_OF)
        rows.append([label, *(int(np.abs(t - v).argmin()) for t, v in zip(tables, values, strict=True))])
    packed = np.array(rows, np.uint8)[:, :, None, None] * np.ones((1, 1, 2, 2), np.uint8)
    return np.array_split(packed, 2)


def probabilities(*sources: tuple[int, float, float, float], classes: int = 3) -> list[float]:
    return fuse(arrived(*sources), range(classes), CPU).log_probability.exp()[:, 0, 0].tolist()


def flow_only(*sources: tuple[int, float, float, float], classes: int = 10) -> list[list[int]]:
    return fuse(arrived(*sources), range(classes), CPU).mask.tolist()


def test_nothing_known_is_uniform():
    assert probabilities((255, -8, 0, 1), (255, -8, 0, 1)) == pytest.approx([1 / 3] * 3)


def test_two_labels_count_by_nearness():
    """Weights 1/(1+1) and 1/(1+3); doubt 1 - e^(-log1p(1/60)) of the better = 1/61, below the least, 0.02."""
    p = probabilities((0, 0, 1, 0), (2, 0, 3, 0))
    assert p == pytest.approx([2 / 3 * 0.98 + 0.02 / 3, 0.02 / 3, 1 / 3 * 0.98 + 0.02 / 3], abs=1e-5)


def test_an_unknown_source_has_no_say():
    assert probabilities((1, 0, 2, 0), (255, -8, 0, 1)) == pytest.approx(probabilities((1, 0, 2, 0)))


@pytest.mark.parametrize("worse", [(1, -2, 5, 0), (1, 0, 9, 0), (1, 0, 5, 0.5)])
def test_reliable_near_and_similar_labels_win(worse):
    better = (0, 0, 5, 0)
    assert flow_only(better, worse) == [[0, 0], [0, 0]]
    assert flow_only(worse, better) == [[0, 0], [0, 0]]
    p = probabilities(better, worse)
    assert p[0] > p[1] > p[2]


def test_flow_alone_says_unknown_where_nothing_arrives():
    assert flow_only((255, -8, 0, 1), (255, -8, 0, 1)) == [[255, 255], [255, 255]]
    assert flow_only((255, -8, 0, 1), (7, -8, 900, 1)) == [[7, 7], [7, 7]]


source = st.tuples(st.sampled_from([0, 1, 2, 3, 255]), st.floats(-8, 0), st.integers(0, 50_000), st.floats(0, 1))


@settings(max_examples=60, deadline=None)
@given(st.lists(source, min_size=1, max_size=4))
def test_it_is_a_distribution_and_never_zero(sources):
    p = fuse(arrived(*sources), range(4), CPU).log_probability.exp()
    assert torch.allclose(p.sum(dim=0), torch.ones(2, 2), atol=1e-5)
    assert (p > 0).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(source, min_size=4, max_size=4))
def test_the_likeliest_class_is_among_those_that_arrive(sources):
    classes = {int(s[0]) for s in sources} - {255}
    if classes:
        assert int(np.argmax(probabilities(*sources, classes=4))) in classes


def test_channels_are_the_classes_that_were_asked_for():
    """A label of a class that has no channel has no say."""
    warped = fuse(arrived((5, 0, 1, 0), (9, 0, 3, 0), (7, 0, 0, 0)), [5, 9], CPU)
    assert warped.log_probability.exp()[:, 0, 0].tolist() == pytest.approx(
        [2 / 3 * 0.98 + 0.01, 1 / 3 * 0.98 + 0.01], abs=0.01
    )
    assert (warped.mask == 5).all()
