"""`fewclicks serve` as a person uses it: starts, says where to log in, stops on Ctrl-C, leaves nothing running."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from connectors.label_studio.effort_proxy import SCRIPT_PATH
from connectors.label_studio.server import LabelStudioServer, running_server
from flows.projects import create_project
from flows.tools import label_studio_tool

pytestmark = [pytest.mark.label_studio, pytest.mark.slow, pytest.mark.xdist_group("label_studio")]


def test_serve_starts_and_stops(tmp_path: Path, start_label_studio: Callable[[Path], LabelStudioServer]) -> None:
    root = tmp_path / "street"
    program = [sys.executable, "-m", "fewclicks"]
    subprocess.run([*program, "init", str(root), "--class", "road"], check=True)
    start_label_studio(root)  # copies a ready database; `serve` itself would make it in half a minute
    log = tmp_path / "serve.log"
    with log.open("wb") as out:
        process = subprocess.Popen([*program, "serve", str(root), "--port", "0"], stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 120
        while (found := re.search(r"Label Studio: (http://127\.0\.0\.1:\d+)", log.read_text())) is None:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.3)
        address = found[1]
        assert httpx.get(f"{address}/health", timeout=120).json()["status"] == "UP"
        state = root / ".label-studio" / "server.json"
        assert state.stat().st_mode & 0o777 == 0o600
        text = log.read_text()
        assert "Login:" in text
        assert "readable by you alone" in text  # the password itself is for terminals, not for logs
        doctor = subprocess.run(
            [*program, "doctor", str(root)],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"COLUMNS": "250"},
        )
        assert address in doctor.stdout
        family = psutil.Process(process.pid).children(recursive=True)
        second = subprocess.run([*program, "serve", str(root)], capture_output=True, text=True, check=False)
        assert second.returncode == 2
        assert len(second.stderr.strip().splitlines()) == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert "has stopped" in log.read_text()
        assert not [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"{address}/health", timeout=2)
    finally:
        process.kill()
        process.wait()


def test_serve_counts_clicks_only_where_it_is_told_to(
    tmp_path: Path, start_label_studio: Callable[[Path], LabelStudioServer]
) -> None:
    root = tmp_path / "street"
    program = [sys.executable, "-m", "fewclicks"]
    layout = create_project(root, "street", ["road"], None)
    settings = layout.config_file.read_text()
    assert "count_clicks: false" in settings
    layout.config_file.write_text(settings.replace("count_clicks: false", "count_clicks: true"))
    start_label_studio(root)
    log = tmp_path / "serve.log"
    with log.open("wb") as out:
        process = subprocess.Popen([*program, "serve", str(root), "--port", "0"], stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 120
        while (found := re.search(r"Label Studio: (http://127\.0\.0\.1:\d+)", log.read_text())) is None:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.3)
        assert "are counted" in log.read_text()
        server = running_server(root)
        assert server is not None
        assert server.people_url == found[1] != server.url
        assert SCRIPT_PATH in httpx.get(f"{found[1]}/user/login/", timeout=120).text
        assert SCRIPT_PATH not in httpx.get(f"{server.url}/user/login/", timeout=120).text
        tool = label_studio_tool(layout, layout.config())
        assert tool.link([]) == found[1]  # people are led through the proxy
        assert tool.url == server.url  # we are not
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
