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
    """What a listing gave. Times of the server are as it writes them, ours are seconds since 1970.

    at: when all was listed (ours);  settled: every change up to then (the server's) has been read
    pending: when (ours) which latest change (the server's) was first seen; once that is `OVERLAP` ago, everything up to
    it has become visible, and the next look has read it
    """

    at: float
    settled: str
    pending: tuple[tuple[float, str], ...]
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
            began = time.time()
            rows = list_tasks(client, project, prefix)
            latest = max((row.updated_at for row in rows), default="")
            now = Look(began, _earlier(latest), ((began, latest),), {row.id: _slim(row) for row in rows})
        if len(now.rows) >= LEAST_TASKS and now != before:
            self._write(file, now)
        return [row for _, row in sorted(now.rows.items())]

    def _since(self, client: Any, project: int, prefix: str | None, before: Look) -> Look | None:
        """The listing by what changed after `before`; None if that does not come to what is there."""
        from label_studio_sdk.core.api_error import ApiError

        began = time.time()
        changed = list_tasks(client, project, prefix, before.settled)
        old = [latest for seen, latest in before.pending if began - seen >= OVERLAP.total_seconds()]
        young = [(seen, latest) for seen, latest in before.pending if began - seen < OVERLAP.total_seconds()]
        known = max(latest for _, latest in (*before.pending, (0.0, before.settled)))
        newest = max([known, *(row.updated_at for row in changed)])
        if newest > known:
            young.append((began, newest))
        rows = before.rows | {row.id: _slim(row) for row in changed}
        now = Look(before.at, max([before.settled, *old]), tuple(young), rows)
        # a deleted task, and an annotation deleted with a time that the server got wrong, are seen by their absence
        try:
            if count_tasks(client, project, prefix) != len(now.rows):
                return None
            answered = count_tasks(client, project, prefix, answered=True)
        except ApiError as error:
            if error.status_code == 404:  # the project was deleted meanwhile; the full listing is empty then
                return None
            raise
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
            write_json(file, {"at": look.at, "settled": look.settled, "pending": look.pending, "rows": rows})


def _earlier(latest: str) -> str:
    """A change that was not visible yet when `latest` was has a time after this. "" if that is no time."""
    try:
        return (datetime.strptime(latest, _TIME) - OVERLAP).strftime(_TIME)
    except ValueError:
        return ""


def _slim(row: TaskRow) -> TaskRow:
    """The row without its pictures, and without its time, which the cursor has."""
    return _row(row.id, row.data.get(KEY), tile_keys(row.data), row.finished, row.annotators, row.overlap)


def _row(id: int, key: Any, tiles: Any, finished: Any, annotators: Any, overlap: Any) -> TaskRow:
    data = {KEY: key} | ({TILES: [{KEY: tile} for tile in tiles]} if tiles else {})
    return TaskRow(int(id), data, bool(finished), tuple(int(person) for person in annotators), int(overlap))


def _read(file: Path) -> Look | None:
    try:
        value = read_json(file)
        times = [value["settled"], *(latest for _, latest in value["pending"])]
        for written in times:
            datetime.strptime(written, _TIME)
        pending = tuple((float(seen), str(latest)) for seen, latest in value["pending"])
        rows = [_row(*row) for row in value["rows"]]
        return Look(float(value["at"]), value["settled"], pending, {row.id: row for row in rows})
    except (OSError, UserError, KeyError, TypeError, ValueError, AttributeError):
        return None
