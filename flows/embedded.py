"""Prefect without a server started by hand: its settings for one process, and what a killed run left behind."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import psutil

OFFLINE = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}
EMBEDDED = {
    "PREFECT_SERVER_EPHEMERAL_ENABLED": "true",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",  # the default of 20 is too short on a busy machine
    "PREFECT_LOGGING_LEVEL": "CRITICAL",  # it would print a traceback for what we tell in one line
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
}


def use_embedded(home: Path) -> None:
    """Set Prefect up inside this process; call it before anything imports Prefect.

    A `PREFECT_API_URL` that the user has set is respected: then the runs show up on that server.
    """
    home.mkdir(parents=True, exist_ok=True)
    settings = OFFLINE | (EMBEDDED if "PREFECT_API_URL" not in os.environ else {}) | {"PREFECT_HOME": str(home)}
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    reap_orphans(Path(os.environ["PREFECT_HOME"]))


def reap_orphans(home: Path) -> int:
    """End embedded servers of this home whose run was killed with -9; returns how many there were."""
    orphans = [process for process in psutil.process_iter() if _is_orphan(process, home)]
    for process in orphans:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(orphans, timeout=5)
    return len(orphans)


def _is_orphan(process: psutil.Process, home: Path) -> bool:
    """A server of this home whose parent is no Python program: an orphan is handed to init or to a supervisor."""
    try:
        command = " ".join(process.cmdline())
        if "uvicorn" not in command or "prefect.server.api.server" not in command:
            return False
        parent = process.parent()
        alone = parent is None or parent.pid == 1 or "python" not in parent.name().lower()
        return alone and process.environ().get("PREFECT_HOME") == str(home)
    except psutil.Error:
        return False
