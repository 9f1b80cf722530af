"""A small scene with known masks: a textured background that moves left, a red square that moves right over it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from propagation.flow import dis_flow


@dataclass
class Scene:
    frames: list[NDArray[np.uint8]]
    masks: list[NDArray[np.uint8]]
    flows: dict[tuple[int, int], NDArray[np.float32]] = field(default_factory=dict)

    def flow(self, source: int, target: int) -> NDArray[np.float32]:
        if (source, target) not in self.flows:
            self.flows[source, target] = dis_flow(self.frames[source], self.frames[target], 640)
        return self.flows[source, target]


def make_scene(count: int, height: int, width: int, seed: int = 0) -> Scene:
    rng = np.random.default_rng(seed)
    small = rng.uniform(0, 255, (height // 4 + 2, (width + 2 * count) // 4 + 2, 3))
    texture = np.kron(small, np.ones((4, 4, 1)))
    texture[..., 0] *= 0.5  # the background is never red
    square = np.kron(rng.uniform(0, 90, (height // 8 + 1, height // 8 + 1, 1)), np.ones((2, 2, 1)))
    side = height // 4
    frames, masks = [], []
    for t in range(count):
        frame = texture[:height, t : t + width].copy()
        mask = np.zeros((height, width), np.uint8)
        y, x = height // 3, 3 + 2 * t
        shown = min(side, max(0, width - x))
        if shown:
            frame[y : y + side, x : x + shown] = np.concatenate(
                [np.full((side, shown, 1), 240.0), np.repeat(square[:side, :shown], 2, axis=2)], axis=2
            )
            mask[y : y + side, x : x + shown] = 1
        noisy = frame + rng.normal(0, 2, frame.shape)
        frames.append(noisy.clip(0, 255).astype(np.uint8))
        masks.append(mask)
    return Scene(frames, masks)


@pytest.fixture(scope="session")
def scene() -> Scene:
    return make_scene(9, 48, 64)


@pytest.fixture(scope="session")
def scene_of() -> Callable[[int, int, int], Scene]:
    return make_scene


class MemoryScratch(dict[str, NDArray[Any]]):
    def put(self, name: str, array: NDArray[Any]) -> None:
        self[name] = array

    def get(self, name: str) -> NDArray[Any]:  # type: ignore[override]
        return self[name]


@pytest.fixture
def scratch() -> MemoryScratch:
    return MemoryScratch()
