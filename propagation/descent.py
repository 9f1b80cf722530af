"""One step of gradient descent, the same for all that is learned here."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def one_cycle(
    optimizer: torch.optim.Optimizer, steps: int, warm_up: float = 0.3
) -> torch.optim.lr_scheduler.OneCycleLR:
    """The learning rate of each group rises to what it is now for the `warm_up` share of the steps, then falls to 0.

    Smith & Topin 2018, "Super-Convergence", arXiv:1708.07120.
    """
    rates = [group["lr"] for group in optimizer.param_groups]
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps + 1, pct_start=warm_up)


def descend(loss: Tensor, optimizer: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LRScheduler) -> None:
    """Gradients are cut to length 1: one odd step must not undo the others."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], 1.0)
    optimizer.step()
    schedule.step()
