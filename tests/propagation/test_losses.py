from __future__ import annotations

import math

import pytest
import torch

from propagation.losses import balancing_weights, flow_loss, label_loss, overlap_loss


def logits_of(*probabilities: list[float]) -> torch.Tensor:
    return torch.tensor(probabilities, dtype=torch.float64).log()


def test_label_loss_by_hand():
    logits = logits_of([0.5, 0.5], [0.25, 0.75], [0.9, 0.1])
    labels = torch.tensor([0, 1, 255])
    loss = label_loss(logits, labels, torch.tensor([1.0, 3.0], dtype=torch.float64))
    assert loss.item() == pytest.approx(-(math.log(0.5) + 3 * math.log(0.75)) / 4)


def test_label_loss_is_blind_to_unknown_pixels():
    logits = torch.zeros(1, 2, 1, 2, requires_grad=True)
    label_loss(logits, torch.tensor([[[1, 255]]]), torch.ones(2)).backward()
    assert logits.grad is not None
    assert (logits.grad[..., 1] == 0).all()
    assert (logits.grad[..., 0] != 0).all()


def test_label_loss_of_nothing_known_is_zero_and_teaches_nothing():
    logits = torch.ones(1, 2, 1, 1, requires_grad=True)
    loss = label_loss(logits, torch.tensor([[[255]]]), torch.ones(2))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


def test_overlap_loss_by_hand():
    """Class 0: p = .5 + .25 known, g = 1 (overlap .5); class 1: p = .5 + .75, g = 1 (.75); class 2: unlabeled."""
    logits = logits_of([0.5, 0.5, 1e-30], [0.25, 0.75, 1e-30], [0.2, 0.1, 0.7]).T.reshape(1, 3, 1, 3)
    loss = overlap_loss(logits, torch.tensor([[[0, 1, 255]]]))
    class_0 = 1 - (2 * 0.5 + 1) / (0.75 + 1 + 1)
    class_1 = 1 - (2 * 0.75 + 1) / (1.25 + 1 + 1)
    assert loss.item() == pytest.approx((class_0 + class_1) / 2)


def test_overlap_loss_of_nothing_is_zero():
    assert overlap_loss(torch.zeros(1, 2, 2, 2), torch.full((1, 2, 2), 255)).item() == 0


def test_flow_loss_by_hand():
    here = logits_of([1.0 - 1e-12, 1e-12], [0.5, 0.5], [0.5, 0.5])
    there = logits_of([0.5, 0.5], [0.5, 0.5], [0.9, 0.1])
    assert flow_loss(here, there, torch.tensor([True, True, False])).item() == pytest.approx(0.25)
    assert flow_loss(here, there, torch.tensor([False, False, False])).item() == 0


def test_flow_loss_is_symmetric():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 7, 4, generator=generator)
    agrees = torch.tensor([True, False, True, True, True, False, True])
    assert flow_loss(a, b, agrees).item() == pytest.approx(flow_loss(b, a, agrees).item())


def test_gradients():
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(5, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    b = torch.randn(5, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    agrees = torch.tensor([True, False, True, True, True])
    assert torch.autograd.gradcheck(lambda x, y: flow_loss(x, y, agrees), (a, b))
    labels = torch.tensor([[[0, 2, 255, 1, 1]]])
    assert torch.autograd.gradcheck(lambda x: overlap_loss(x.T.reshape(1, 3, 1, 5), labels), (a,))


def test_weights_balance():
    counts = torch.tensor([90, 10, 0])
    assert balancing_weights(counts, 0.0).tolist() == pytest.approx([1, 1, 0])
    assert balancing_weights(counts, 1.0).tolist() == pytest.approx([0.5 / 0.9, 0.5 / 0.1, 0])
    half = balancing_weights(counts, 0.5)
    assert (half[1] / half[0]).item() == pytest.approx(3)
    assert (half[0] * 0.9 + half[1] * 0.1).item() == pytest.approx(1)
