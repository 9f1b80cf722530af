"""Label Studio's webhook as an alarm clock: it wakes the loop, which then looks for itself.

Nothing in a call is believed: at most it says "look now". So a forged call (no secret, 403), a repeated one (the same
annotation in the same version) and a lost one (the server tries once and waits one second) change no result.
"""

from __future__ import annotations

import hmac
import json
import logging
import os
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from connectors.label_studio.client import connected, request
from workspace.errors import UserError
from workspace.files import write_bytes
from workspace.redaction import keep_secret

log = logging.getLogger(__name__)

HEADER = "X-Fewclicks-Secret"
ACTIONS = ("ANNOTATION_CREATED", "ANNOTATIONS_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_DELETED", "TASKS_DELETED")
_MOST_BYTES = 64 * 2**20  # an annotation with its masks
_REMEMBERED = 10_000
_LEAST_SECRET = 16  # characters of one that a person chose


def stored_secret(path: Path, variable: str) -> str:
    """The secret that a call must show: of an environment variable, if that is set, or made once, in a file for this
    user only.

    Machines without a common disk share it by the variable. UserError if that has less than 16 characters.
    """
    given = keep_secret(os.environ.get(variable, "").strip())
    if given:
        if len(given) < _LEAST_SECRET:
            raise UserError(
                f"{variable} has {len(given)} characters.", f"At least {_LEAST_SECRET}: openssl rand -hex 32"
            )
        return given
    if not path.exists():
        write_bytes(path, secrets.token_hex(32).encode(), mode=0o600)
    return keep_secret(path.read_text(encoding="ascii").strip())


def register(url: str, api_key: str, project: int, address: str, secret: str) -> None:
    """Have the server call `address` when annotations change: one webhook per address, with the secret of now."""
    wanted: dict[str, Any] = {
        "project": project,
        "url": address,
        "send_payload": True,
        "send_for_all_actions": False,
        "is_active": True,
        "headers": {HEADER: secret},
        "actions": list(ACTIONS),
    }
    with connected(url, api_key) as client:
        hooks = request(client, "GET", "api/webhooks/", params={"project": project}) or []
        ours = [hook for hook in hooks if hook.get("url") == address]
        body = json.dumps(wanted).encode()
        if not ours:
            request(client, "POST", "api/webhooks/", body)
        elif any(ours[0].get(name) != wanted[name] for name in ("headers", "is_active")):
            request(client, "PATCH", f"api/webhooks/{ours[0]['id']}/", body)
        for surplus in ours[1:]:
            request(client, "DELETE", f"api/webhooks/{surplus['id']}/")


class Alarm:
    """Listens on the port of `address` until stopped; `wait` returns as soon as something new was announced.

    It listens on this machine only where the address names it, else on all of its networks.
    """

    def __init__(self, address: str, secret: str) -> None:
        parts = urlsplit(address)
        try:
            port = parts.port
        except ValueError:
            port = None
        if parts.scheme != "http" or not parts.hostname or port is None:
            raise UserError(f"{address} cannot be listened on.", "Set label_studio.webhook to http://HOST:PORT.")
        self._secret = secret
        self._rang = threading.Event()
        self._lock = threading.Lock()
        self._known: dict[str, None] = {}  # in order of arrival
        local = parts.hostname in ("127.0.0.1", "localhost")
        handler = type("Handler", (_Handler,), {"alarm": self})
        try:
            self._server = ThreadingHTTPServer(("127.0.0.1" if local else "", port), handler)
        except OSError as error:
            raise UserError(
                f"{address} cannot be listened on ({error.strerror}).", "Choose another port in label_studio.webhook."
            ) from None
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="webhook", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait(self, seconds: float) -> bool:
        """Sleep, at most so long; True if woken. Calls that came since the last `wait` wake at once."""
        woken = self._rang.wait(seconds)
        self._rang.clear()
        return woken

    def is_ours(self, secret: str | None) -> bool:
        return hmac.compare_digest((secret or "").encode(), self._secret.encode())

    def announce(self, call: Any) -> bool:
        """Wake whoever waits, unless the same was announced before. Returns whether it was new."""
        name = json.dumps(_identity(call), sort_keys=True, default=str)
        with self._lock:
            if name in self._known:
                return False
            self._known[name] = None
            while len(self._known) > _REMEMBERED:
                del self._known[next(iter(self._known))]
        self._rang.set()
        return True


class _Handler(BaseHTTPRequestHandler):
    alarm: Alarm
    timeout = 10

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length") or "0"
        if not self.alarm.is_ours(self.headers.get(HEADER)):
            log.warning("A call to the webhook without its secret was refused.")
            self._answer(403)
        elif not length.isdecimal() or int(length) > _MOST_BYTES:
            self._answer(413)
        else:
            try:
                call = json.loads(self.rfile.read(int(length)))
            except ValueError:
                self._answer(400)
                return
            self.alarm.announce(call)
            self._answer(204)

    def _answer(self, status: int) -> None:
        self.send_response_only(status)
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Our own log says what matters; headers hold the secret."""


def _identity(call: Any) -> Any:
    """What makes a call this one: the action, and the annotations or tasks in their version."""
    if not isinstance(call, dict):
        return None
    annotations = call.get("annotation") or call.get("annotations") or call.get("tasks")
    rows = annotations if isinstance(annotations, list) else [annotations]
    return [call.get("action"), [(r.get("id"), r.get("updated_at")) for r in rows if isinstance(r, dict)]]
