"""How annotations were clicked, as the help server saw it: one line of JSON per annotation, read when it is pulled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from connectors.label_studio.submission_log import Place, append_submission, moment, noted_submissions, place_of
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
    """Append what was clicked before one submission."""
    append_submission(path, annotation, {"clicks": [to_rows(sequence) for sequence in sequences]})


class ClickLog:
    """The click sequences of a file, by annotation; those of several submissions one after another."""

    def __init__(self, path: Path | None) -> None:
        self._of: dict[Place, tuple[ClickSequence, ...]] = {}
        for key, value in noted_submissions(path):
            try:
                sequences = tuple(from_rows(rows) for rows in value["clicks"])
            except (ValueError, TypeError, KeyError):
                continue
            self._of[key] = self._of.get(key, ()) + sequences

    def of(self, task: int, annotation: Mapping[str, Any]) -> tuple[ClickSequence, ...]:
        """Empty if nobody clicked with help, or the server was not there."""
        place = place_of(task, annotation)
        return () if place is None else self._of.get(place, ())
