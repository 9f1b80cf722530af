"""What a backend of the click server is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from assist.clicks import Box, Click
from assist.mending import RADIUS_PX, is_mended, mended
from assist.obedience import obeyed, wanted_parts

OBEY_RADIUS_PX = 5


class ClickBackend(Protocol):
    """Knows no classes. Both calls are deterministic, leave their arguments alone, and may take a whole image's time
    only in `look`, whose result is kept for the clicks that follow."""

    @property
    def version(self) -> str:
        """Name and fingerprint of what decides, for the annotation tool."""
        ...

    def look(self, image: NDArray[np.uint8]) -> Any:
        """Everything about an image that does not depend on clicks.  image: (H, W, 3) uint8 RGB, any size from 1x1"""
        ...

    def segment(
        self, looked: Any, clicks: Sequence[Click], box: Box | None, previous: NDArray[np.bool_] | None
    ) -> NDArray[np.bool_]:
        """(H, W) bool, what is meant.

        looked: from `look`;  clicks: in the order they were made, inside the image;  box: around it, roughly
        previous: (H, W) bool, the mask before the last click; None or empty if there was none. One of clicks and box
        is there.
        """
        ...

    def mend(self, looked: Any, clicks: Sequence[Click], previous: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(H, W) bool, `previous` as the last click would have it; of this only what changes around that click counts.

        previous: (H, W) bool, not empty, which was there before the first click but for what they have changed
        """
        ...


def mask_of_clicks(
    backend: ClickBackend,
    looked: Any,
    clicks: Sequence[Click],
    box: Box | None = None,
    previous: NDArray[np.bool_] | None = None,
    mending: bool = False,
) -> NDArray[np.bool_]:
    """What the backend says, obeying every click, and only the parts that somebody clicked on.

    (H, W) bool; for no click and no box the previous mask.  mending: the clicks correct a mask that was there
    already (`is_mended`); all of it stays but what the last click is about.
    """
    if not clicks and box is None:
        if previous is None:
            raise ValueError("no click, no box and no mask")
        return previous
    if mending and clicks and previous is not None and previous.any():
        answer = obeyed(backend.mend(looked, clicks, previous), clicks[-1:], RADIUS_PX)
        return obeyed(mended(previous, answer, clicks[-1]), clicks, RADIUS_PX)
    return wanted_parts(obeyed(backend.segment(looked, clicks, box, previous), clicks, OBEY_RADIUS_PX), clicks)


def mask_of_history(
    backend: ClickBackend,
    looked: Any,
    clicks: Sequence[Click],
    box: Box | None = None,
    start: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """The same, click by click from `start`, each with the mask before it: what an annotator saw on the way."""
    mask = start
    mending = box is None and is_mended(start, clicks)
    if box is not None:
        mask = mask_of_clicks(backend, looked, (), box, mask)
    for number in range(1, len(clicks) + 1):
        mask = mask_of_clicks(backend, looked, clicks[:number], box, mask, mending)
    if mask is None:
        raise ValueError("no click, no box and no mask")
    return mask
