"""Task listings that read only what is new: the rest is remembered from the last look, in a file."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from connectors.label_studio.client import TaskRow, count_tasks, each_task
from connectors.label_studio.excerpts import KEY
from connectors.label_studio.tiles import TILES, tile_keys
from workspace.files import fingerprint, writing

LEAST_TASKS = 100  # fewer are listed as quickly as they are counted
OVERLAP = timedelta(minutes=2)  # a change may become visible so much later than its time says
FULL_LOOK_S = 900.0  # some changes (people removed, project settings) have no time: everything is listed so often
_KEPT_S = 7 * 86400.0
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"  # the only format of the server's filters


class Seen(NamedTuple):
    """What is remembered of a task: of a hundred thousand in little memory, so no dictionary and no pictures."""

    id: int
    key: str | None
    tiles: tuple[str, ...]
    finished: bool
    annotators: tuple[int, ...]
    overlap: int

    def row(self) -> TaskRow:
        data: dict[str, Any] = {KEY: self.key}
        if self.tiles:
            data[TILES] = [{KEY: tile} for tile in self.tiles]
        return TaskRow(self.id, data, self.finished, self.annotators, self.overlap)

    def is_of(self, keys: Collection[str]) -> bool:
        return self.key in keys or any(tile in keys for tile in self.tiles)


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
    rows: dict[int, Seen]


class Listings:
    """The tasks of a project whose key contains a prefix, as `list_tasks` gives them, with their keys as all data.

    Kept in `folder`, one file per project and prefix. A lost or broken file costs one listing of everything;
    two processes may overwrite each other's, as each file is true by itself.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._url = url

    def rows(self, client: Any, project: int, prefix: str | None, keys: Collection[str] | None = None) -> list[TaskRow]:
        """By ascending id. keys: only tasks with one of these, or with a tile that has one."""
        file = self._folder / f"{fingerprint(self._url, project, prefix or '')}.jsonl"
        before = _read(file)
        if before is None or not 0 <= time.time() - before.at < FULL_LOOK_S:
            now = None
        else:
            now = self._since(client, project, prefix, before)
        if now is None:
            began = time.time()
            rows, latest = {}, ""
            for row in each_task(client, project, prefix):
                rows[row.id] = _seen(row)
                latest = max(latest, row.updated_at)
            now = Look(began, _earlier(latest), ((began, latest),), rows)
        if len(now.rows) >= LEAST_TASKS and now != before:
            self._write(file, now)
        return [seen.row() for _, seen in sorted(now.rows.items()) if keys is None or seen.is_of(keys)]

    def _since(self, client: Any, project: int, prefix: str | None, before: Look) -> Look | None:
        """The listing by what changed after `before`; None if that does not come to what is there."""
        from label_studio_sdk.core.api_error import ApiError

        began = time.time()
        changed = list(each_task(client, project, prefix, before.settled))
        old = [latest for seen, latest in before.pending if began - seen >= OVERLAP.total_seconds()]
        young = [(seen, latest) for seen, latest in before.pending if began - seen < OVERLAP.total_seconds()]
        known = max(latest for _, latest in (*before.pending, (0.0, before.settled)))
        newest = max([known, *(row.updated_at for row in changed)])
        if newest > known:
            young.append((began, newest))
        rows = before.rows | {row.id: _seen(row) for row in changed}
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
        head = {"at": look.at, "settled": look.settled, "pending": look.pending}
        with suppress(OSError):  # a full disk makes polls slower, nothing else
            for old in self._folder.glob("*.json*"):
                if time.time() - old.stat().st_mtime > _KEPT_S:
                    old.unlink()
            with writing(file) as part, part.open("w", encoding="utf-8") as lines:
                checksum = 0
                for value in (head, *look.rows.values()):
                    line = json.dumps(value) + "\n"
                    checksum = crc32(line.encode(), checksum)
                    lines.write(line)
                lines.write(f"{checksum}\n")  # a flipped bit in a key would look like a task that is gone


def _earlier(latest: str) -> str:
    """A change that was not visible yet when `latest` was has a time after this. "" if that is no time."""
    try:
        return (datetime.strptime(latest, _TIME) - OVERLAP).strftime(_TIME)
    except ValueError:
        return ""


def _seen(row: TaskRow) -> Seen:
    key = row.data.get(KEY)
    known = key if isinstance(key, str) else None
    return Seen(row.id, known, tuple(tile_keys(row.data)), row.finished, row.annotators, row.overlap)


def _read(file: Path) -> Look | None:
    """None for one that is missing or not as it was written."""
    try:
        with file.open(encoding="utf-8") as lines:
            checked = _checked(lines)
            head = json.loads(next(checked))
            pending = tuple((float(seen), str(latest)) for seen, latest in head["pending"])
            return Look(float(head["at"]), head["settled"], pending, {seen.id: seen for seen in _read_rows(checked)})
    except (OSError, KeyError, TypeError, ValueError, AttributeError, StopIteration):
        return None


def _checked(lines: Iterator[str]) -> Iterator[str]:
    """All lines but the last; ValueError at the end if that one is not their checksum."""
    line, checksum = next(lines, ""), 0
    for following in lines:
        yield line
        checksum, line = crc32(line.encode(), checksum), following
    if line != f"{checksum}\n":
        raise ValueError("cut or altered")


def _read_rows(lines: Iterator[str]) -> Iterator[Seen]:
    alike: dict[tuple[int, ...], tuple[int, ...]] = {}  # thousands of tasks were answered by the same few
    for line in lines:
        number, key, tiles, finished, annotators, overlap = json.loads(line)
        people = tuple(int(person) for person in annotators)
        named = tuple(str(tile) for tile in tiles)
        yield Seen(int(number), key, named, bool(finished), alike.setdefault(people, people), int(overlap))
