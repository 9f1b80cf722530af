"""`fewclicks up` with real parts: a scheduled run fires, a video advances, what dies comes back, no orphan is left."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
import yaml
from PIL import Image

from connectors.label_studio.annotator import LabelStudioAnnotator
from connectors.label_studio.server import LabelStudioServer, running_server
from workspace.config import ClassConfig
from workspace.facts import Facts
from workspace.files import write_image
from workspace.layout import Layout
from workspace.states import Hold, State

pytestmark = [pytest.mark.label_studio, pytest.mark.slow, pytest.mark.xdist_group("label_studio")]


def until(what: Callable[[], object], log: Path, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.5)


def artifact(api: str, key: str) -> Any:
    """What the newest artifact of this key holds; "" if there is none."""
    wanted = {"artifacts": {"key": {"any_": [key]}}}
    try:
        found = httpx.post(f"{api}/artifacts/latest/filter", json=wanted, timeout=60).json()
    except httpx.ConnectError:  # it is being started again
        found = []
    return found[0]["data"] if found else ""


def pressed(page: str, given: dict[str, Any]) -> bool:
    """As on Prefect's page: whether the run is made. A busy server says 503, and one presses again."""
    answer = httpx.post(page, json=given, timeout=60)
    assert answer.status_code in (201, 503), answer.text
    return answer.status_code == 201


