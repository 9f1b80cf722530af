"""The clicks of tasks that are not submitted yet, as they were made."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from connectors.label_studio.smart_tools import Point
from workspace.click_sequence import ClickSequence, SequenceClick

_TASKS = 1000  # that are remembered; the longest forgotten goes first
_MASKS = 200  # per task
_CLICKS = 200  # per mask


@dataclass(slots=True, eq=False)
class _Mask:
    label: str
    points: tuple[Point, ...]
    began: float
    shown: NDArray[np.uint8]  # packed bits
    size: int
    clicks: list[SequenceClick] = field(default_factory=list)


class ClickMemory:
    """Safe from several threads."""

    def __init__(self) -> None:
        self._of: OrderedDict[int, list[_Mask]] = OrderedDict()
        self._lock = threading.Lock()

    def note(
        self, task: int, label: str, points: Sequence[Point], mask: NDArray[np.bool_], now: float | None = None
    ) -> None:
        """The answer to one more click.

        points: all clicks of the mask so far, the newest last;  mask: (H, W) bool, the answer;  now: seconds
        Clicks that go on where the last mask of this label ended belong to it, others begin a new one. A click that is
        asked about again, as a browser does that lost the answer, counts once.
        """
        moment = time.monotonic() if now is None else now
        given = tuple(points)
        with self._lock:
            masks = self._of.setdefault(task, [])
            self._of.move_to_end(task)
            while len(self._of) > _TASKS:
                self._of.popitem(last=False)
            last = next((m for m in reversed(masks) if m.label == label), None)
            if last is not None and given == last.points:
                return
            if last is None or given[: len(last.points)] != last.points or last.size != mask.size:
                if len(masks) >= _MASKS:
                    return
                last = _Mask(label, (), moment, np.packbits(np.zeros(mask.size, bool)), mask.size)
                masks.append(last)
            before = np.unpackbits(last.shown, count=mask.size).astype(bool)
            changed, area = float((before != mask.ravel()).mean()), float(mask.mean())
            for point in given[len(last.points) :]:
                if len(last.clicks) < _CLICKS:
                    seconds = max(0.0, moment - last.began)
                    last.clicks.append(SequenceClick(seconds, point.y, point.x, point.positive, changed, area))
                changed = 0.0  # several clicks at once: all of the change is the first one's
            last.points, last.shown = given, np.packbits(mask)

    def take(self, task: int) -> list[ClickSequence]:
        """What was clicked in a task since it was last taken."""
        with self._lock:
            return [tuple(mask.clicks) for mask in self._of.pop(task, [])]
