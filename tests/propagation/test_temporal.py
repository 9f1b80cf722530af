from __future__ import annotations

import torch

from propagation.temporal import Step, averaged, brought

H, W = 4, 6


def step(dx: float, reliability: float = 1.0) -> Step:
    flow = torch.zeros(H, W, 2)
    flow[..., 0] = dx
    return Step(flow, torch.full((H, W), reliability))


def says(p: float) -> torch.Tensor:
    return torch.tensor([p, 1 - p]).log()[:, None, None].expand(2, H, W)


def test_one_neighbour_counts_as_much_as_its_flow_is_reliable():
    mean, weight = brought([says(0.9)], [step(0, 0.5)])
    assert torch.allclose(mean, says(0.9), atol=1e-5)
    assert torch.allclose(weight, torch.full((H, W), 0.35))


def test_the_second_neighbour_comes_through_the_first():
    mean, weight = brought([says(0.9), says(0.5)], [step(0), step(0)])
    assert torch.allclose(weight, torch.full((H, W), 0.7 * 1.7))
    assert torch.allclose(mean, (says(0.9) + 0.7 * says(0.5)) / 1.7, atol=1e-5)
    _, cut = brought([says(0.9), says(0.5)], [step(0, 0.0), step(0)])
    assert (cut == 0).all()


def test_an_opinion_moves_with_the_picture():
    """What is one cell to the right there belongs here."""
    there = says(0.5).clone()
    there[:, :, 3] = torch.tensor([0.99, 0.01]).log()[:, None]
    mean, _ = brought([there], [step(1.0)])
    assert torch.allclose(mean[:, :, 2], there[:, :, 3], atol=1e-5)
    assert torch.allclose(mean[:, :, 3], there[:, :, 4], atol=1e-5)


def test_the_average_is_a_distribution_and_without_neighbours_ones_own():
    own = torch.log_softmax(torch.randn(3, H, W, generator=torch.Generator().manual_seed(0)), dim=0)
    assert torch.allclose(averaged(own, []), own, atol=1e-6)
    other = torch.log_softmax(torch.randn(3, H, W, generator=torch.Generator().manual_seed(1)), dim=0)
    joined = averaged(own, [brought([other], [step(0)])])
    assert torch.allclose(joined.exp().sum(dim=0), torch.ones(H, W), atol=1e-5)
    assert torch.allclose(joined, torch.log_softmax((own + 0.7 * other) / 1.7, dim=0), atol=1e-5)
