"""Which Label Studio project is ours: found again after a crash, never made twice, never confused with another's."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from connectors.label_studio.client import project_or_none
from workspace.errors import UserError
from workspace.files import fingerprint, read_json, write_json

# where people paint, and where they choose; the same for reviews
RECORDS = tuple(f"label-studio-project{which}.json" for which in ("", "-tiles", "-review", "-review-tiles"))
NEW_PROJECT_HINT = "`fewclicks run DIR --new-project` makes a new project and asks the open samples again."


@dataclass(frozen=True, slots=True)
class ProjectRecord:
    """What the workspace remembers of its project.

    `marker` stands in the project's description from the first moment, so that a project whose id was never written
    down is found. `created_at` tells our project from one that got the same id later (SQLite uses ids again), even if
    somebody rewrote the description. `config` is the fingerprint of the labeling configuration last sent; `assist`
    the address of the help server connected last.
    """

    marker: str
    project: int | None = None
    created_at: str = ""
    config: str = ""
    assist: str = ""


def load_record(path: Path) -> ProjectRecord | None:
    if not path.exists():
        return None
    try:
        return ProjectRecord(**read_json(path))
    except TypeError:
        raise UserError(f"{path} does not name a Label Studio project.", NEW_PROJECT_HINT) from None


def save_record(path: Path, record: ProjectRecord) -> None:
    write_json(path, asdict(record))


def make_record(path: Path) -> ProjectRecord:
    """The record at `path`; made with a fresh marker if there is none. Two processes get the same one."""
    found = load_record(path)
    if found is not None:
        return found
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    write_json(fresh, asdict(ProjectRecord(f"fewclicks:{secrets.token_hex(8)}")))
    try:
        os.link(fresh, path)  # fails if another process was first: then its marker is the one
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
    made = load_record(path)
    assert made is not None
    return made


def markers(folder: Path) -> dict[str, str]:
    """File name -> marker of every project that a workspace may have; made if there is none. For `adopt_markers`."""
    return {name: make_record(folder / name).marker for name in RECORDS}


def adopt_markers(folder: Path, known: dict[str, str]) -> None:
    """From now on this workspace uses the projects of another: those marked so, made by whoever asks first."""
    for name in RECORDS:
        found = load_record(folder / name)
        if found is None or found.marker != known[name]:
            save_record(folder / name, ProjectRecord(known[name]))


def find_project(client: Any, url: str, path: Path) -> Any | None:
    """Our project, or None if none was ever made. UserError if there was one and it is deleted."""
    record = load_record(path)
    if record is None:
        return None
    if record.project is not None:
        project = project_or_none(client, record.project)
        if project is not None and _is_ours(project, record):
            return project
    project = next(iter(_marked(client, record.marker)), None)
    if project is None and record.project is not None:
        raise UserError(f"The Label Studio project {record.project} is gone from {url}.", NEW_PROJECT_HINT)
    if project is not None:
        _remember(path, record, project)
    return project


def find_or_create_project(
    client: Any, url: str, path: Path, title: str, config: str, before_write: Callable[[], None], opinions: int = 1
) -> Any:
    """Our project, made if there never was one, with the labeling configuration `config`.

    `opinions`: how many people a new project asks about each task; of one that exists it stays, as changing it would
    open the finished tasks of earlier rounds again. A skip counts as an opinion, so nobody is asked in their place.

    Whoever created one looks again afterwards: the one with the lowest id is ours, the others, empty still, are
    deleted. They come from another process, or from the server itself, which repeats a request when its SQLite was
    locked and so may create twice.
    """
    record = make_record(path)
    project = find_project(client, url, path)
    if project is None:
        before_write()
        description = f"Made by fewclicks. Please keep this line: {record.marker}"
        mine = client.projects.create(
            title=title,
            label_config=config,
            description=description,
            sampling="Sequential sampling",
            maximum_annotations=opinions,
            skip_queue="IGNORE_SKIPPED",
        )
        project, *surplus = _marked(client, record.marker) or [client.projects.get(mine.id)]
        for other in surplus:
            if not other.task_number:
                before_write()
                _delete_project(client, int(other.id))
        _remember(path, record, project, config)
        return project
    record = load_record(path) or record
    if record.config != fingerprint(config):
        if project.label_config != config:
            before_write()
            client.projects.update(project.id, label_config=config)
        _remember(path, record, project, config)
    return project


def _is_ours(project: Any, record: ProjectRecord) -> bool:
    return record.marker in (project.description or "") or str(project.created_at) == record.created_at


def _marked(client: Any, marker: str) -> list[Any]:
    """The projects whose description holds the marker, by ascending id."""
    ours = [p for p in client.projects.list(page_size=100) if marker in (p.description or "")]
    return sorted(ours, key=lambda p: int(p.id))


def _delete_project(client: Any, project: int) -> None:
    """Deletes a project; one that is gone already is fine."""
    from label_studio_sdk.core.api_error import ApiError

    try:
        client.projects.delete(project)
    except ApiError as error:
        if error.status_code != 404:
            raise


def _remember(path: Path, record: ProjectRecord, project: Any, config: str | None = None) -> None:
    known = replace(record, project=int(project.id), created_at=str(project.created_at))
    save_record(path, known if config is None else replace(known, config=fingerprint(config)))
