"""The proxy and its records, against a small server that shows what arrived."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.label_studio.effort import HEADER, Efforts, parse_effort, record_effort
from connectors.label_studio.effort_proxy import SCRIPT_PATH, EffortProxy, with_script
from connectors.labeling_tool import Effort
from workspace.errors import UserError

SENT = {"clicks": 21, "keys": 2, "active_ms": 2688.4, "wall_ms": 8968}
COUNTED = Effort(21, 2, 2.688, 8.968)
MADE = {"id": 28, "task": 25, "created_at": "2026-01-02T03:04:05Z"}


class Upstream(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str, dict[str, str], bytes]]

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        if self.path.startswith("/page"):
            self._reply(200, "text/html; charset=utf-8", b"<!doctype html><head lang='x'><title>t</title></head>")
        elif self.path.startswith("/big"):
            self._reply(200, "image/png", bytes(300_000))
        elif "annotations" in self.path:
            self._reply(201 if b"good" in body else 400, "application/json", json.dumps(MADE).encode())
        elif self.path == "/moved":
            self.send_response(302)
            for name, value in (("Location", "/page"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")):
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._reply(404, "text/plain", b"no")

    do_GET = do_POST = do_PATCH = do_HEAD = _serve  # noqa: N815

    def _reply(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def seen() -> list[Any]:
    return []


@pytest.fixture
def through(seen: list[Any], tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of a proxy in front of the small server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Seeing", (Upstream,), {"seen": seen}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    proxy = EffortProxy(f"http://127.0.0.1:{server.server_port}", tmp_path / "deep" / "effort.jsonl").start()
    with httpx.Client(base_url=proxy.url, timeout=120, trust_env=False) as client:
        yield client
    proxy.stop()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_page_gets_the_script_first_and_everything_else_passes_as_it_is(through: httpx.Client, seen: Any) -> None:
    page = through.get("/page?x=1", headers={"Cookie": "a=1"})
    assert page.text.startswith(f"<!doctype html><head lang='x'><script src=\"{SCRIPT_PATH}\"></script><title>")
    assert int(page.headers["Content-Length"]) == len(page.content)
    method, path, headers, _ = seen[0]
    assert (method, path, headers["cookie"]) == ("GET", "/page?x=1", "a=1")
    assert headers["host"] == through.base_url.netloc.decode()  # else Django refuses every form
    assert through.get("/big").content == bytes(300_000)
    moved = through.get("/moved")
    assert (moved.status_code, moved.headers["Location"]) == (302, "/page")
    assert moved.headers.get_list("Set-Cookie") == ["a=1", "b=2"]
    assert through.head("/big").headers["Content-Length"] == "300000"
    assert through.get("/nothing").status_code == 404
    script = through.get(SCRIPT_PATH)
    assert "pointerdown" in script.text
    assert all(path != SCRIPT_PATH for _, path, _, _ in seen)


def test_what_an_accepted_annotation_cost_is_recorded_and_the_header_taken_off(
    through: httpx.Client, seen: Any, tmp_path: Path
) -> None:
    header = {HEADER: json.dumps(SENT)}
    assert through.post("/api/tasks/25/annotations/?project=1", content=b"good", headers=header).json() == MADE
    assert HEADER.lower() not in seen[0][2]
    assert seen[0][3] == b"good"
    file = tmp_path / "deep" / "effort.jsonl"
    assert Efforts(file).of(25, MADE) == COUNTED
    # what Label Studio refused, what is no annotation, and what says nothing is not recorded
    through.post("/api/tasks/25/annotations/", content=b"bad", headers=header)
    through.post("/api/tasks/25/drafts/", content=b"good", headers=header)
    through.post("/api/tasks/25/annotations/", content=b"good", headers={HEADER: '{"clicks": -1}'})
    through.post("/api/tasks/25/annotations/", content=b"good")
    assert len(file.read_text().splitlines()) == 1
    through.patch("/api/annotations/28/", content=b"good, corrected", headers=header)
    assert Efforts(file).of(25, MADE) == Effort(42, 4, 5.376, 17.936)
    assert file.stat().st_mode & 0o077 == 0


def test_without_label_studio_the_proxy_says_so(tmp_path: Path) -> None:
    proxy = EffortProxy("http://127.0.0.1:9", tmp_path / "effort.jsonl").start()
    try:
        answer = httpx.get(proxy.url, timeout=120, trust_env=False)
        assert (answer.status_code, answer.text) == (502, "Label Studio does not answer. Try again in a minute.")
        with pytest.raises(UserError, match=r"Port \d+ on 127\.0\.0\.1 cannot be used"):
            EffortProxy("http://127.0.0.1:9", tmp_path / "x", int(proxy.url.rpartition(":")[2]))
    finally:
        proxy.stop()
    with pytest.raises(UserError, match="in front of ftp://x"):
        EffortProxy("ftp://x", tmp_path / "x")


def test_a_body_of_unknown_length_is_refused(through: httpx.Client, seen: Any) -> None:
    assert through.post("/page", content=iter([b"a", b"b"])).status_code == 411
    assert seen == []


def test_another_annotation_with_the_same_id_is_not_taken_for_it(tmp_path: Path) -> None:
    file = tmp_path / "effort.jsonl"
    record_effort(file, COUNTED, MADE)
    file.write_text(file.read_text() + '{"annotation": 3, "tas')  # cut off
    efforts = Efforts(file)
    assert efforts.of(25, MADE) == COUNTED
    assert efforts.of(25, {**MADE, "created_at": "2026-01-02T04:04:05.000+01:00"}) == COUNTED
    assert efforts.of(26, MADE) is None
    assert efforts.of(25, {**MADE, "created_at": "2027-01-01T00:00:00Z"}) is None
    assert Efforts(None).of(25, MADE) is None
    assert Efforts(tmp_path / "none").of(25, MADE) is None


@pytest.mark.parametrize(
    "header",
    [None, "", "nonsense", "[]", "3", '{"clicks": 1}', json.dumps({**SENT, "keys": "many"}), '{"clicks": NaN}']
    + [json.dumps({**SENT, "clicks": value}) for value in (-1, 1e9, float("nan"), float("inf"), None)],
)
def test_nonsense_is_no_effort(header: str | None) -> None:
    assert parse_effort(header) is None


values = st.recursive(st.none() | st.floats() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c))


@given(st.text() | values.map(json.dumps))
def test_no_header_brings_it_down(header: str) -> None:
    assert parse_effort(header) is None


def test_a_page_without_a_head_stays() -> None:
    assert with_script(b"<p>hello</p>") == b"<p>hello</p>"
