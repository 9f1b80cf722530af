"""Requests to a Label Studio server, with its failures told in our words."""

from __future__ import annotations

import json
import ssl
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx

from connectors.label_studio.patience import PatientClient
from workspace.errors import ToolUnavailable, UserError

PAGE = 500  # tasks per listing request; about 0.6 ms each on the server
DETAIL_PAGE = 50  # tasks with their annotations and predictions per request; about 5 ms each
TIMEOUT_S = 120.0
_ANNOTATION_FIELDS = (
    "completed_by,result,was_cancelled,lead_time,created_at,updated_at,draft_created_at,ground_truth,last_action,"
    "parent_prediction,parent_annotation,updated_by"
)
_ANNOTATED = {"filter": "filter:tasks:annotations_ids", "operator": "greater", "type": "Number", "value": 0}
_ACCESS_HINT = (
    "Copy one from Label Studio, Account & Settings > Access Token (personal or legacy), into the environment variable"
    " LABEL_STUDIO_API_KEY or the file named by label_studio.api_key_file."
)


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One line of a task listing. `finished`: there is an annotation; a skipped one counts, a draft does not.

    `annotators`: ids of the different people who have answered;  `overlap`: how many are asked
    `updated_at`: when it or its annotations last changed, as the server writes it
    """

    id: int
    data: dict[str, Any]
    finished: bool
    annotators: tuple[int, ...] = ()
    overlap: int = 1
    updated_at: str = ""


@contextmanager
def connected(url: str, api_key: str) -> Iterator[Any]:
    """A label_studio_sdk client for one operation; its socket is closed at the end, whatever happens.

    `api_key`: a personal access token or a legacy token. The SDK never retries, so that one write is one request;
    what may safely be repeated is, see `patience`.
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
        PatientClient(
            timeout=TIMEOUT_S, follow_redirects=True, trust_env=not is_loopback(url), verify=_certificates()
        ) as http,
    ):
        yield LabelStudio(base_url=url.rstrip("/") + "/", api_key=key, max_retries=0, httpx_client=http)


@cache
def _certificates() -> ssl.SSLContext:
    """Reading them takes 30 ms, which is more than most of our requests."""
    return httpx.create_ssl_context()


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


def list_tasks(client: Any, project: int, key_contains: str | None = None, since: str | None = None) -> list[TaskRow]:
    """Every task of a project by ascending id; with `key_contains` only those whose fewclicks_key contains it.

    since: only those that changed then or later, YYYY-MM-DDTHH:MM:SS.ffffffZ
    A deleted project has no tasks; ask `project_or_none` where that matters.
    """
    return list(each_task(client, project, key_contains, since))


def each_task(
    client: Any, project: int, key_contains: str | None = None, since: str | None = None
) -> Iterator[TaskRow]:
    """The same, of which one page at a time lies in memory."""
    # `review` makes the server count the people by their annotations: the counters on a task (total_annotations) have
    # been seen to stay at 0. `include` halves the time, which goes into columns that nobody reads.
    columns = "id,data,overlap,annotators,total_annotations,cancelled_annotations,updated_at"
    options = {"review": "true", "include": columns}
    filters = _key_filter(key_contains)
    if since is not None:
        changed = {"filter": "filter:tasks:updated_at", "operator": "greater_or_equal", "type": "Datetime"}
        filters.append({**changed, "value": since})
    return map(_task_row, _listing(client, project, PAGE, options, filters))


def annotated_tasks(client: Any, project: int, key_contains: str | None = None) -> Iterator[dict[str, Any]]:
    """Every task with an annotation, by ascending id, as the server's own JSON with annotations and predictions.

    `completed_by` of an annotation is a user's id here. Some pages at a time lie in memory, never all.
    """
    filters = [*_key_filter(key_contains), _ANNOTATED]
    # without `include` the server also makes summaries of what stands beside them; the names go for annotations too
    options = {"fields": "all", "include": f"id,data,annotations,predictions,{_ANNOTATION_FIELDS}"}
    return _listing(client, project, DETAIL_PAGE, options, filters)


