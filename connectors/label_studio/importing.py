"""Tasks into a project at size: each key once, whatever was there before, and whatever happens in the middle."""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import httpx

from connectors.label_studio.client import TaskRow, count_tasks, delete_task, list_tasks, request, task_or_none
from connectors.label_studio.excerpts import KEY

log = logging.getLogger(__name__)

IMPORT_BYTES = 8_000_000
PAUSES_S = (1.0, 2.0, 4.0, 8.0)  # between attempts of one import: long enough for a server to restart
_PREFIX_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-/")
_MANY_PREFIXES = 8
_PICTURES_AT_ONCE, _PICTURES_WAITING = 8, 64


class Importing:
    """The tasks of one push; a context manager.

    One import request is under way while the tasks of the next are made: making their JSON takes about as long as the
    server takes to store them.

    What is there already is listed once per video and round, not once per batch, and not at all where a count says that
    there is nothing; so 10,000 tasks cost hardly more than their import. A count at the end tells whether another
    process has pushed the same meanwhile.
    """

    def __init__(
        self,
        client: Any,
        project: int,
        usual_opinions: int,
        before_write: Callable[[], None],
        batch: int = 1000,
    ) -> None:
        self._client = client
        self.project = project
        self._usual = usual_opinions  # what the server gives a new task
        self._before_write = before_write
        self._batch = batch
        self._prefixes: set[str | None] = set()
        self._rows: dict[str, list[TaskRow]] = {}  # listed at the beginning
        self._new: dict[str, int] = {}  # key -> opinions, added by us
        self._waiting: list[tuple[str, bytes]] = []  # key, JSON of the task
        self._waiting_bytes = 0
        self._sender = ThreadPoolExecutor(1, thread_name_prefix="import")
        self._sent: Future[None] | None = None  # the request that is under way,
        self._sending: list[tuple[str, bytes]] = []  # and what is in it
        self.served: set[Path] = set()  # folders that the server is known to deliver
        self._others = ThreadPoolExecutor(_PICTURES_AT_ONCE, thread_name_prefix="pictures")
        self._first: deque[Future[None]] = deque()  # what must be done before the next import

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sender.shutdown()  # waits for what is under way: the connection is closed next
        self._others.shutdown(cancel_futures=True)

    @property
    def added(self) -> int:
        return len(self._new)

    def is_missing(self, key: str, opinions: int) -> bool:
        """Whether the key has no task yet; a task that is asked of fewer people than wanted is opened for more."""
        for prefix in prefixes_of({key}):
            self._look(prefix)
        rows = self._rows.get(key)
        if rows is not None:
            self.ask_more(rows, opinions)
        return rows is None and key not in self._new

    def people(self, key: str) -> frozenset[int]:
        """Who had answered the tasks of this key when they were listed."""
        for prefix in prefixes_of({key}):
            self._look(prefix)
        return frozenset(person for row in self._rows.get(key, ()) for person in row.annotators)

    def do_first(self, work: Callable[[], None]) -> None:
        """Do something, a few at a time, before the tasks that wait now and those added next are imported.

        A task whose picture had not arrived, when we are killed, would be there for good without it. An error is raised
        here or by the import.
        """
        if len(self._first) >= _PICTURES_WAITING:
            self._first.popleft().result()
        self._first.append(self._others.submit(work))

    def add(self, key: str, opinions: int, task: dict[str, Any]) -> None:
        """Import the task, together with others: a request takes so many tasks, or about so many bytes."""
        body = json.dumps(task).encode()
        if self._waiting and (len(self._waiting) >= self._batch or self._waiting_bytes + len(body) > IMPORT_BYTES):
            self._flush()
        self._waiting.append((key, body))
        self._waiting_bytes += len(body)
        self._new[key] = opinions

    def finish(self) -> None:
        """What waits is imported; surplus copies, which another process pushed meanwhile, go; opinions are set."""
        self._flush()
        self._settle()
        unusual = {key: opinions for key, opinions in self._new.items() if opinions != self._usual}
        for prefix in self._prefixes if self._new else ():
            known = sum(_matches(key, prefix) for key in (*self._rows, *self._new))
            if count_tasks(self._client, self.project, prefix) != known or any(_matches(k, prefix) for k in unusual):
                for key, rows in self._listed(prefix).items():
                    if key in unusual:
                        self._ask_exactly(rows, unusual[key])

    def _flush(self) -> None:
        """Begin to send what waits, once the request before it is through."""
        self._settle()
        while self._first:
            self._first.popleft().result()
        if not self._waiting:
            return
        self._sending, self._waiting, self._waiting_bytes = self._waiting, [], 0
        self._before_write()
        self._sent = self._sender.submit(self._import, self._sending)

    def _settle(self) -> None:
        """Wait for the request under way; a server in trouble is waited for, and then what did not arrive is sent."""
        from label_studio_sdk.core.api_error import ApiError

        sent, self._sent = self._sent, None
        left, attempts = self._sending, 0
        while left:
            try:
                if sent is not None:
                    sent.result()
                    break
                arrived = self._arrived({key for key, _ in left})
                left = [(key, body) for key, body in left if key not in arrived]
                if left:
                    self._before_write()
                    self._import(left)
                break
            except (ApiError, httpx.TransportError) as error:
                sent = None
                status = getattr(error, "status_code", None) or 503
                if attempts == len(PAUSES_S) or status < 500:
                    raise
                pause = PAUSES_S[attempts]
                log.warning("An import of %d tasks met a server in trouble; looking again in %g s.", len(left), pause)
                time.sleep(pause)
                attempts += 1
        self._sending = []

    def _import(self, tasks: Sequence[tuple[str, bytes]]) -> None:
        body = b"[" + b",".join(body for _, body in tasks) + b"]"
        request(self._client, "POST", f"api/projects/{self.project}/import", body)

    def _look(self, prefix: str | None) -> None:
        if prefix in self._prefixes or None in self._prefixes:
            return
        if len(self._prefixes) >= _MANY_PREFIXES:
            prefix = None
        self._settle()
        self._prefixes.add(prefix)
        if count_tasks(self._client, self.project, prefix):
            self._rows |= self._listed(prefix)

    def _listed(self, prefix: str | None) -> dict[str, list[TaskRow]]:
        rows = list_tasks(self._client, self.project, prefix)
        return rows_by_key(self._client, rows, None, self._before_write)

    def _arrived(self, keys: Collection[str]) -> set[str]:
        rows = (row for prefix in prefixes_of(keys) for row in list_tasks(self._client, self.project, prefix))
        return {str(row.data.get(KEY)) for row in rows}

    def ask_more(self, rows: Sequence[TaskRow], opinions: int) -> None:
        """Open the first of these tasks for as many people as wanted; never close it for one."""
        if rows and max(row.overlap for row in rows) < opinions:
            # the server does not look by itself whether a task whose overlap was raised is still complete
            people = {person for row in rows for person in row.annotators}
            self._set(rows[0], overlap=opinions, is_labeled=len(people) >= opinions)

    def _ask_exactly(self, rows: Sequence[TaskRow], opinions: int) -> None:
        """Of new tasks: ask as many people as wanted, and fewer than usual too while nobody has answered."""
        self.ask_more(rows, opinions)
        for row in rows:
            if row.overlap > opinions and not row.finished:
                self._set(row, overlap=opinions)

    def _set(self, row: TaskRow, **fields: Any) -> None:
        self._before_write()
        request(self._client, "PATCH", f"api/tasks/{row.id}/", json.dumps(fields).encode())


