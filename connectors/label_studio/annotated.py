"""The annotations of tasks, read from the server: page by page where there are many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.label_studio.client import TaskRow, annotated_tasks, task_or_none
from connectors.label_studio.importing import prefixes_of

FEW = 20  # tasks read one by one (0.1 s each) rather than with all of their round (5 ms each)


@dataclass(frozen=True, slots=True)
class Asked:
    """A task, and the keys of the questions in it that matter."""

    project: int
    row: TaskRow
    keys: frozenset[str]


def read_annotations(
    client: Any, asked: Sequence[Asked]
) -> Iterator[tuple[Asked, Mapping[str, Any], Mapping[str, Any]]]:
    """Task and annotation, as the server's own JSON, of every annotation; those of one key in order of annotation id.

    Thousands of masks never lie in memory together: only tasks that share a key with another one, a tile that was also
    painted say, are held back to the end.
    """
    times = Counter(key for item in asked for key in item.keys)
    held = []
    for project in sorted({item.project for item in asked}):
        of_task = {item.row.id: item for item in asked if item.project == project}
        for task in read_tasks(client, project, list(of_task.values())):
            item = of_task[int(task["id"])]
            found = [(item, task, annotation) for annotation in in_order(task)]
            if any(times[key] > 1 for key in item.keys):
                held += found
            else:
                yield from found
    yield from sorted(held, key=lambda found: int(found[2]["id"]))


def read_tasks(client: Any, project: int, asked: Sequence[Asked]) -> Iterator[dict[str, Any]]:
    """Those of these tasks of one project that have an annotation, as the server's own JSON.

    `completed_by` of an annotation is {"id", "email"}, or None where the person has been removed from the server.
    """
    finished = {item.row.id for item in asked if item.row.finished}
    if len(finished) <= FEW:
        for number in sorted(finished):
            task = task_or_none(client, number)
            if task is not None:
                yield task
        return
    emails = {int(user.id): str(user.email) for user in client.users.list()}
    for prefix in prefixes_of(frozenset(key for item in asked for key in item.keys)):
        for task in annotated_tasks(client, project, prefix):
            if int(task["id"]) in finished:
                finished.remove(int(task["id"]))
                yield {**task, "annotations": [_with_email(made, emails) for made in task.get("annotations") or []]}


def in_order(task: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The annotations of a task, the oldest first."""
    return sorted(task.get("annotations") or [], key=lambda annotation: int(annotation["id"]))


def annotator_name(annotation: Mapping[str, Any]) -> str:
    by = annotation.get("completed_by")
    return str(by.get("email") or by.get("id")) if isinstance(by, dict) else str(by)


def annotator_id(annotation: Mapping[str, Any]) -> int:
    """The person's id; a negative number of its own for each annotation whose annotator has been removed."""
    by = annotation.get("completed_by")
    number = by.get("id") if isinstance(by, dict) else by
    return -int(annotation["id"]) if number is None else int(number)


def _with_email(annotation: Mapping[str, Any], emails: Mapping[int, str]) -> dict[str, Any]:
    by = annotation.get("completed_by")
    return {**annotation, "completed_by": {"id": by, "email": emails.get(by)} if isinstance(by, int) else by}
