"""A scheduled deployment on a real Prefect server with a real worker: a scheduled run fires and advances a video."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest

from connectors.label_studio.server import LabelStudioServer
from workspace.facts import Facts
from workspace.files import write_image
from workspace.layout import Layout
from workspace.states import State

pytestmark = [pytest.mark.label_studio, pytest.mark.slow, pytest.mark.xdist_group("label_studio")]
PREFECT = Path(sys.executable).with_name("prefect")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "LABEL_STUDIO_API"))}
    return kept | {
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "OMP_NUM_THREADS": "1",
    }


def stop(process: subprocess.Popen[bytes]) -> None:
    """The process and everything it started."""
    try:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    process.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=10)
    for survivor in alive:
        survivor.kill()
    psutil.wait_procs(alive, timeout=5)
    process.wait()


@pytest.fixture
def prefect_server(environment: dict[str, str], tmp_path: Path) -> Iterator[str]:
    address = environment["PREFECT_API_URL"]
    port = address.split(":")[2].split("/")[0]
    with (tmp_path / "server.log").open("wb") as log:
        command = [str(PREFECT), "server", "start", "--host", "127.0.0.1", "--port", port]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            for _ in range(180):
                try:
                    if httpx.get(f"{address}/health", timeout=2).status_code == 200:
                        break
                except httpx.HTTPError:
                    time.sleep(0.5)
            else:
                pytest.fail((tmp_path / "server.log").read_text()[-2000:])
            yield address
        finally:
            stop(process)


@pytest.mark.timeout(1200)
def test_a_scheduled_run_fires_and_advances_a_video(
    tmp_path: Path,
    environment: dict[str, str],
    prefect_server: str,
    start_label_studio: Callable[[Path], LabelStudioServer],
) -> None:
    layout = Layout(tmp_path / "project")
    program = [sys.executable, "-m", "fewclicks"]
    for index in range(4):
        write_image(tmp_path / "clip" / f"{index}.png", np.full((48, 64, 3), 40 * index, np.uint8))
    subprocess.run([*program, "init", str(layout.root), "--class", "a"], env=environment, check=True)
    layout.config_file.write_text(
        layout.config_file.read_text()
        .replace("name: mobilenet_v2", "name: compact")
        .replace("weights: DEFAULT", "weights: null")
    )
    subprocess.run([*program, "add", str(layout.root), str(tmp_path / "clip")], env=environment, check=True)
    deploy = [*program, "deploy", str(layout.root), "--pool", "test"]
    refused = subprocess.run([*deploy, "--cron", "often"], env=environment, capture_output=True, text=True, check=False)
    assert (refused.returncode, "'often' is not a cron schedule" in refused.stderr) == (2, True)
    for _ in range(2):  # deploying again replaces, it does not double
        done = subprocess.run(
            [*deploy, "--cron", "* * * * *"], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    deployments = httpx.post(f"{prefect_server}/deployments/filter", json={}, timeout=30).json()
    assert len(deployments) == 1
    assert len(deployments[0]["schedules"]) == 1

    with start_label_studio(layout.root), (tmp_path / "worker.log").open("wb") as log:
        command = [str(PREFECT), "worker", "start", "--pool", "test", "--type", "process"]
        worker = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            facts = Facts.open(layout.database_file)
            deadline = time.monotonic() + 240
            while facts.videos()[0].state is not State.WAITING:
                assert time.monotonic() < deadline, (tmp_path / "worker.log").read_text()[-3000:]
                time.sleep(1)
            pushed = list(facts.events(kind="pushed"))
            assert [event.payload["new"] for event in pushed] == [4]
            facts.close()
        finally:
            stop(worker)
    runs = httpx.post(f"{prefect_server}/flow_runs/filter", json={}, timeout=30).json()
    assert any(run["auto_scheduled"] and run["start_time"] for run in runs)