def rows_by_key(
    client: Any, rows: Iterable[TaskRow], keys: Collection[str] | None, before_write: Callable[[], None]
) -> dict[str, list[TaskRow]]:
    """The tasks of each key (these only, if given) without surplus copies; several only where several are answered.

    `before_write` is called before each deletion.
    """
    tasks: dict[str, list[TaskRow]] = {}
    seen: set[int] = set()
    for row in rows:
        key = row.data.get(KEY)
        if isinstance(key, str) and (keys is None or key in keys) and row.id not in seen:
            seen.add(row.id)
            tasks.setdefault(key, []).append(row)
    for key, copies in tasks.items():
        if len(copies) > 1:
            tasks[key] = _remove_surplus(client, key, copies, before_write)
    return tasks


def _remove_surplus(
    client: Any, key: str, copies: Sequence[TaskRow], before_write: Callable[[], None]
) -> list[TaskRow]:
    """Of several tasks with one key keep those with annotations, or else the oldest; delete the others.

    Each is looked at once more just before: one that somebody works on or has answered meanwhile stays.
    """
    answered = [row for row in copies if row.finished]
    kept = answered or [min(copies, key=lambda row: row.id)]
    for row in copies:
        if row in kept:
            continue
        task = task_or_none(client, row.id)
        if task is None or (task.get("data") or {}).get(KEY) != key:
            continue
        if task.get("annotations") or task.get("drafts"):
            kept.append(row)
            continue
        before_write()
        delete_task(client, row.id)
    return sorted(kept, key=lambda row: row.id)


def prefixes_of(keys: Collection[str]) -> list[str | None]:
    """Parts of keys by which the server narrows a listing (video/round/); [None], everything, if they cannot help."""
    prefixes = {key.rpartition("/")[0] + "/" if "/" in key else "" for key in keys}
    # only letters that every database compares alike; more prefixes than this cost more than one full listing
    safe = all(p and _PREFIX_CHARACTERS.issuperset(p) for p in prefixes)
    return sorted(prefixes) if safe and len(prefixes) <= _MANY_PREFIXES else [None]  # type: ignore[return-value]


def _matches(key: str, prefix: str | None) -> bool:
    return prefix is None or prefix in key
