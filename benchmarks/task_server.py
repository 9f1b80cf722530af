"""In Label Studio's place: tasks in memory behind the part of its API that a look at waiting videos uses.

It answers as fast as Python can, so what is measured is ours: the real server takes about 0.6 ms per listed task more.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import parse_qs, urlsplit

from connectors.label_studio.excerpts import KEY

MARKER = "fewclicks:0123456789abcdef"
PROJECT = 1
TOKEN = "0123456789abcdef0123456789abcdef01234567"  # the form of a legacy token; nobody checks it
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class _Task:
    id: int
    key: str
    answered: bool
    updated_at: str

    def listed(self) -> dict[str, Any]:
        data = {"image": f"/data/local-files/?d=videos/{self.key}.jpg", KEY: self.key}
        return {
            "id": self.id,
            "data": data,
            "overlap": 1,
            "annotators": [1] if self.answered else [],
            "total_annotations": int(self.answered),
            "cancelled_annotations": 0,
            "updated_at": self.updated_at,
        }


class TaskServer:
    """A server in a process of its own, so that its memory is not counted; a context manager.

    keys: of every task, and whether it is answered, in the order in which they were made
    """

    def __init__(self, keys: list[tuple[str, bool]]) -> None:
        context = get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(keys, there), daemon=True)

    def __enter__(self) -> TaskServer:
        self._process.start()
        self.url = f"http://127.0.0.1:{self._here.recv()}"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()

    def answer(self, keys: list[str]) -> None:
        """Somebody answers these tasks now."""
        self._here.send(keys)
        self._here.recv()

    def requests(self) -> int:
        """How many requests there were since this was asked last."""
        self._here.send(None)
        return int(self._here.recv())


def _serve(keys: list[tuple[str, bool]], pipe: Connection) -> None:
    made = [
        _Task(number, key, answered, _time(_BEGAN + timedelta(seconds=number)))
        for number, (key, answered) in enumerate(keys, start=1)
    ]
    counted = [0]
    handler = type("Handler", (_Handler,), {"tasks": made, "counted": counted})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    by_key = {task.key: task for task in made}
    pipe.send(server.server_port)
    server.timeout = 0.005
    while True:
        server.handle_request()
        while pipe.poll():
            wanted = pipe.recv()
            if wanted is None:
                pipe.send(counted[0])
                counted[0] = 0
                continue
            for key in wanted:
                by_key[key].answered, by_key[key].updated_at = True, _time(datetime.now(UTC))
            pipe.send(len(wanted))


class _Handler(BaseHTTPRequestHandler):
    tasks: list[_Task]
    counted: list[int]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.counted[0] += 1
        parts = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if re.fullmatch(rf"/api/projects/{PROJECT}/?", parts.path):
            self._send(200, {"id": PROJECT, "description": MARKER, "created_at": "2026-01-01T00:00:00.000000Z"})
        elif parts.path == "/api/tasks/":
            found = self._matching(json.loads(asked["query"])["filters"]["items"])
            page = found[: int(asked["page_size"])]
            self._send(200, {"total": len(found), "tasks": [task.listed() for task in page]})
        else:
            self._send(404, {"detail": "Not here."})

    def _matching(self, filters: list[dict[str, Any]]) -> list[_Task]:
        found = self.tasks
        for rule in filters:
            name, value = rule["filter"].removeprefix("filter:tasks:"), rule["value"]
            if name == "id":
                found = found[value:] if found is self.tasks else [task for task in found if task.id > value]
            elif name == "updated_at":
                found = [task for task in found if task.updated_at >= value]
            elif name == "annotations_ids":
                found = [task for task in found if task.answered]
            elif name == f"data.{KEY}":
                found = [task for task in found if value in task.key]
            else:
                raise AssertionError(f"{name} is not filtered by here")
        return found

    def _send(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Thousands of lines that nobody reads."""


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
