"""From a hint of an annotator to the answer: the picture, the mask or the box, and nothing if anything is wrong."""

from __future__ import annotations

import logging
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assist.backends.interface import ClickBackend, mask_of_clicks
from assist.clicks import Box, Click
from assist.looked import Looked, Recent
from assist.obedience import wanted_parts
from connectors.label_studio.image_source import ImageSource
from connectors.label_studio.smart_tools import Hint, drawn_pixels, is_interactive, mask_answer, read_hint
from workspace.errors import UserError
from workspace.files import fingerprint

log = logging.getLogger(__name__)

_FRAMES = 32


class Assist:
    """Safe from several threads: the backend works for one at a time, pictures are fetched side by side."""

    def __init__(self, source: ImageSource, backend: ClickBackend, frames: int = _FRAMES) -> None:
        self._source = source
        self._backend = backend
        self._frames: Recent[str, Looked] = Recent(frames)
        self._lock = threading.Lock()

    @property
    def version(self) -> str:
        return self._backend.version

    def answer(self, request: Any) -> list[dict[str, Any]]:
        """The regions that replace what was drawn last: one, or none where we cannot help; then the log says why."""
        if not is_interactive(request):
            return []
        try:
            return self._helped(read_hint(request))
        except (UserError, ValueError) as error:
            log.warning("No help with %s: %s", _task(request), error)
        except Exception:
            log.exception("No help with %s", _task(request))
        return []

    def _helped(self, hint: Hint) -> list[dict[str, Any]]:
        if hint.brush is None:
            raise ValueError("boxes are not snapped by this server")
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
        return [mask_answer(hint, mask, self._backend.version)] if mask.any() else []

    def _look(self, picture: NDArray[np.uint8]) -> Looked:
        return Looked(*picture.shape[:2], self._backend.look(picture))

    def _mask(self, frame: Looked, hint: Hint) -> NDArray[np.bool_]:
        """What the clicks add to what is painted already; all of it where they begin inside of that."""
        if hint.box is not None:
            left, top, right, bottom = hint.box
            box = Box(left * frame.width, top * frame.height, right * frame.width, bottom * frame.height)
            return self._after(frame, (), box, np.zeros((frame.height, frame.width), bool))
        painted = drawn_pixels(hint, frame.height, frame.width)
        clicks = [
            Click(min(int(p.y * frame.height), frame.height - 1), min(int(p.x * frame.width), frame.width - 1), p.positive)
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
        mask = start
        for number in range(0 if box is not None else 1, len(clicks) + 1):
            key, before = (clicks[:number], box, began), mask
            known = frame.masks.get(key)
            if known is None:
                made = mask_of_clicks(self._backend, frame.seen, clicks[:number], box, before)
                known = frame.masks.put(key, made)
            mask = known
        return mask


def _task(request: Any) -> str:
    """Which task a request is about, for the log."""
    try:
        return f"task {int(request['tasks'][0]['id'])}"
    except (TypeError, ValueError, KeyError, IndexError):
        return "a request"
