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
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import httpx
import pytest
import uvicorn
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
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


def wrong_types(value: object, wanted: Any, where: str) -> Iterator[str]:
    """What is not as the type hints of Grafana's own library want it, and where."""
    origin, inside = get_origin(wanted), get_args(wanted)
    if hasattr(value, "from_json"):  # what it is declared as may be a protocol: options and queries of any kind
        for name, kind in get_type_hints(type(value)).items():
            yield from wrong_types(getattr(value, name), kind, f"{where}.{name}")
    elif origin in (Union, UnionType):
        wrong = [list(wrong_types(value, one, where)) for one in inside]
        if all(wrong):
            yield from max(wrong, key=lambda lines: lines[0].index(":"))  # of the kind that fits the longest way down
    elif origin is Literal:
        if value not in inside:
            yield f"{where}: {value!r} is not one of {inside}"
    elif origin in (list, dict):
        if not isinstance(value, origin):
            yield f"{where}: {value!r} is no {origin.__name__}"
            return
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from wrong_types(one, inside[-1], f"{where}[{key}]")
    elif wanted is None or wanted is NoneType:
        if value is not None:
            yield f"{where}: {value!r} is not null"
    elif isinstance(wanted, type) and issubclass(wanted, Enum):
        if value not in [one.value for one in wanted]:
            yield f"{where}: {value!r} is no {wanted.__name__}"
    elif wanted in (int, float, str, bool):
        fits = (int, float) if wanted is float else wanted
        if not isinstance(value, fits) or (isinstance(value, bool) and wanted is not bool):
            yield f"{where}: {value!r} is no {wanted.__name__}"


def left_out(given: object, read: object, where: str = "dashboard") -> Iterator[str]:
    """What of `given` is not in `read`."""
    if isinstance(given, dict) and isinstance(read, dict):
        for key, value in given.items():
            if key in read:
                yield from left_out(value, read[key], f"{where}.{key}")
            else:
                yield f"{where}.{key}"
    elif isinstance(given, list) and isinstance(read, list) and len(given) == len(read):
        for n, (a, b) in enumerate(zip(given, read, strict=True)):
            yield from left_out(a, b, f"{where}[{n}]")
    elif given != read:
        yield f"{where}: {given!r} became {read!r}"


def test_the_dashboard_is_what_grafanas_schema_wants() -> None:
    """Grafana's library is generated from its schema (11.6): it knows every key that we write, of these types."""
    register_default_plugins()
    given = json.loads(GRAFANA.read_text())
    read = Dashboard.from_json(given)
    assert not list(left_out(given, json.loads(JSONEncoder().encode(read))))
    assert not list(wrong_types(read, Dashboard, "dashboard"))
    for break_it, told in (
        (lambda d: d["panels"][0]["gridPos"].update(w="6"), "grid_pos.w"),
        (lambda d: d["panels"][0]["options"].update(colorMode="loud"), "color_mode"),
        (lambda d: d["templating"]["list"][1].update(refresh=7), "refresh"),
        (lambda d: d["panels"][4]["options"]["legend"].update(calcs="max"), "calcs"),
    ):
        broken = json.loads(GRAFANA.read_text())
        break_it(broken)
        assert any(told in line for line in wrong_types(Dashboard.from_json(broken), Dashboard, "dashboard")), told
    misspelled = json.loads(GRAFANA.read_text())
    misspelled["panels"][0]["options"]["grafMode"] = "area"
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(misspelled)))
    assert list(left_out(misspelled, read)) == ["dashboard.panels[0].options.grafMode"]


def test_grafana_can_import_the_dashboard() -> None:
    """What it asks for at import, and that no panel lies over another."""
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
