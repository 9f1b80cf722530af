"""The alarm wakes for what is new and carries the secret, and for nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.label_studio.webhook import HEADER, Alarm, stored_secret
from workspace.errors import UserError

SECRET = "only-the-server-knows"


def call(annotation: int = 1, updated_at: str = "2026-01-02T03:04:05Z", action: str = "ANNOTATION_CREATED") -> Any:
    return {"action": action, "annotation": {"id": annotation, "updated_at": updated_at, "result": []}}


@pytest.fixture
def alarm() -> Iterator[Alarm]:
    with Alarm("http://127.0.0.1:0", SECRET) as alarm:
        yield alarm


def post(alarm: Alarm, body: Any, secret: str | None = SECRET) -> int:
    headers = {} if secret is None else {HEADER: secret}
    return httpx.post(
        f"http://127.0.0.1:{alarm.port}/", json=body, headers=headers, trust_env=False, timeout=120
    ).status_code


def test_a_call_wakes_whoever_waits_at_once(alarm: Alarm) -> None:
    threading.Timer(0.2, post, (alarm, call())).start()
    began = time.monotonic()
    assert alarm.wait(20)
    assert time.monotonic() - began < 5


def test_a_call_while_nobody_waits_is_not_lost_and_wakes_once(alarm: Alarm) -> None:
    assert post(alarm, call()) == 204
    assert alarm.wait(0)
    assert not alarm.wait(0.05)


@pytest.mark.parametrize("secret", [None, "", "wrong", SECRET[:-1], SECRET + "x", "é"])
def test_a_forged_call_does_nothing(alarm: Alarm, secret: str | None) -> None:
    headers = {} if secret is None else {HEADER: secret.encode()}
    answer = httpx.post(f"http://127.0.0.1:{alarm.port}/", json=call(), headers=headers, trust_env=False, timeout=120)
    assert answer.status_code == 403
    assert SECRET not in answer.text
    assert not alarm.wait(0.05)


def test_a_repeated_call_does_nothing_and_a_changed_annotation_is_new(alarm: Alarm) -> None:
    for _ in range(3):
        assert post(alarm, call()) == 204
    assert alarm.wait(0)
    assert post(alarm, call()) == 204
    assert not alarm.wait(0.05)
    for other in (call(2), call(updated_at="2026-01-02T03:04:06Z"), call(action="ANNOTATION_UPDATED")):
        post(alarm, other)
        assert alarm.wait(0)


@pytest.mark.parametrize("body", [b"", b"nonsense", b"\xff"])
def test_what_is_no_json_is_refused(alarm: Alarm, body: bytes) -> None:
    address = f"http://127.0.0.1:{alarm.port}/"
    assert httpx.post(address, content=body, headers={HEADER: SECRET}, trust_env=False, timeout=120).status_code == 400
    assert not alarm.wait(0.05)


def test_json_that_is_no_call_is_harmless(alarm: Alarm) -> None:
    for body in ([], 3, "text", {"annotation": "x"}, {"annotations": [1, {"id": {}}]}):
        assert post(alarm, body) == 204


def test_the_secret_is_made_once_and_private(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "secret"
    secret = stored_secret(file, "FEWCLICKS_WEBHOOK_SECRET")
    assert len(secret) == 64
    assert stored_secret(file, "FEWCLICKS_WEBHOOK_SECRET") == secret
    assert file.stat().st_mode & 0o077 == 0


def test_machines_share_a_secret_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEWCLICKS_WEBHOOK_SECRET", "the same on all of them\n")
    assert stored_secret(tmp_path / "secret", "FEWCLICKS_WEBHOOK_SECRET") == "the same on all of them"
    assert not (tmp_path / "secret").exists()
    monkeypatch.setenv("FEWCLICKS_WEBHOOK_SECRET", "short")
    with pytest.raises(UserError, match="FEWCLICKS_WEBHOOK_SECRET has 5 characters"):
        stored_secret(tmp_path / "secret", "FEWCLICKS_WEBHOOK_SECRET")


@pytest.mark.parametrize("address", ["https://x:1", "127.0.0.1:80", "http://host", "http://host:port", ""])
def test_an_address_that_cannot_be_listened_on_says_so(address: str) -> None:
    with pytest.raises(UserError, match=r"label_studio\.webhook"):
        Alarm(address, SECRET)


def test_a_taken_port_says_so(alarm: Alarm) -> None:
    with pytest.raises(UserError, match="cannot be listened on"):
        Alarm(f"http://127.0.0.1:{alarm.port}", SECRET)
