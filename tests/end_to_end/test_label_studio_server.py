"""The server that `fewclicks serve` runs: real processes, real ports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from connectors.label_studio.server import LabelStudioServer, running_server, server_environment, stored_credentials
from workspace.errors import UserError

ROOT = Path(__file__).parents[2]
real = [pytest.mark.label_studio, pytest.mark.slow, pytest.mark.xdist_group("label_studio")]
Start = Callable[[Path], LabelStudioServer]


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return path


def stays_alive(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.parametrize("_", [pytest.param(0, marks=real)])
def test_it_serves_its_workspace_alone_and_stops(
    _: int, tmp_path: Path, start_label_studio: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("USERNAME", "PASSWORD", "HOST", "PORT", "DEBUG", "CI", "LABEL_STUDIO_HOST", "LABEL_STUDIO_USERNAME"):
        monkeypatch.setenv(name, "stray")
    with start_label_studio(tmp_path) as server:
        running = running_server(tmp_path)
        assert running is not None
        assert (running.url, running.token) == (server.url, server.token)
        assert server.token not in repr(running)
        assert server.password not in repr(running)
        who = httpx.get(
            f"{running.url}/api/current-user/whoami", headers={"Authorization": f"Token {running.token}"}, timeout=120
        )
        assert who.json()["email"] == server.email
        bound = {c.laddr.ip for p in _family(running.pid) for c in p.net_connections() if c.status == "LISTEN"}
        assert bound == {"127.0.0.1"}
        secret = [server.data_dir / name for name in ("credentials.json", "server.json", "server.log")]
        assert [path.stat().st_mode & 0o777 for path in secret] == [0o600] * 3
        assert server.data_dir.stat().st_mode & 0o777 == 0o700
        with pytest.raises(UserError, match=f"already runs at {server.url}"):
            LabelStudioServer(tmp_path, binary=Path("unused")).start()
        other = tmp_path / "other"
        other.mkdir()
        with pytest.raises(UserError, match=rf"Port {server.port} .*cannot be used.*--port"):
            LabelStudioServer(other, port=server.port, binary=Path("unused")).start()
        processes = _family(running.pid)
        assert len(processes) >= 2
    assert running_server(tmp_path) is None
    assert not any(stays_alive(p.pid, 0.2) for p in processes)
    server.stop()  # again is harmless


OWNER = """
import sys, time
from pathlib import Path
from connectors.label_studio.server import LabelStudioServer
server = LabelStudioServer(Path(sys.argv[1]), binary=Path(sys.argv[2]))
server.start()
print(server.url, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("_", [pytest.param(0, marks=real)])
def test_it_does_not_outlive_a_killed_owner_and_starts_again(
    _: int, tmp_path: Path, start_label_studio: Start, label_studio_binary: Path
) -> None:
    login = start_label_studio(tmp_path)
    token = login.token
    command = [sys.executable, "-c", OWNER, str(tmp_path), str(label_studio_binary)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline().startswith("http://127.0.0.1:")
        running = running_server(tmp_path)
        assert running is not None
        processes = _family(running.pid)
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        assert running_server(tmp_path) is None
        # at once, while the old one is still being stopped
        with LabelStudioServer(tmp_path, binary=label_studio_binary) as again:
            assert not any(stays_alive(p.pid, 0.2) for p in processes)
            assert again.token == token


def test_a_program_that_fails_is_reported_with_its_last_words(tmp_path: Path) -> None:
    broken = program(tmp_path / "label-studio", "echo starting; echo no such table >&2; exit 3")
    server = LabelStudioServer(tmp_path, binary=broken)
    with pytest.raises(UserError, match=r"did not start: starting / no such table.*server\.log"):
        server.start()
    assert running_server(tmp_path) is None
    with pytest.raises(UserError, match="did not start"):  # and not "already runs"
        server.start()


def test_a_server_that_does_not_know_our_login_is_refused(tmp_path: Path) -> None:
    serve = "import http.server as s, sys; s.test(s.SimpleHTTPRequestHandler, port=int(sys.argv[1]), bind='127.0.0.1')"
    place = 'mkdir -p "$HOME"; cd "$HOME"; touch health'  # a folder with a page called health
    impostor = program(tmp_path / "label-studio", f'{place}; exec {sys.executable} -I -c "{serve}" "$6"')
    with pytest.raises(UserError, match="does not know its own login"):
        LabelStudioServer(tmp_path, binary=impostor).start()
    assert running_server(tmp_path) is None


def test_the_keeper_stops_a_program_that_ignores_the_polite_signal(tmp_path: Path) -> None:
    stubborn = program(tmp_path / "stubborn", "trap '' TERM; echo $$; while true; do sleep 0.1; done")
    keeper = ROOT / "connectors" / "label_studio" / "keeper.py"
    hasty = (
        f"import runpy, sys; keep = runpy.run_path({str(keeper)!r})['keep'];"
        f"keep.__globals__['PATIENCE_S'] = 0.3; keep([{str(stubborn)!r}])"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", hasty], stdin=pipe, stdout=pipe, text=True) as kept:
        assert kept.stdout is not None
        assert kept.stdin is not None
        pid = int(kept.stdout.readline())
        assert stays_alive(pid, 0.5)
        kept.stdin.close()
        kept.wait(10)
        assert not stays_alive(pid, 2)


def test_the_login_is_made_once_and_a_broken_one_is_reported(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    made = stored_credentials(folder)
    assert stored_credentials(folder) == made
    assert len(made.token) == 40
    assert made.token not in repr(made)
    (folder / "credentials.json").write_text("{}")
    with pytest.raises(UserError, match="holds no login"):
        stored_credentials(folder)


def test_nothing_leaks_into_the_servers_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USERNAME", "DEBUG", "HTTPS_PROXY", "LABEL_STUDIO_API_KEY", "DJANGO_SETTINGS_MODULE", "PYTHONPATH"):
        monkeypatch.setenv(name, "stray")
    environment = server_environment(tmp_path / "data", tmp_path, stored_credentials(tmp_path / "data"))
    assert "stray" not in environment.values()
    assert environment["COLLECT_ANALYTICS"] == environment["LATEST_VERSION_CHECK"] == "false"


def _family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]
