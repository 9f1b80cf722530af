"""The metrics: right numbers, documented, and fit for Prometheus and Grafana."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest
import uvicorn
import yaml
from prometheus_client.parser import text_string_to_metric_families

from dashboard.metrics import METRICS, exposition
from dashboard.project import open_projects
from dashboard.server import dashboard_app
from workspace.facts import Facts
from workspace.layout import Layout

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "configs" / "prometheus-alerts.yaml"
GRAFANA = ROOT / "configs" / "grafana-dashboard.json"
NAMES = {f"fewclicks_{name}" for name, _, _ in METRICS}


def promtool(*words: str, text: str | None = None) -> None:
    if shutil.which("promtool") is None:
        if os.environ.get("CI") or os.environ.get("FEWCLICKS_REQUIRE_REAL") == "1":
            pytest.fail("there is no promtool here")
        pytest.skip("there is no promtool here (Debian: prometheus)")
    done = subprocess.run(["promtool", *words], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def exposed(street: Layout) -> str:
    with Facts.open(street.database_file) as facts:
        return exposition([("street", facts)], time.time() + 60)[0].decode()


def test_the_numbers_are_those_of_the_log(street: Layout) -> None:
    found = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(exposed(street))
        for sample in family.samples
    }
    project = ("project", "street")
    assert found["fewclicks_answers_total", project] == 3
    assert found["fewclicks_clicks_total", project] == 300
    assert found["fewclicks_counted_clicks_total", project] == 120
    assert found["fewclicks_answer_seconds_total", project] == 30
    assert (found["fewclicks_every_frame_clicks", project], found["fewclicks_every_frame_clicks_spent", project]) == (
        600,
        300,
    )
    assert found["fewclicks_queue_samples", project] == 2
    assert 60 <= found["fewclicks_queue_oldest_seconds", project] < 3600
    assert found["fewclicks_step_failures_total", project] == 1
    assert found["fewclicks_videos", ("hold", "none"), project, ("state", "waiting")] == 1
    assert found["fewclicks_videos", ("hold", "none"), project, ("state", "done")] == 0
    assert found["fewclicks_video_estimated_miou_ratio", project, ("video", "clip-0123456789")] == 0.8
    assert {name for name, *_ in found} == NAMES


def test_every_metric_is_in_the_docs() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+) \|$", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE)
    assert rows == [(f"fewclicks_{name}", kind, told) for name, kind, told in METRICS]


def test_promtool_finds_nothing_wrong(street: Layout, tmp_path: Path) -> None:
    promtool("check", "metrics", text=exposed(street))
    promtool("check", "rules", str(ALERTS))
    promtool("check", "config", str(ROOT / "configs" / "prometheus.yaml"))
    panels = json.loads(GRAFANA.read_text())["panels"]
    rules = [
        {"record": f"panel:{panel['id']}:{target['refId']}", "expr": target["expr"].replace("$project", "x")}
        for panel in panels
        for target in panel["targets"]
    ]
    file = tmp_path / "panels.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", str(file))


def test_alerts_and_panels_ask_for_metrics_that_exist() -> None:
    alerts = [rule["expr"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    dashboard = json.loads(GRAFANA.read_text())
    panels = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked = set(re.findall(r"fewclicks_\w+", " ".join(alerts + panels)))
    assert asked <= NAMES
    assert len(asked) >= 12


def test_grafana_can_import_the_dashboard() -> None:
    """What Grafana's own schema (kinds/dashboard) demands, and that no panel lies over another."""
    dashboard = json.loads(GRAFANA.read_text())
    assert {"title", "uid", "schemaVersion", "panels", "templating", "time", "annotations"} <= set(dashboard)
    assert isinstance(dashboard["schemaVersion"], int)
    assert dashboard.get("id") is None  # one from another server would overwrite somebody's
    variables = {variable["name"]: variable["type"] for variable in dashboard["templating"]["list"]}
    assert variables == {"datasource": "datasource", "project": "query"}
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        assert {"id", "type", "title", "gridPos", "targets", "datasource", "fieldConfig", "options"} <= set(panel)
        assert panel["type"] in {"stat", "timeseries", "table"}
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + dx, place["y"] + dy) for dx in range(place["w"]) for dy in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
        letters = [target["refId"] for target in panel["targets"]]
        assert letters == sorted(set(letters))
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


@pytest.mark.slow
def test_a_real_prometheus_scrapes_it_with_the_token(street: Layout, tmp_path: Path) -> None:
    promtool("--version")
    token = "0123456789abcdef-token"
    (tmp_path / "token").write_text(token)
    (project,) = open_projects([street.root])
    with socket.socket() as listening, socket.socket() as free:
        listening.bind(("127.0.0.1", 0))
        free.bind(("127.0.0.1", 0))
        at, port = listening.getsockname()[1], free.getsockname()[1]
        free.close()
        app = dashboard_app([project], token, "127.0.0.1")
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        scrape = {
            "job_name": "fewclicks", "scrape_interval": "1s", "static_configs": [{"targets": [f"127.0.0.1:{at}"]}],
            "authorization": {"credentials_file": str(tmp_path / "token")},
        }  # fmt: skip
        config = tmp_path / "prometheus.yaml"
        config.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "scrape_configs": [scrape]}))
        command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'data'}"]
        command.append(f"--web.listen-address=127.0.0.1:{port}")
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                assert _ask(port, "fewclicks_clicks_total") == "300"
                assert _ask(port, 'up{job="fewclicks"}') == "1"
            finally:
                process.kill()
        server.should_exit = True
        thread.join(30)
    project.facts.close()


def _ask(port: int, query: str) -> str:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            url = f"http://127.0.0.1:{port}/api/v1/query"
            answer = httpx.get(url, params={"query": query}, trust_env=False).json()
            if answer["data"]["result"]:
                return str(answer["data"]["result"][0]["value"][1])
        except (httpx.HTTPError, ValueError, KeyError):
            pass
        time.sleep(0.3)
    raise AssertionError(f"Prometheus never knew {query}")
