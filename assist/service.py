"""From a hint of an annotator to the answer: the picture, the mask or the box, and nothing if anything is wrong."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assist.backends.interface import ClickBackend, mask_of_clicks
from assist.click_memory import ClickMemory
from assist.clicks import Box, Click
from assist.looked import Looked, Recent
from assist.mending import is_mended
from assist.obedience import wanted_parts
from assist.renewal import Helpers
from assist.snapping import SURE_ABOVE, BoxSnapper
from connectors.label_studio.click_log import annotation_of, record_clicks
from connectors.label_studio.image_source import ImageSource
from connectors.label_studio.smart_tools import (
    Hint,
    box_answer,
    drawn_pixels,
    is_interactive,
    mask_answer,
    read_hint,
)
from workspace.errors import UserError
from workspace.files import fingerprint

log = logging.getLogger(__name__)

_FRAMES, _PICTURES = 32, 8
_EDGES = ("left", "right", "top", "bottom")


class Assist:
    """Safe from several threads: the backend works for one at a time, pictures are fetched side by side."""

    def __init__(
        self,
        source: ImageSource,
        backend: ClickBackend,
        snapper: BoxSnapper | None = None,
        frames: int = _FRAMES,
        renewed: Callable[[], Helpers | None] = lambda: None,
        click_file: Path | None = None,
    ) -> None:
        """snapper: None if boxes stay as they are drawn;  frames: how many that were clicked on are remembered

        renewed: asked before each answer, by one thread at a time: what helps from now on, None: the same
        click_file: how annotations were clicked is written there; None: nowhere
        """
        self._source = source
        self._backend = backend
        self._snapper = snapper
        self._frames: Recent[str, Looked] = Recent(frames)
        self._pictures: Recent[str, NDArray[np.uint8]] = Recent(_PICTURES)
        self._renewed = renewed
        self._click_file = click_file
        self._clicks = ClickMemory()
        self._lock = threading.Lock()

    @property
    def version(self) -> str:
        return self._backend.version

    def answer(self, request: Any) -> list[dict[str, Any]]:
        """The regions that replace what was drawn last: one, or none where we cannot help; then the log says why."""
        if not is_interactive(request):
            return []
        try:
            self._renew()
            hint = read_hint(request)
            return self._helped(hint, _task_number(request))
        except (UserError, ValueError) as error:
            log.warning("No help with %s: %s", _task(request), error)
        except Exception:
            log.exception("No help with %s", _task(request))
        return []

    def _renew(self) -> None:
        with self._lock:
            found = self._renewed()
            if found is not None:
                self._backend, self._snapper = found.backend, found.snapper
                self._frames.clear()  # they are as the backend before saw them

    def submitted(self, call: Any) -> None:
        """A call of the webhook: what was clicked in the task of an annotation that was submitted is written down.

        Two people in one task at once cannot be told apart: the clicks of both go with whoever submits first.
        """
        annotation = annotation_of(call)
        if annotation is None or self._click_file is None:
            return
        sequences = self._clicks.take(int(annotation["task"]))
        if sequences:
            try:
                record_clicks(self._click_file, annotation, sequences)
            except OSError as error:
                log.warning("The clicks of task %s are lost: %s", annotation["task"], error)

    def _helped(self, hint: Hint, task: int | None) -> list[dict[str, Any]]:
        if hint.brush is None:
            return [self._snapped(hint)]
        if hint.points and not any(point.positive for point in hint.points):
            raise ValueError("nothing is marked as belonging to it")
        address = str(hint.image)
        with self._lock:
            found = self._frames.get(address)
        picture = None if found else self._source.fetch(hint.image)
        with self._lock:
            if picture is not None:
                found = self._frames.get_or_make(address, lambda: self._look(picture))
            assert found is not None
            mask = self._mask(found, hint)
        if task is not None and hint.points:
            self._clicks.note(task, hint.label, hint.points, mask)
        return [mask_answer(hint, mask, self._backend.version)] if mask.any() else []

    def _snapped(self, hint: Hint) -> dict[str, Any]:
        if self._snapper is None:
            raise ValueError("nothing snaps boxes here")
        assert hint.box is not None
        address = str(hint.image)
        with self._lock:
            picture = self._pictures.get(address)
        fetched = self._source.fetch(hint.image) if picture is None else picture
        with self._lock:
            self._pictures.put(address, fetched)
            found = self._snapper.snap(fetched, _in_pixels(hint.box, fetched.shape[0], fetched.shape[1]))
        height, width = fetched.shape[:2]
        box, sure = found.box, found.confidence
        edges = (box.left / width, box.top / height, box.right / width, box.bottom / height)
        unsure = [name for name, value in zip(_EDGES, sure, strict=True) if value < SURE_ABOVE]
        note = f"{self._snapper.version}; look at: {', '.join(unsure)}" if unsure else self._snapper.version
        return box_answer(hint, edges, height, width, note, min(sure))

    def _look(self, picture: NDArray[np.uint8]) -> Looked:
        return Looked(picture.shape[0], picture.shape[1], self._backend.look(picture))

    def _mask(self, frame: Looked, hint: Hint) -> NDArray[np.bool_]:
        """What the clicks add to what is painted already; all of it where they begin inside of that."""
        if hint.box is not None:
            box = _in_pixels(hint.box, frame.height, frame.width)
            return self._after(frame, (), box, np.zeros((frame.height, frame.width), bool))
        painted = drawn_pixels(hint, frame.height, frame.width)
        last_y, last_x = frame.height - 1, frame.width - 1
        clicks = [
            Click(min(int(p.y * frame.height), last_y), min(int(p.x * frame.width), last_x), p.positive)
            for p in hint.points
        ]
        mask = self._after(frame, tuple(clicks), None, painted)
        if any(painted[click.y, click.x] for click in clicks if click.positive):
            return mask
        return wanted_parts(mask & ~painted, clicks)

    def _after(
        self, frame: Looked, clicks: tuple[Click, ...], box: Box | None, start: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Click by click, as the annotator saw it; what was answered before is remembered."""
        began = fingerprint(np.packbits(start))
        mask, mending = start, box is None and is_mended(start, clicks)
        for number in range(0 if box is not None else 1, len(clicks) + 1):
            key, before = (clicks[:number], box, began), mask
            known = frame.masks.get(key)
            if known is None:
                made = mask_of_clicks(self._backend, frame.seen, clicks[:number], box, before, mending)
                known = frame.masks.put(key, made)
            mask = known
        return mask


def _in_pixels(box: tuple[float, float, float, float], height: int, width: int) -> Box:
    left, top, right, bottom = box
    return Box(left * width, top * height, right * width, bottom * height)


def _task_number(request: Any) -> int | None:
    try:
        return int(request["tasks"][0]["id"])
    except (TypeError, ValueError, KeyError, IndexError, OverflowError):
        return None


def _task(request: Any) -> str:
    """Which task a request is about, for the log."""
    number = _task_number(request)
    return "a request" if number is None else f"task {number}"
