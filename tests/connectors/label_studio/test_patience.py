"""Which requests are tried again, how often, and how long it waits."""

from __future__ import annotations

import time
from email.utils import formatdate

import httpx
import pytest

from connectors.label_studio.patience import LONGEST_PAUSE_S, PAUSES_S, PatientClient, retry_after_s


def client(
    answers: list[httpx.Response], monkeypatch: pytest.MonkeyPatch
) -> tuple[PatientClient, list[str], list[float]]:
    """A client of a server that gives these answers in turn; what it was asked; how long the client slept."""
    asked: list[str] = []
    pauses: list[float] = []

    def serve(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.content.decode()}".strip())
        return answers[min(len(asked), len(answers)) - 1]

    monkeypatch.setattr(PatientClient, "sleep", pauses.append)
    return PatientClient(transport=httpx.MockTransport(serve), base_url="http://x"), asked, pauses


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_read_waits_for_a_busy_server_with_pauses_that_double(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    http, asked, pauses = client([httpx.Response(status), httpx.Response(status), httpx.Response(200)], monkeypatch)
    assert http.get("/").status_code == 200
    assert asked == ["GET"] * 3
    for pause, nominal in zip(pauses, PAUSES_S, strict=False):
        assert 0.8 * nominal <= pause <= 1.2 * nominal


def test_a_write_is_repeated_only_if_it_was_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    http, asked, _ = client([httpx.Response(429), httpx.Response(201)], monkeypatch)
    assert http.post("/", content=b"body").status_code == 201
    assert asked == ["POST body"] * 2  # whole, both times
    for status in (500, 502, 503, 504):
        http, asked, _ = client([httpx.Response(status)], monkeypatch)
        assert http.post("/", content=b"body").status_code == status
        assert len(asked) == 1


def test_what_is_no_trouble_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    for status in (200, 204, 400, 401, 404, 500):
        http, asked, pauses = client([httpx.Response(status)], monkeypatch)
        assert http.get("/").status_code == status
        assert (len(asked), pauses) == (1, [])


def test_it_gives_up_and_shows_the_last_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    http, asked, pauses = client([httpx.Response(503)], monkeypatch)
    assert http.get("/").status_code == 503
    assert len(asked) == len(PAUSES_S) + 1
    assert sum(pauses) < 10


def test_the_servers_wish_is_obeyed_within_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    wishes = ["3", "9999", "0", "nonsense"]
    answers = [httpx.Response(429, headers={"Retry-After": wish}) for wish in wishes]
    http, _, pauses = client([*answers, httpx.Response(200)], monkeypatch)
    assert http.get("/").status_code == 200
    assert pauses[:3] == [3, LONGEST_PAUSE_S, 0]
    assert 0.8 * PAUSES_S[3] <= pauses[3] <= 1.2 * PAUSES_S[3]


def test_a_date_to_wait_for() -> None:
    assert retry_after_s(formatdate(time.time() + 60, usegmt=True)) == pytest.approx(60, abs=2)
    assert retry_after_s(formatdate(time.time() - 60, usegmt=True)) == 0
    assert retry_after_s(None) is None