def tasks_answered_with(client: Any, project: int, text: str, key_contains: str | None = None) -> list[int]:
    """Ids of the tasks with an annotation whose result holds this text, ascending; `key_contains` as in `list_tasks`.

    text: letters that JSON writes as they are
    """
    said = {"filter": "filter:tasks:annotations_results", "operator": "contains", "type": "String", "value": text}
    rows = _listing(client, project, PAGE, {"include": "id"}, [said, *_key_filter(key_contains)])
    return [int(task["id"]) for task in rows]


def count_tasks(client: Any, project: int, key_contains: str | None = None, answered: bool = False) -> int:
    """How many tasks `list_tasks` would list, or of these how many have an annotation; costs one small request."""
    filters = [*_key_filter(key_contains), *([_ANNOTATED] if answered else [])]
    query = {"filters": {"conjunction": "and", "items": filters}}
    options = {"review": "true", "include": "id", "page_size": 1}
    asked = {"project": project, "query": json.dumps(query), **options}
    return int(request(client, "GET", "api/tasks/", params=asked)["total"])


def _task_row(task: dict[str, Any]) -> TaskRow:
    people = tuple(int(person) for person in task.get("annotators") or [])
    counted = (task.get("total_annotations") or 0) + (task.get("cancelled_annotations") or 0)
    return TaskRow(
        int(task["id"]),
        dict(task.get("data") or {}),
        bool(people or counted),
        people,
        int(task.get("overlap") or 1),
        str(task.get("updated_at") or ""),
    )


def _key_filter(key_contains: str | None) -> list[dict[str, Any]]:
    if key_contains is None:
        return []
    name = "filter:tasks:data.fewclicks_key"
    return [{"filter": name, "operator": "contains", "type": "String", "value": key_contains}]


def _listing(
    client: Any, project: int, page: int, options: dict[str, str], filters: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Tasks by keyset (id greater than the last): page numbers would skip some when others are deleted meanwhile."""
    from label_studio_sdk.core.api_error import ApiError

    last = 0
    while True:
        beyond = {"filter": "filter:tasks:id", "operator": "greater", "type": "Number", "value": last}
        query = {"filters": {"conjunction": "and", "items": [beyond, *filters]}, "ordering": ["tasks:id"]}
        asked = {"project": project, "page_size": page, "resolve_uri": "false", "query": json.dumps(query)}
        try:
            tasks = request(client, "GET", "api/tasks/", params={**asked, **options})["tasks"]
        except ApiError as error:
            if error.status_code == 404:
                return
            raise
        yield from tasks
        if len(tasks) < page:
            return
        last = int(tasks[-1]["id"])


def request(
    client: Any, method: str, path: str, content: bytes | None = None, params: dict[str, Any] | None = None
) -> Any:
    """One request beside the SDK, with its token; the JSON of the answer. ApiError, as the SDK raises it, from 400 on.

    The SDK copies every body and every answer value by value, which takes longer than the server does where masks are
    in them (lists of ten thousands of numbers).
    """
    from label_studio_sdk.core.api_error import ApiError

    wrapper = client._client_wrapper
    headers = {**wrapper.get_headers(), "Content-Type": "application/json"}
    address = f"{wrapper.get_base_url().rstrip('/')}/{path}"
    http: httpx.Client = wrapper.httpx_client.httpx_client
    answer = http.request(method, address, params=params, content=content, headers=headers)
    if answer.status_code >= 400:
        try:
            body: Any = answer.json()
        except ValueError:
            body = answer.text
        raise ApiError(status_code=answer.status_code, body=body)
    return answer.json() if answer.content else None


def task_or_none(client: Any, task: int) -> dict[str, Any] | None:
    """One task with annotations, drafts and predictions, as the server's own JSON; None if it is gone."""
    from label_studio_sdk.core.api_error import ApiError

    try:
        # addresses in a bucket stay as they are: resolved they would be of this task, and for a browser only
        detail = request(client, "GET", f"api/tasks/{task}/", params={"resolve_uri": "false"})
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
