"""One real PostgreSQL server for a whole test session, in a folder of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

_USER = "postgres" if os.geteuid() == 0 else getpass.getuser()  # the server refuses to run as root


def postgres_programs() -> Path | None:
    """The folder of initdb and postgres, the newest version there is."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    program = found[-1] if found else shutil.which("initdb")
    return None if program is None else Path(program).resolve().parent


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Its address as facts.database takes it; skipped, or failed with FEWCLICKS_REQUIRE_REAL=1, where there is none."""
    programs = postgres_programs()
    if programs is None:
        reason = "PostgreSQL is not installed (apt-get install postgresql)"
        if os.environ.get("CI") or os.environ.get("FEWCLICKS_REQUIRE_REAL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="fewclicks-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, _USER)
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    user = {"user": _USER} if os.geteuid() == 0 else {}
    made = [str(programs / "initdb"), "-D", str(folder / "data"), "-A", "trust", "-U", "fewclicks", "-E", "UTF8"]
    subprocess.run([*made, "--no-sync"], cwd=folder, check=True, stdout=subprocess.DEVNULL, **user)
    quick = [
        word
        for setting in ("fsync=off", f"port={port}", f"unix_socket_directories={folder}")
        for word in ("-c", setting)
    ]
    start = [str(programs / "postgres"), "-D", str(folder / "data"), "-c", "listen_addresses=127.0.0.1", *quick]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(start, cwd=folder, stdout=log, stderr=log, **user)
    try:
        ready = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
        deadline = time.monotonic() + 120
        while subprocess.run(ready, check=False).returncode != 0:
            assert server.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.2)
        yield f"postgresql://fewclicks@127.0.0.1:{port}/postgres"
    finally:
        server.terminate()
        server.wait(60)
        shutil.rmtree(folder, ignore_errors=True)
