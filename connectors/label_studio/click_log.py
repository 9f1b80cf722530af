"""How annotations were clicked, as the help server saw it: one line of JSON per annotation, read when it is pulled."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from connectors.label_studio.effort import moment
from workspace.click_sequence import ClickSequence, from_rows, to_rows


def annotation_of(call: Any) -> Mapping[str, Any] | None:
    """The annotation that a call of the webhook says was submitted or changed; None for any other call."""
    if not isinstance(call, dict) or call.get("action") not in ("ANNOTATION_CREATED", "ANNOTATION_UPDATED"):
        return None
    annotation = call.get("annotation")
    if not isinstance(annotation, dict):
        return None
    try:
        moment(annotation["created_at"])
        return {
            "id": int(annotation["id"]),
            "task": int(annotation["task"]),
            "created_at": str(annotation["created_at"]),
        }
    except (KeyError, TypeError, ValueError):
        return None


def record_clicks(path: Path, annotation: Mapping[str, Any], sequences: Sequence[ClickSequence]) -> None:
    """Append what was clicked before one submission. In one piece: a kill in between leaves whole lines only."""
    line = {
        "annotation": annotation["id"],
        "task": annotation["task"],
        "created_at": annotation["created_at"],
        "clicks": [to_rows(sequence) for sequence in sequences],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, (json.dumps(line) + "\n").encode())
    finally:
        os.close(descriptor)


class ClickLog:
    """The click sequences of a file, by annotation; those of several submissions one after another."""

    def __init__(self, path: Path | None) -> None:
        self._of: dict[tuple[int, int, float], tuple[ClickSequence, ...]] = {}
        if path is None or not path.exists():
            return
        for line in path.read_bytes().splitlines():
            try:
                value = json.loads(line)
                key = int(value["annotation"]), int(value["task"]), moment(value["created_at"])
                sequences = tuple(from_rows(rows) for rows in value["clicks"])
            except (ValueError, TypeError, KeyError):
                continue  # cut off by a full disk, say
            self._of[key] = self._of.get(key, ()) + sequences

    def of(self, task: int, annotation: Mapping[str, Any]) -> tuple[ClickSequence, ...]:
        """Empty if nobody clicked with help, or the server was not there."""
        try:
            return self._of.get((int(annotation["id"]), task, moment(annotation["created_at"])), ())
        except (ValueError, TypeError, KeyError):
            return ()
