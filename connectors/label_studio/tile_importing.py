"""The tiles of one push: each question in one task only, together with others of the same class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from connectors.label_studio.client import TaskRow, count_tasks
from connectors.label_studio.excerpts import KEY
from connectors.label_studio.importing import Importing, prefixes_of
from connectors.label_studio.painted import MODEL_VERSION
from connectors.label_studio.tile_tasks import find_tile_tasks, rows_by_tile
from connectors.label_studio.tiles import Tile, grouped, tiles_task

_TOGETHER = 5_000  # tiles sorted together before they are put into tasks


class TileImporting:
    """`importing`: into the project of tiles;  `per_task`: tiles in one task;  `options`: as in `tiles_task`.

    As in `Importing`, what is there is listed once per video and round.
    """

    def __init__(
        self,
        client: Any,
        importing: Importing,
        per_task: int,
        options: Mapping[int, str],
        before_write: Callable[[], None],
    ) -> None:
        self._client = client
        self.importing = importing
        self._per_task = per_task
        self._options = options
        self._before_write = before_write
        self._looked: set[str | None] = set()
        self._rows: dict[str, list[TaskRow]] = {}  # by question, listed at the beginning
        self._new: set[str] = set()
        self._waiting: dict[int, list[Tile]] = {}  # by opinions

    @property
    def added(self) -> int:
        return len(self._new)

    def tasks_of(self, key: str) -> list[TaskRow]:
        """The tasks that had a tile of this question when they were listed."""
        for prefix in prefixes_of({key}):
            if prefix not in self._looked and None not in self._looked:
                self._looked.add(prefix)
                if count_tasks(self._client, self.importing.project, prefix):
                    self._rows |= rows_by_tile(self._find(prefix))
        return self._rows.get(key, [])

    def is_missing(self, key: str) -> bool:
        return key not in self._new and not self.tasks_of(key)

    def add(self, tile: Tile, opinions: int) -> None:
        """Put the tile into a task, which so many people are asked to do."""
        self._new.add(tile.excerpt.key)
        self._waiting.setdefault(opinions, []).append(tile)
        if sum(map(len, self._waiting.values())) >= _TOGETHER:
            self._import()

    def finish(self) -> None:
        self._import()
        self.importing.finish()
        for prefix in self._looked if self._new else ():
            self._find(prefix)  # another process may have put the same questions into other tasks meanwhile

    def _import(self) -> None:
        for opinions, tiles in sorted(self._waiting.items()):
            for group in grouped(tiles, self._per_task):
                task = tiles_task(group, self._options, MODEL_VERSION)
                key = task["data"][KEY]
                if self.importing.is_missing(key, opinions):
                    self.importing.add(key, opinions, task)
        self._waiting = {}

    def _find(self, prefix: str | None) -> list[TaskRow]:
        return find_tile_tasks(self._client, self.importing.project, None, [prefix], self._before_write)
