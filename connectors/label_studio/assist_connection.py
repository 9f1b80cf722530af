"""Label Studio told of the server that helps annotators, and told again when it has gone."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from connectors.label_studio.client import error_detail, request
from connectors.label_studio.project import load_record, save_record

log = logging.getLogger(__name__)

_TITLE = "fewclicks assist"


@dataclass(frozen=True, slots=True)
class AssistAddress:
    """url: as Label Studio reaches the help server;  user, password: of its HTTP Basic."""

    url: str
    user: str
    password: str = field(repr=False)


def connect_assist(
    client: Any, project: int, record_file: Path, wanted: AssistAddress | None, before_write: Callable[[], None]
) -> bool:
    """Connect the project to the help server, or disconnect it from one of before; repeated it changes nothing.

    record_file: the project's record, which remembers the address
    Help must never be in the way: a server that does not answer is logged, and tried again at the next push. Returns
    whether Label Studio and the record agree with `wanted` now.
    """
    from label_studio_sdk.core.api_error import ApiError

    record = load_record(record_file)
    if record is None or (wanted is None and not record.assist):
        return record is not None
    try:
        before = [record.assist] if record.assist and (wanted is None or record.assist != wanted.url) else []
        for address in before:
            _disconnect(client, project, address, before_write)
        if wanted is not None:
            _connect(client, project, wanted, before_write)
    except ApiError as error:
        where = record.assist if wanted is None else wanted.url
        log.warning(
            "Label Studio could not be connected with the help server at %s (%s): people paint without it. Start it "
            "with `fewclicks assist DIR`, or set assist.url to null.",
            where,
            error_detail(error.body),
        )
        return False
    save_record(record_file, replace(load_record(record_file) or record, assist="" if wanted is None else wanted.url))
    return True


def _connect(client: Any, project: int, wanted: AssistAddress, before_write: Callable[[], None]) -> None:
    backends = _backends(client, project, wanted.url)
    if not backends:
        before_write()
        client.ml.create(
            project=project,
            url=wanted.url,
            title=_TITLE,
            is_interactive=True,
            auth_method="BASIC_AUTH",
            basic_auth_user=wanted.user,
            basic_auth_pass=wanted.password,
        )
    for surplus in backends[1:]:
        before_write()
        client.ml.delete(surplus.id)
    _guard_webhook(client, project, wanted, before_write)


def _guard_webhook(client: Any, project: int, wanted: AssistAddress, before_write: Callable[[], None]) -> None:
    """The webhook that Label Studio makes by itself with a backend has no password: it gets ours."""
    login = base64.b64encode(f"{wanted.user}:{wanted.password}".encode()).decode()
    headers = {"Authorization": f"Basic {login}"}
    for hook in _webhooks(client, project, wanted.url):
        if hook.get("headers") != headers:
            before_write()
            request(client, "PATCH", f"api/webhooks/{hook['id']}/", json.dumps({"headers": headers}).encode())


def _disconnect(client: Any, project: int, address: str, before_write: Callable[[], None]) -> None:
    """The backend, and the webhook that it leaves."""
    for backend in _backends(client, project, address):
        before_write()
        client.ml.delete(backend.id)
    for hook in _webhooks(client, project, address):
        before_write()
        request(client, "DELETE", f"api/webhooks/{hook['id']}/")


def _backends(client: Any, project: int, address: str) -> list[Any]:
    found = client.ml.list(project=project)
    return sorted((b for b in found if str(b.url).rstrip("/") == address.rstrip("/")), key=lambda b: int(b.id))


def _webhooks(client: Any, project: int, address: str) -> list[dict[str, Any]]:
    hooks = request(client, "GET", "api/webhooks/", params={"project": project}) or []
    return [hook for hook in hooks if str(hook.get("url")).rstrip("/") == f"{address.rstrip('/')}/webhook"]
