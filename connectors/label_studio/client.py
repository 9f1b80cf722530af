"""Requests to a Label Studio server, with its failures told in our words."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from workspace.errors import ToolUnavailable, UserError

PAGE = 500  # tasks per listing request; about 5 ms each on the server
TIMEOUT_S = 120.0
_ACCESS_HINT = (
    "Copy one from Label Studio, Account & Settings > Access Token (personal or legacy), into the environment variable"
    " LABEL_STUDIO_API_KEY or the file named by label_studio.api_key_file."
)


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One line of a task listing. `finished`: there is an annotation; a skipped one counts, a draft does not."""

    id: int
    data: dict[str, Any]
    finished: bool


@contextmanager
def connected(url: str, api_key: str) -> Iterator[Any]:
    """A label_studio_sdk client for one operation; its socket is closed at the end, whatever happens.

    `api_key`: a personal access token or a legacy token. The SDK never retries, so that one write is one request.
    Raises ToolUnavailable when nothing (or no Label Studio) answers at `url`, when it is in trouble (5xx), or when it
    refuses the token; UserError when it refuses what we asked. The token is in no message.
    """
    key = api_key.strip()
    if not key or not key.isascii() or not key.isprintable():
        raise ToolUnavailable(
            f"The access token for Label Studio at {url} is empty or has odd characters.", _ACCESS_HINT
        )
    from label_studio_sdk import LabelStudio

    # the SDK exchanges personal tokens by a call that pydantic has deprecated; adding a filter again changes nothing
    warnings.filterwarnings("ignore", message="The `parse_obj` method", module=r"label_studio_sdk\.")
    # a proxy from the environment must not be asked for this very machine
    with (
        translated(url),
        httpx.Client(timeout=TIMEOUT_S, follow_redirects=True, trust_env=not is_loopback(url)) as http,
    ):
        yield LabelStudio(base_url=url.rstrip("/") + "/", api_key=key, max_retries=0, httpx_client=http)


def is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Turns failures of the SDK and of httpx into ToolUnavailable or UserError."""
    from label_studio_sdk.core.api_error import ApiError

    start = "Start it with `fewclicks serve DIR`, or correct label_studio.url, and run again; nothing was lost."
    try:
        yield
    except ApiError as error:
        status, detail = error.status_code or 0, error_detail(error.body)
        if status in (401, 403):
            raise ToolUnavailable(f"Label Studio at {url} refuses the access token: {detail}.", _ACCESS_HINT) from None
        if status >= 500 or status in (408, 429):
            raise ToolUnavailable(f"Label Studio at {url} is in trouble ({status}: {detail}).", start) from None
        if status < 400:
            raise ToolUnavailable(f"What answers at {url} is not Label Studio ({detail}).", start) from None
        raise UserError(f"Label Studio at {url} refused a request ({status}: {detail}).") from None
    except (httpx.HTTPError, httpx.InvalidURL, json.JSONDecodeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ToolUnavailable(f"Label Studio at {url} does not answer ({reason}).", start) from None


def error_detail(body: Any) -> str:
    """The reason in an error body, in at most 300 characters on one line."""
    if isinstance(body, dict):
        body = body.get("validation_errors") or body.get("detail") or body
    text = " ".join((body if isinstance(body, str) else json.dumps(body, default=str)).split()).rstrip(".")
    return text if len(text) <= 300 else text[:297] + "..."


def project_or_none(client: Any, project: int) -> Any | None:
    """The project, or None if there is no such project (any more)."""
    from label_studio_sdk.core.api_error import ApiError

    try:
        return client.projects.get(project)
    except ApiError as error:
        if error.status_code == 404:
            return None
        raise


def list_tasks(client: Any, project: int, key_contains: str | None = None) -> list[TaskRow]:
    """Every task of a project by ascending id; with `key_contains` only those whose fewclicks_key contains it.

    A deleted project has no tasks; ask `project_or_none` where that matters.
    """
    filters = []
    if key_contains is not None:
        name = "filter:tasks:data.fewclicks_key"
        filters = [{"filter": name, "operator": "contains", "type": "String", "value": key_contains}]
    rows = list(_listing(client, project, filters))
    # asked of the annotations themselves: the counters on a task (total_annotations) have been seen to stay at 0
    annotated = {"filter": "filter:tasks:annotations_ids", "operator": "greater", "type": "Number", "value": 0}
    finished = {int(task.id) for task in _listing(client, project, [*filters, annotated])} if rows else set()
    return [TaskRow(int(task.id), dict(task.data or {}), int(task.id) in finished) for task in rows]


def tasks_answered_with(client: Any, project: int, text: str, key_contains: str | None = None) -> list[int]:
    """Ids of the tasks with an annotation whose result holds this text, ascending; `key_contains` as in `list_tasks`.

    text: letters that JSON writes as they are
    """
    filters = [{"filter": "filter:tasks:annotations_results", "operator": "contains", "type": "String", "value": text}]
    if key_contains is not None:
        name = "filter:tasks:data.fewclicks_key"
        filters.append({"filter": name, "operator": "contains", "type": "String", "value": key_contains})
    return [int(task.id) for task in _listing(client, project, filters)]


def _listing(client: Any, project: int, filters: list[dict[str, Any]]) -> Iterator[Any]:
    """Tasks by keyset (id greater than the last): page numbers would skip some when others are deleted meanwhile."""
    from label_studio_sdk.core.api_error import ApiError

    last = 0
    while True:
        beyond = {"filter": "filter:tasks:id", "operator": "greater", "type": "Number", "value": last}
        query = {"filters": {"conjunction": "and", "items": [beyond, *filters]}, "ordering": ["tasks:id"]}
        options = {"project": project, "fields": "task_only", "page_size": PAGE, "query": json.dumps(query)}
        try:
            tasks = client.tasks.list(**options).items or []
        except ApiError as error:
            if error.status_code == 404:
                return
            raise
        yield from tasks
        if len(tasks) < PAGE:
            return
        last = int(tasks[-1].id)


def task_or_none(client: Any, task: int) -> dict[str, Any] | None:
    """One task with annotations, drafts and predictions, as the server's own JSON; None if it is gone."""
    from label_studio_sdk.core.api_error import ApiError

    try:
        detail = client.tasks.get(str(task)).model_dump(mode="json")
    except ApiError as error:
        if error.status_code == 404:
            return None
        raise
    assert isinstance(detail, dict)
    return detail


def delete_task(client: Any, task: int) -> None:
    """Deletes a task; one that is gone already is fine."""
    from label_studio_sdk.core.api_error import ApiError

    try:
        client.tasks.delete(str(task))
    except ApiError as error:
        if error.status_code != 404:
            raise
