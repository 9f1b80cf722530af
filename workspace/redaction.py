"""Secrets that this process knows never reach a log, an event or an error message.

Whoever reads a token says so here; from then on it is replaced wherever text leaves us, also in what a server echoes.
"""

from __future__ import annotations

import logging
import os
from typing import Any

REDACTED = "[secret]"
_SHORTEST = 6  # characters; replacing shorter ones would mangle ordinary text
# what others read from the environment, and may repeat when they fail; a password of a few letters may be a word too
_VARIABLES = (
    "LABEL_STUDIO_API_KEY",
    "PGPASSWORD",
    "PREFECT_API_AUTH_STRING",
    "PREFECT_SERVER_API_AUTH_STRING",
    "PREFECT_API_KEY",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "FEWCLICKS_ASSIST_SECRET",
    "FEWCLICKS_DASHBOARD_TOKEN",
    "FEWCLICKS_WEBHOOK_SECRET",
)
_SHORTEST_VARIABLE = 12
_known: set[str] = set()


def keep_secret(value: str) -> str:
    """`value` itself, which `redacted` hides from now on."""
    if len(value) >= _SHORTEST:
        _known.add(value)
    return value


def redacted(text: str) -> str:
    """`text` without any secret known so far; the longest first, as one may be part of another."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, REDACTED)
    return text


def redact_logs() -> None:
    """From now on in every log record of this process, whoever writes or handles it; again it changes nothing.

    The secrets of the environment are among them.
    """
    for value in (os.environ.get(name, "") for name in _VARIABLES):
        if len(value) >= _SHORTEST_VARIABLE:
            keep_secret(value)
    made = logging.getLogRecordFactory()
    if getattr(made, "redacts", False):
        return

    def make(*arguments: Any, **named: Any) -> logging.LogRecord:
        record = made(*arguments, **named)
        if _known:
            record.msg, record.args = redacted(record.getMessage()), None
            if record.exc_info and record.exc_info[1] is not None:
                # formatters take a text that is there already instead of formatting the exception themselves
                record.exc_text = redacted(logging.Formatter().formatException(record.exc_info))
        return record

    make.redacts = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(make)
