"""The network's opinion on each frame, averaged with those on its neighbours; a few frames are looked at ahead."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from propagation.flow import on_grid
from propagation.sources import FlowSource
from propagation.temporal import REACH, Step, averaged, brought


class OpinionWindow:
    """Opinions of the frames around the one that is asked for; each is formed once, those left behind are dropped.

    The result for a frame depends on its neighbours only, never on which other frames were asked for.
    """

    def __init__(
        self,
        opinion: Callable[[int], Callable[[], Tensor]],
        flow: FlowSource,
        frames: int,
        grid: tuple[int, int],
        device: torch.device,
        pool: Executor,
    ) -> None:
        """opinion: for a frame, the work to be done in `pool` that gives its (K, *grid) log probabilities"""
        self._opinion, self._flow, self._frames, self._grid = opinion, flow, frames, grid
        self._device, self._pool = device, pool
        self._opinions: dict[int, Future[Tensor]] = {}
        self._steps: dict[int, Future[tuple[Step, Step]]] = {}  # per frame, to the next one and back

    def around(self, index: int) -> Callable[[], Tensor]:
        """The work that gives the averaged opinion on frame `index`, (K, *grid) log probabilities.

        Ask in rising order. It may wait for opinions that were handed to the pool before.
        """
        first, last = max(0, index - REACH), min(self._frames - 1, index + REACH)
        self._opinions = {i: self._opinions[i] for i in self._opinions if i >= first}
        self._steps = {i: self._steps[i] for i in self._steps if i >= first}
        for i in range(first, last + 1):
            if i not in self._opinions:
                self._opinions[i] = self._pool.submit(self._opinion(i))
            if i < last and i not in self._steps:
                self._steps[i] = self._pool.submit(self._both_ways, i)
        own = self._opinions[index]
        sides = []
        for towards in (range(index - 1, first - 1, -1), range(index + 1, last + 1)):
            if towards:
                back = towards.step < 0  # then the step to frame i starts at i + 1
                steps = [self._steps[i if back else i - 1] for i in towards]
                sides.append(([self._opinions[i] for i in towards], steps, int(back)))

        def work() -> Tensor:
            with torch.inference_mode():
                return averaged(
                    own.result(),
                    [
                        brought([o.result() for o in opinions], [step.result()[back] for step in steps])
                        for opinions, steps, back in sides
                    ],
                )

        return work

    def _both_ways(self, index: int) -> tuple[Step, Step]:
        there, back = self._flow(index, index + 1), self._flow(index + 1, index)
        return self._step(there, back), self._step(back, there)

    def _step(self, there: NDArray[np.float32], back: NDArray[np.float32]) -> Step:
        flow, reliability = on_grid(there, back, *self._grid)
        return Step(torch.from_numpy(flow).to(self._device), torch.from_numpy(reliability).to(self._device))
