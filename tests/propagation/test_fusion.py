from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from propagation.fusion import FusionHead, arrived_tensor, flow_only_mask, fuse
from propagation.warp import Arrival, pack

SAME = np.arange(256, dtype=np.uint8)


def arrived(*sources: tuple[int, float, float, float]) -> torch.Tensor:
    """(1, S, 4, 2, 2), the same at every pixel: class, log reliability, distance, residual per source."""
    return torch.tensor(sources, dtype=torch.float32)[None, :, :, None, None].expand(1, -1, 4, 2, 2).clone()


def probabilities(*sources: tuple[int, float, float, float], classes: int = 3) -> list[float]:
    return fuse(arrived(*sources), classes).log_probability.exp()[0, :, 0, 0].tolist()


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
    assert flow_only_mask(arrived(better, worse)).tolist() == [[0, 0], [0, 0]]
    assert flow_only_mask(arrived(worse, better)).tolist() == [[0, 0], [0, 0]]
    p = probabilities(better, worse)
    assert p[0] > p[1] > p[2]


def test_flow_alone_says_unknown_where_nothing_arrives():
    assert (flow_only_mask(arrived((255, -8, 0, 1), (255, -8, 0, 1))) == 255).all()
    assert (flow_only_mask(arrived((255, -8, 0, 1), (7, -8, 900, 1))) == 7).all()


source = st.tuples(st.sampled_from([0, 1, 2, 3, 255]), st.floats(-8, 0), st.integers(0, 50_000), st.floats(0, 1))


@settings(max_examples=60, deadline=None)
@given(st.lists(source, min_size=1, max_size=4))
def test_it_is_a_distribution_and_never_zero(sources):
    p = fuse(arrived(*sources), 4).log_probability.exp()
    assert torch.allclose(p.sum(dim=1), torch.ones(1, 2, 2), atol=1e-5)
    assert (p > 0).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(source, min_size=4, max_size=4))
def test_the_likeliest_class_is_among_those_that_arrive(sources):
    classes = {int(s[0]) for s in sources} - {255}
    if classes:
        assert int(np.argmax(probabilities(*sources, classes=4))) in classes


def test_the_tensor_holds_both_sides_in_order_and_maps_classes():
    def arrival(c: int) -> Arrival:
        one = np.ones((2, 3), np.float32)
        return Arrival(np.full((2, 3), c, np.uint8), -8 * one, 0 * one, one)

    table = np.full(256, 255, np.uint8)
    table[[5, 9]] = [0, 1]
    tensor = arrived_tensor([pack((arrival(5), arrival(9))), pack((arrival(255), arrival(7)))], table)
    assert tensor.shape == (1, 4, 4, 2, 3)
    assert tensor[0, :, 0, 0, 0].tolist() == [0, 1, 255, 255]
    assert tensor[0, :, 1:, 0, 0].tolist() == [[-8, 0, 1]] * 4


def test_a_new_head_adds_nothing():
    head = FusionHead(3)
    warped = fuse(arrived((0, 0, 1, 0), (1, 0, 2, 0), (1, -1, 2, 0), (2, 0, 9, 1)), 3)
    opinion = torch.log_softmax(torch.randn(1, 3, 1, 1, generator=torch.Generator().manual_seed(0)), dim=1)
    added = head(torch.rand(1, 3, 2, 2, generator=torch.Generator().manual_seed(1)), warped, opinion)
    assert added.shape == (1, 3, 2, 2)
    assert (added == 0).all()
