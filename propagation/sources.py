"""How frames and flow come in: index in, array out, so that nothing here reads files or holds a whole video."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class FrameSource(Protocol):
    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB; all frames have one size."""
        ...


class FlowSource(Protocol):
    def __call__(self, source: int, target: int) -> NDArray[np.float32]:
        """(H, W, 2) float32: for each pixel of frame `source`, (dx, dy) in pixels to where it is in frame `target`."""
        ...
