"""What answers really cost, as the proxy counted it: one line of JSON per submission, read when answers are pulled."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from connectors.labeling_tool import Effort

HEADER = "X-Fewclicks-Effort"
_MOST = 10_000_000  # clicks, keys or milliseconds of one answer; more is no person's work


def parse_effort(header: str | None) -> Effort | None:
    """The effort that a browser reports; None if it says nothing or nonsense: it comes from outside."""
    try:
        value = json.loads(header or "")
        numbers = [float(value[name]) for name in ("clicks", "keys", "active_ms", "wall_ms")]
    except (ValueError, TypeError, KeyError):
        return None
    if not all(0 <= number <= _MOST for number in numbers):  # false for NaN too
        return None
    clicks, keys, active, wall = numbers
    return Effort(int(clicks), int(keys), round(active / 1000, 3), round(wall / 1000, 3))


def record_effort(path: Path, effort: Effort, annotation: Mapping[str, Any]) -> None:
    """Append one submission. Written in one piece, so that a process killed in between leaves whole lines only."""
    line = {
        "annotation": annotation["id"],
        "task": annotation["task"],
        "created_at": annotation["created_at"],
        "clicks": effort.clicks,
        "keys": effort.keys,
        "active_seconds": effort.active_seconds,
        "wall_seconds": effort.wall_seconds,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, (json.dumps(line) + "\n").encode())
    finally:
        os.close(descriptor)


class Efforts:
    """The efforts of a file, by annotation; several submissions of one annotation are added up."""

    def __init__(self, path: Path | None) -> None:
        self._of: dict[tuple[int, int, float], Effort] = {}
        if path is None or not path.exists():
            return
        for line in path.read_bytes().splitlines():
            try:
                value = json.loads(line)
                key = int(value["annotation"]), int(value["task"]), moment(value["created_at"])
                names = ("clicks", "keys", "active_seconds", "wall_seconds")
                clicks, keys, active, wall = (value[name] for name in names)
            except (ValueError, TypeError, KeyError):
                continue  # cut off by a full disk, say
            before = self._of.get(key, Effort(0, 0, 0.0, 0.0))
            self._of[key] = Effort(
                before.clicks + clicks,
                before.keys + keys,
                round(before.active_seconds + active, 3),
                round(before.wall_seconds + wall, 3),
            )

    def of(self, task: int, annotation: Mapping[str, Any]) -> Effort | None:
        """None if nobody counted. The time it was made is part of the name: SQLite uses ids again."""
        try:
            return self._of.get((int(annotation["id"]), task, moment(annotation["created_at"])))
        except (ValueError, TypeError, KeyError):
            return None


def moment(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 time, which the server writes in one way and the SDK in another."""
    return datetime.fromisoformat(text).timestamp()