@pytest.mark.timeout(900)
def test_up_schedules_restarts_and_leaves_nothing(
    tmp_path: Path, start_label_studio: Callable[[Path], LabelStudioServer]
) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "LABEL_STUDIO_API"))}
    environment = kept | {"OMP_NUM_THREADS": "1", "COLUMNS": "250"}
    layout = Layout(tmp_path / "project")
    program = [sys.executable, "-m", "fewclicks"]
    for index in range(4):
        write_image(tmp_path / "clip" / f"{index}.png", np.full((48, 64, 3), 40 * index, np.uint8))
    subprocess.run([*program, "init", str(layout.root), "--class", "a"], env=environment, check=True)
    values = yaml.safe_load(layout.config_file.read_text())
    values["segmenter"] |= {"name": "compact", "weights": None}
    values["propagation"] |= {"decoder_steps": 2, "tuning_steps": 2}
    values["selection"]["budget"] = 2
    values["stopping"] |= {"rounds": 2, "quality": None}
    layout.config_file.write_text(yaml.safe_dump(values))
    subprocess.run([*program, "add", str(layout.root), str(tmp_path / "clip")], env=environment, check=True)
    start_label_studio(layout.root)  # copies a ready database
    facts = Facts.open(layout.database_file)
    video = facts.videos()[0].video.id
    facts.schedule(video, "* * * * *")  # of its own, the same as the project's
    command = [*program, "up", str(layout.root), "--pool", "test", "--prefect-port", "0", "--label-studio-port", "0"]
    refused = subprocess.run(
        [*command, "--cron", "often"], env=environment, capture_output=True, text=True, check=False
    )
    assert (refused.returncode, "'often' is not a cron schedule" in refused.stderr) == (2, True)

    log, state_file = tmp_path / "up.log", layout.root / ".up" / "stack.json"
    with log.open("wb") as out:
        stack = subprocess.Popen([*command, "--dashboard-port", "0"], env=environment, stdout=out, stderr=out)
    try:
        until(lambda: "Ctrl-C stops everything" in log.read_text() or stack.poll() is not None, log)
        assert stack.poll() is None, log.read_text()
        state = json.loads(state_file.read_text())
        api = f"{state['services']['prefect-server']['address']}/api"
        deployments = httpx.post(f"{api}/deployments/filter", json={}, timeout=60).json()
        steer, ticking = sorted(deployments, key=lambda deployment: len(deployment["schedules"]))
        assert (len(steer["schedules"]), len(ticking["schedules"])) == (0, 2)
        until(lambda: facts.videos()[0].state is State.WAITING, layout.root / ".up" / "worker.log")
        assert [event.payload["new"] for event in facts.events(kind="pushed")] == [2]
        # the project's schedule passes over a video that has its own, by which it was moved
        runs = httpx.post(f"{api}/flow_runs/filter", json={}, timeout=60).json()
        fired = [run for run in runs if run["auto_scheduled"] and run["start_time"]]
        assert {"workspace": str(layout.root), "videos": [video]} in [run["parameters"] for run in fired]
        again = subprocess.run(
            [*program, "schedule", str(layout.root), video, "--with-project"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert again.stdout == f"{video}: with the project\n"  # Prefect's server knows as well, found through `up`
        schedules = httpx.get(f"{api}/deployments/{ticking['id']}", timeout=60).json()["schedules"]
        assert [(one["slug"], one["parameters"]) for one in schedules] == [("project", {})]

        # an order from Prefect's page, which calls the same address; a wrong one is refused there
        order = {"workspace": str(layout.root), "videos": [facts.videos()[0].video.id], "order": "stop"}
        page, tick = (f"{api}/deployments/{one['id']}/create_flow_run" for one in (steer, ticking))
        refused = httpx.post(page, json={"parameters": order, "enforce_parameter_schema": True}, timeout=60)
        assert (refused.status_code, "'stop' is not one of" in refused.text) == (409, True), refused.text
        for right, hold in (("pause", Hold.PAUSED), ("resume", None)):
            given = {"parameters": order | {"order": right}, "enforce_parameter_schema": True}
            until(lambda given=given: pressed(page, given), log)
            until(lambda hold=hold: facts.videos()[0].hold is hold, layout.root / ".up" / "worker.log")

        # each run leaves links, and once there are masks a picture
        server = running_server(layout.root)
        assert server is not None
        pages = state["services"]["dashboard"]["address"]
        until(lambda: artifact(api, f"video-{video}"), layout.root / ".up" / "worker.log")
        record = json.loads((layout.root / "label-studio-project.json").read_text())
        told = artifact(api, f"video-{video}")
        assert f"]({server.url}/projects/{record['project']}/data?labeling=1)" in told
        assert f"[Player]({pages}/p/project/{video}/player)" in told
        assert httpx.get(f"{pages}/p/project/{video}/player", trust_env=False, timeout=60).status_code == 200
        assert "data:image" not in told
        one_class = (ClassConfig(name="a"),)
        people = LabelStudioAnnotator(server.url, server.token, record["project"], one_class)
        assert people.play(lambda question: np.zeros((48, 64), np.uint8)) == 2
        until(lambda: pressed(tick, {}), log)
        until(lambda: "data:image" in artifact(api, f"video-{video}"), layout.root / ".up" / "worker.log")
        picture = artifact(api, f"video-{video}").split("(data:image/jpeg;base64,")[1].split(")")[0]
        assert Image.open(io.BytesIO(base64.b64decode(picture))).width == 128  # two frames beside each other
        assert [row["answers"] for row in json.loads(artifact(api, f"rounds-{video}"))] == [2, 0]

        # Prefect's server dies under the flow that pulls, fits and propagates; the next tick goes on where it was
        assert people.play(lambda question: np.zeros((48, 64), np.uint8)) == 2
        seen = facts.position()
        until(lambda: pressed(tick, {}), log)
        until(lambda: facts.position() > seen, layout.root / ".up" / "worker.log")
        for process in psutil.Process(state["services"]["prefect-server"]["pid"]).children(recursive=True):
            process.kill()
        until(lambda: "prefect-server ended" in log.read_text(), log)
        until(lambda: facts.videos()[0].state is State.DONE, layout.root / ".up" / "worker.log")
        assert [event.payload["new"] for event in facts.events(kind="pushed")] == [2, 2]
        assert (len(list(facts.events(video, "label"))), facts.tally(video).failed) == (4, 0)

        # Label Studio dies and comes back where it was
        psutil.Process(server.pid).kill()
        until(lambda: (now := running_server(layout.root)) is not None and now.pid != server.pid, log)
        again = running_server(layout.root)
        assert again is not None
        assert again.url == server.url
        assert "label-studio ended" in log.read_text()
        second = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (second.returncode, "already runs" in second.stderr) == (2, True)

        family = psutil.Process(stack.pid).children(recursive=True)
        assert len(family) >= 6
        stack.send_signal(signal.SIGKILL)
        stack.wait()
        until(lambda: not [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE], log, 90)
    finally:
        facts.close()
        stack.kill()
        stack.wait()
