"""What the server helps with, read again when a training has put something better in its place."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path

from assist.backends.interface import ClickBackend
from assist.backends.registry import click_backend
from assist.color_snapping import ColorSnapper
from assist.snapping import BoxSnapper, Snapper
from workspace.errors import UserError

log = logging.getLogger(__name__)

_LOOKED_EVERY_S = 2.0
_FILES = ("click.pt", "box.pt")

Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Helpers:
    backend: ClickBackend
    snapper: BoxSnapper


class ModelFolder:
    """A backend by name, with the model in a folder if there is one. Not safe from several threads at once."""

    def __init__(
        self, backend: str, folder: Path | None, weights: str | None = None, looked_every_s: float = _LOOKED_EVERY_S
    ) -> None:
        """UserError if it cannot be used as it is now."""
        self._name, self._folder, self._weights, self._every_s = backend, folder, weights, looked_every_s
        self._stamp = self._now()
        self._looked_at = time.monotonic()
        self.helpers = self._load()

    def renewed(self) -> Helpers | None:
        """The helpers, if the folder holds others than when they were last read; what cannot be read is left alone."""
        if time.monotonic() - self._looked_at < self._every_s:
            return None
        self._looked_at = time.monotonic()
        stamp = self._now()
        if stamp == self._stamp:
            return None
        self._stamp = stamp
        try:
            self.helpers = self._load()
        except UserError as error:
            log.warning("The model in %s is not used, but the one before it: %s", self._folder, error)
            return None
        log.warning("From now on it helps with %s and %s.", self.helpers.backend.version, self.helpers.snapper.version)
        return self.helpers

    def _load(self) -> Helpers:
        folder = self._folder
        return Helpers(click_backend(self._name, folder, self._weights), box_snapper(folder))

    def _now(self) -> Stamp:
        return () if self._folder is None else tuple(_stamp(self._folder / name) for name in _FILES)


def box_snapper(folder: Path | None) -> BoxSnapper:
    """What was learned in a folder, else what ships; UserError if it cannot be read."""
    learned = folder is not None and (folder / "box.pt").exists()
    return Snapper.of(folder) if folder is not None and learned else ColorSnapper()


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
