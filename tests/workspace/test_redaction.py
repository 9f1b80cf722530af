"""A secret that was read once is in no log, no event and no error."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import pytest

from workspace import redaction
from workspace.errors import UserError
from workspace.facts import Facts, NewEvent
from workspace.redaction import keep_secret, redact_logs, redacted

TOKEN = "tok-0123456789abcdef"


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch):
    factory = logging.getLogRecordFactory()
    monkeypatch.setattr(redaction, "_known", set())
    yield
    logging.setLogRecordFactory(factory)


def test_known_secrets_are_hidden_and_nothing_else() -> None:
    assert keep_secret(TOKEN) == TOKEN
    keep_secret(TOKEN + "-longer")
    keep_secret("on")  # too short to be one
    assert redacted(f"a{TOKEN}-longer b{TOKEN} once") == "a[secret] b[secret] once"


def test_every_log_record_of_the_process(caplog: pytest.LogCaptureFixture) -> None:
    redact_logs()
    redact_logs()
    keep_secret(TOKEN)
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    logger = logging.getLogger("somebody.elses")
    logger.addHandler(handler)
    try:
        logger.warning("Authorization: Token %s, %d%%", TOKEN, 5)
        try:
            raise ValueError(f"bad header {TOKEN}")
        except ValueError:
            logger.exception("it said %s", {"token": TOKEN})
    finally:
        logger.removeHandler(handler)
    assert "Token [secret], 5%" in out.getvalue()
    assert "ValueError: bad header [secret]" in out.getvalue()
    assert TOKEN not in out.getvalue() + caplog.text


def test_secrets_of_the_environment_that_others_may_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "fewclicks:0123456789")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "ABCDEFGHIJKLMNOP")
    monkeypatch.setenv("PGPASSWORD", "street")  # too short to be told from the word
    redact_logs()
    assert redacted("fewclicks:0123456789 ABCDEFGHIJKLMNOP street") == "[secret] [secret] street"


def test_errors() -> None:
    keep_secret(TOKEN)
    error = UserError(f"It refuses {TOKEN}.", f"Look at {TOKEN}.")
    assert (str(error), error.args) == ("It refuses [secret]. Look at [secret].", ("It refuses [secret].",))


def test_events(tmp_path: Path) -> None:
    keep_secret(TOKEN)
    with Facts.open(tmp_path / "fewclicks.db") as facts:
        facts.append(None, 0, NewEvent("failed", {"error": f"401 for {TOKEN}", "tokens": [TOKEN]}))
        assert [event.payload for event in facts.events()] == [{"error": "401 for [secret]", "tokens": ["[secret]"]}]
    assert TOKEN.encode() not in (tmp_path / "fewclicks.db").read_bytes()
