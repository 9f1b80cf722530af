"""How the weights of a small network go down: together over some images, fast first and slowly at the end."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

_WARM_UP_STEPS = 50


def falling(done: float) -> float:
    """1 at the start, 0 at the end, along half a cosine (Loshchilov & Hutter 2017, arXiv:1608.03983)."""
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


class Descent:
    """AdamW over the gradients of several images, which can be saved and taken up again."""

    def __init__(self, network: nn.Module, rate: float, together: int) -> None:
        """rate: the learning rate at its highest;  together: images per step of the weights"""
        self._network, self._rate, self._together, self._seen = network, rate, together, 0
        self._optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-4)

    def down(self, loss: Tensor, done: float) -> float:
        """The loss of one more image.  done: 0 at the start, 1 at the end"""
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate * min(1.0, (self._seen + 1) / _WARM_UP_STEPS) * falling(done)
        (loss / self._together).backward()  # type: ignore[no-untyped-call]
        self._seen += 1
        if self._seen % self._together == 0:
            torch.nn.utils.clip_grad_norm_(self._network.parameters(), 1.0)
            self._optimizer.step()
            self._optimizer.zero_grad()
        return float(loss.detach())

    def state(self) -> dict[str, Any]:
        return {"network": self._network.state_dict(), "optimizer": self._optimizer.state_dict(), "step": self._seen}

    def resume(self, state: dict[str, Any]) -> None:
        self._network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._seen = int(state["step"])
