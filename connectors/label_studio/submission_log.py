"""What is noted beside Label Studio about a submission: a file of JSON lines, by annotation."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

Place = tuple[int, int, float]
"""Annotation, task, and when the annotation was made: SQLite uses ids again."""


def append_submission(path: Path, annotation: Mapping[str, Any], noted: Mapping[str, Any]) -> None:
    """Add a line, for the owner's eyes only. Written in one piece: a kill in between leaves whole lines only."""
    place = {"annotation": annotation["id"], "task": annotation["task"], "created_at": annotation["created_at"]}
    line = {**place, **noted}
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, (json.dumps(line) + "\n").encode())
    finally:
        os.close(descriptor)


def noted_submissions(path: Path | None) -> Iterator[tuple[Place, dict[str, Any]]]:
    """The lines of the file, oldest first. A line that was cut off, by a full disk say, is left out."""
    if path is None or not path.exists():
        return
    for line in path.read_bytes().splitlines():
        try:
            value = json.loads(line)
            place = int(value["annotation"]), int(value["task"]), moment(value["created_at"])
        except (ValueError, TypeError, KeyError):
            continue
        yield place, value


def place_of(task: int, annotation: Mapping[str, Any]) -> Place | None:
    """Of an annotation as Label Studio gives it; None if it does not say when it was made."""
    try:
        return int(annotation["id"]), task, moment(annotation["created_at"])
    except (ValueError, TypeError, KeyError):
        return None


def moment(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 time, which the server writes in one way and the SDK in another."""
    return datetime.fromisoformat(text).timestamp()
