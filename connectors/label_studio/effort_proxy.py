"""A small reverse proxy in front of Label Studio that has browsers count clicks and active seconds.

It adds one script to each page and takes one header off each annotation; everything else passes as it is. Label Studio
sees the address that the browser asked for, so its logins and its protection against forged requests work unchanged.
"""

from __future__ import annotations

import http.client
import json
import logging
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from connectors.label_studio.effort import HEADER, parse_effort, record_effort
from workspace.errors import UserError

log = logging.getLogger(__name__)

SCRIPT_PATH = "/fewclicks-effort.js"
TIMEOUT_S = 120.0
_SUBMISSION = re.compile(r"/api/(tasks/\d+/annotations|annotations/\d+)/?")
_OF_THE_CONNECTION = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)  # RFC 9110, 7.6.1: not passed on
_OWN = frozenset({HEADER.lower(), "accept-encoding", "content-length"})
_PIECE = 1 << 16


class EffortProxy:
    """Serves `upstream` (http) on 127.0.0.1:`port` (0: a free one) and records efforts in `effort_file`."""

    def __init__(self, upstream: str, effort_file: Path, port: int = 0) -> None:
        parts = urlsplit(upstream)
        if parts.scheme != "http" or not parts.hostname:
            raise UserError(f"Clicks cannot be counted in front of {upstream}.", "It must be an http:// address.")
        script = Path(__file__).with_name("effort.js").read_bytes()
        handler = type(
            "Handler",
            (_Handler,),
            {
                "upstream": (parts.hostname, parts.port or 80),
                "effort_file": effort_file,
                "script": script,
            },
        )
        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        except OSError as error:
            raise UserError(
                f"Port {port} on 127.0.0.1 cannot be used ({error.strerror}).", "Choose another with --port."
            ) from None
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="effort proxy", daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = TIMEOUT_S
    upstream: tuple[str, int]
    effort_file: Path
    script: bytes

    def _pass(self) -> None:
        if self.path == SCRIPT_PATH:
            self._answer(200, [("Content-Type", "text/javascript; charset=utf-8")], self.script)
            return
        length = self.headers.get("Content-Length") or "0"
        if self.headers.get("Transfer-Encoding") or not length.isdecimal():
            self.close_connection = True
            self._answer(411, [("Content-Type", "text/plain")], b"The length of the request must be known.")
            return
        body = self.rfile.read(int(length))
        connection = http.client.HTTPConnection(*self.upstream, timeout=TIMEOUT_S)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _OF_THE_CONNECTION | _OWN:
                    connection.putheader(name, value)
            connection.putheader("Accept-Encoding", "identity")  # a page that is packed could not be added to
            connection.putheader("Connection", "close")
            if body or self.command in ("POST", "PUT", "PATCH"):
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None)
            response = connection.getresponse()
        except (OSError, http.client.HTTPException, ValueError) as error:
            connection.close()
            log.warning("Label Studio does not answer the proxy: %s", error)
            self._answer(502, [("Content-Type", "text/plain")], b"Label Studio does not answer. Try again in a minute.")
            return
        try:
            self._forward(response)
        finally:
            connection.close()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _pass  # noqa: N815

    def _forward(self, response: http.client.HTTPResponse) -> None:
        headers = [
            (name, value)
            for name, value in response.getheaders()
            if name.lower() not in _OF_THE_CONNECTION | {"content-length"}
        ]
        length = response.getheader("Content-Length")
        page = (response.getheader("Content-Type") or "").startswith("text/html")
        submission = self.command in ("POST", "PATCH") and _SUBMISSION.fullmatch(urlsplit(self.path).path)
        if self.command == "HEAD":
            self._answer(response.status, headers + [("Content-Length", length)] * bool(length), None)
        elif page:
            self._answer(response.status, headers, with_script(response.read()))
        elif submission:
            body = response.read()
            if response.status in (200, 201):
                self._record(body)  # before the browser knows, so that whoever pulls the answer finds its effort
            self._answer(response.status, headers, body)
        else:
            self._stream(response, headers, length)

    def _record(self, body: bytes) -> None:
        effort = parse_effort(self.headers.get(HEADER))
        if effort is None:
            return
        try:
            record_effort(self.effort_file, effort, json.loads(body))
        except (OSError, ValueError, TypeError, KeyError) as error:
            log.warning("An effort could not be recorded: %s", error)

    def _stream(self, response: http.client.HTTPResponse, headers: list[tuple[str, str]], length: str | None) -> None:
        self.send_response_only(response.status, response.reason)
        for name, value in headers:
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", length)
        elif response.status not in (204, 304):
            self.send_header("Connection", "close")  # its end is the end of the connection
            self.close_connection = True
        self.end_headers()
        while piece := response.read(_PIECE):
            self.wfile.write(piece)

    def _answer(self, status: int, headers: list[tuple[str, Any]], body: bytes | None) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if body is not None:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if body and self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Addresses may hold tokens: nothing is logged per request."""


def with_script(page: bytes) -> bytes:
    """The page with our script first in its head, so that it is there before Label Studio's own."""
    tag = f'<script src="{SCRIPT_PATH}"></script>'.encode()
    head = re.search(rb"<head[^>]*>", page, re.IGNORECASE)
    return page if head is None else page[: head.end()] + tag + page[head.end() :]
