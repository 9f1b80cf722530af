"""Steps that failed and orders that people gave, as a page tells them: what came again and again, once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from workspace.facts import Event


@dataclass(frozen=True, slots=True)
class Fault:
    """`at`: of the last time, seconds since the epoch;  `times`: how often, one right after the other."""

    project: str
    video: str
    name: str
    round: int
    step: str
    told: str
    at: float
    times: int = 1


def faults(found: Iterable[tuple[str, str, Event]]) -> list[Fault]:
    """The same fault of the same step in a row becomes one.

    found: slug of the project, name of the video, and the event, newest first;  returns: newest first
    """
    rows: list[Fault] = []
    for project, name, event in found:
        told = str(event.payload.get("error", event.kind))
        step = str(event.payload.get("state", "–"))
        one = Fault(project, str(event.video), name, event.round, step, told, event.at)
        if rows and replace(rows[-1], at=one.at, times=1) == one:
            rows[-1] = replace(rows[-1], times=rows[-1].times + 1)
        else:
            rows.append(one)
    return rows
