"""What answers really cost, as the proxy counted it: one line of JSON per submission, read when answers are pulled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from connectors.label_studio.submission_log import Place, append_submission, noted_submissions, place_of
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
    """Append one submission."""
    counted = {
        "clicks": effort.clicks,
        "keys": effort.keys,
        "active_seconds": effort.active_seconds,
        "wall_seconds": effort.wall_seconds,
    }
    append_submission(path, annotation, counted)


class Efforts:
    """The efforts of a file, by annotation; several submissions of one annotation are added up."""

    def __init__(self, path: Path | None) -> None:
        self._of: dict[Place, Effort] = {}
        for key, value in noted_submissions(path):
            try:
                names = ("clicks", "keys", "active_seconds", "wall_seconds")
                clicks, keys, active, wall = (value[name] for name in names)
            except KeyError:
                continue
            before = self._of.get(key, Effort(0, 0, 0.0, 0.0))
            self._of[key] = Effort(
                before.clicks + clicks,
                before.keys + keys,
                round(before.active_seconds + active, 3),
                round(before.wall_seconds + wall, 3),
            )

    def of(self, task: int, annotation: Mapping[str, Any]) -> Effort | None:
        """None if nobody counted."""
        place = place_of(task, annotation)
        return None if place is None else self._of.get(place)
