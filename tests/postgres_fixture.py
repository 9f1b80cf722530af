"""Real PostgreSQL servers, each in a folder of its own: one for a whole test session, and some to be killed."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest

_USER = "postgres" if os.geteuid() == 0 else getpass.getuser()  # the server refuses to run as root


def postgres_programs() -> Path | None:
    """The folder of initdb and postgres, the newest version there is."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    program = found[-1] if found else shutil.which("initdb")
    return None if program is None else Path(program).resolve().parent


class PostgresServer:
    """A server in a folder of its own. `address`: as facts.database takes it."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._folder = Path(tempfile.mkdtemp(prefix="fewclicks-pg-"))
        if os.geteuid() == 0:
            shutil.chown(self._folder, _USER)
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._user = {"user": _USER} if os.geteuid() == 0 else {}
        made = [str(programs / "initdb"), "-D", str(self._folder / "data"), "-A", "trust", "-U", "fewclicks"]
        subprocess.run(
            [*made, "-E", "UTF8", "--no-sync"], cwd=self._folder, check=True, stdout=subprocess.DEVNULL, **self._user
        )
        self.address = f"postgresql://fewclicks@127.0.0.1:{self._port}/postgres"
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers; one that was killed recovers first."""
        quick = [
            word
            for setting in ("fsync=off", f"port={self._port}", f"unix_socket_directories={self._folder}")
            for word in ("-c", setting)
        ]
        start = [str(self._programs / "postgres"), "-D", str(self._folder / "data"), "-c", "listen_addresses=127.0.0.1"]
        log_file = self._folder / "log"
        with log_file.open("ab") as log:
            self._server = subprocess.Popen(
                [*start, *quick], cwd=self._folder, stdout=log, stderr=log, start_new_session=True, **self._user
            )
        ready = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self._port)]
        deadline = time.monotonic() + 120
        while subprocess.run(ready, check=False).returncode != 0:
            assert self._server.poll() is None, log_file.read_text()
            assert time.monotonic() < deadline, log_file.read_text()
            time.sleep(0.2)

    def kill(self) -> None:
        """With -9, it and all its processes: no goodbye to anybody, nothing flushed."""
        assert self._server is not None
        children = psutil.Process(self._server.pid).children(recursive=True)
        for process in (self._server, *children):
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                process.kill()
        self._server.wait()
        psutil.wait_procs(children, timeout=30)

    def stop(self) -> None:
        if self._server is not None:
            self._server.terminate()
            self._server.wait(60)
        shutil.rmtree(self._folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(postgres_here: Path) -> Iterator[str]:
    """Its address as facts.database takes it; skipped, or failed with FEWCLICKS_REQUIRE_REAL=1, where there is none."""
    server = PostgresServer(postgres_here)
    try:
        server.start()
        yield server.address
    finally:
        server.stop()


@pytest.fixture
def own_postgres(postgres_here: Path) -> Iterator[PostgresServer]:
    """One that a test may kill."""
    server = PostgresServer(postgres_here)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def postgres_here() -> Path:
    """The folder of its programs."""
    programs = postgres_programs()
    if programs is None:
        reason = "PostgreSQL is not installed (apt-get install postgresql)"
        if os.environ.get("CI") or os.environ.get("FEWCLICKS_REQUIRE_REAL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return programs
