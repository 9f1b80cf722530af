"""Task listings that read only what is new: the rest is remembered from the last look, in a file."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from connectors.label_studio.client import TaskRow, count_tasks, list_tasks
from connectors.label_studio.excerpts import KEY
from connectors.label_studio.tiles import TILES, tile_keys
from workspace.errors import UserError
from workspace.files import fingerprint, read_json, write_json

LEAST_TASKS = 100  # fewer are listed as quickly as they are counted
OVERLAP = timedelta(minutes=2)  # a change may become visible so much later than its time says
FULL_LOOK_S = 900.0  # some changes (people removed, project settings) have no time: everything is listed so often
_KEPT_S = 7 * 86400.0
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"  # the only format of the server's filters


@dataclass(frozen=True, slots=True)
class Look:
    """What a listing gave. `at`: when all was listed, seconds since 1970;  `cursor`: the latest change seen, or ""."""

    at: float
    cursor: str
    rows: dict[int, TaskRow]


class Listings:
    """The tasks of a project whose key contains a prefix, as `list_tasks` gives them, with their keys as all data.

    Kept in `folder`, one file per project and prefix. A lost or broken file costs one listing of everything;
    two processes may overwrite each other's, as each file is true by itself.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._url = url

    def rows(self, client: Any, project: int, prefix: str | None) -> list[TaskRow]:
        file = self._folder / f"{fingerprint(self._url, project, prefix or '')}.json"
        before = _read(file)
        if before is None or not 0 <= time.time() - before.at < FULL_LOOK_S:
            now = None
        else:
            now = self._since(client, project, prefix, before)
        if now is None:
            now = _look(time.time(), "", {}, list_tasks(client, project, prefix))
        if len(now.rows) >= LEAST_TASKS and now != before:
            self._write(file, now)
        return [row for _, row in sorted(now.rows.items())]

    def _since(self, client: Any, project: int, prefix: str | None, before: Look) -> Look | None:
        """The listing by what changed after `before`; None if that does not come to what is there."""
        since = (datetime.strptime(before.cursor, _TIME) - OVERLAP).strftime(_TIME)
        now = _look(before.at, before.cursor, before.rows, list_tasks(client, project, prefix, since))
        # a deleted task, and an annotation deleted with a time that the server got wrong, are seen by their absence
        if count_tasks(client, project, prefix) != len(now.rows):
            return None
        answered = count_tasks(client, project, prefix, answered=True)
        # of a task that several people answered the server counts every answer
        opinions = sum(max(len(row.annotators), row.finished) for row in now.rows.values())
        return now if answered in (opinions, sum(row.finished for row in now.rows.values())) else None

    def _write(self, file: Path, look: Look) -> None:
        rows = [
            [r.id, r.data.get(KEY), tile_keys(r.data), r.finished, list(r.annotators), r.overlap]
            for r in look.rows.values()
        ]
        with suppress(OSError):  # a full disk makes polls slower, nothing else
            for old in self._folder.glob("*.json"):
                if time.time() - old.stat().st_mtime > _KEPT_S:
                    old.unlink()
            write_json(file, {"at": look.at, "cursor": look.cursor, "rows": rows})


def _look(at: float, cursor: str, rows: dict[int, TaskRow], changed: list[TaskRow]) -> Look:
    latest = max([cursor, *(row.updated_at for row in changed)])
    return Look(at, latest, rows | {row.id: _slim(row) for row in changed})


def _slim(row: TaskRow) -> TaskRow:
    """The row without its pictures, and without its time, which the cursor has."""
    return _row(row.id, row.data.get(KEY), tile_keys(row.data), row.finished, row.annotators, row.overlap)


def _row(id: int, key: Any, tiles: Any, finished: Any, annotators: Any, overlap: Any) -> TaskRow:
    data = {KEY: key} | ({TILES: [{KEY: tile} for tile in tiles]} if tiles else {})
    return TaskRow(int(id), data, bool(finished), tuple(int(person) for person in annotators), int(overlap))


def _read(file: Path) -> Look | None:
    try:
        value = read_json(file)
        datetime.strptime(value["cursor"], _TIME)
        rows = [_row(*row) for row in value["rows"]]
        return Look(float(value["at"]), value["cursor"], {row.id: row for row in rows})
    except (OSError, UserError, KeyError, TypeError, ValueError, AttributeError):
        return None
