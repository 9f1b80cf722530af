"""What runs for one project on one machine: the table of services that `fewclicks up` keeps alive."""

from __future__ import annotations

import socket
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from flows.embedded import OFFLINE
from flows.supervision import Service
from workspace.config import Config
from workspace.errors import UserError
from workspace.layout import Layout

HOST = "127.0.0.1"
DASHBOARD_VARIABLE = "FEWCLICKS_DASHBOARD_URL"  # tells the worker where the pages are, for the links in Prefect


@dataclass(frozen=True, slots=True)
class Ports:
    """0: any free one."""

    label_studio: int = 8080
    prefect: int = 4200
    dashboard: int = 8090


def services(layout: Layout, config: Config, ports: Ports, cron: str, pool: str) -> list[Service]:
    """In the order in which they are started."""
    root = str(layout.root)
    prefect = _free(ports.prefect, "--prefect-port")
    api = f"http://{HOST}:{prefect}/api"
    server = OFFLINE | {
        "PREFECT_HOME": str(layout.root / ".prefect-server"),
        "PREFECT_API_URL": api,
        "PREFECT_SERVER_UI_API_URL": api,
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    }
    found: list[Service] = []
    if config.label_studio.url is None:
        port = _free(ports.label_studio, "--label-studio-port")
        address = f"http://{HOST}:{port}"
        command = _ours("serve", root, "--port", str(port))
        found.append(Service("label-studio", command, address, f"{address}/health"))
    start = _prefect("server", "start", "--host", HOST, "--port", str(prefect))
    found.append(Service("prefect-server", start, f"http://{HOST}:{prefect}", f"{api}/health", server))
    deploy = _ours("deploy", root, "--cron", cron, "--pool", pool)
    found.append(Service("deployment", deploy, environment=server, once=True))
    worker = _prefect("worker", "start", "--pool", pool, "--type", "process")
    pages = f"http://{HOST}:{_free(ports.dashboard, '--dashboard-port')}"
    found.append(Service("worker", worker, environment=server | {DASHBOARD_VARIABLE: pages}))
    if config.label_studio.webhook is not None:
        found.append(Service("webhook", _ours("listen", root), config.label_studio.webhook, environment=server))
    if config.assist.url is not None:
        found.append(Service("assist", _ours("assist", root), config.assist.url))
    found.append(Service("dashboard", _ours("dashboard", root, "--port", pages.rsplit(":", 1)[1]), pages))
    return found


def _ours(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "fewclicks", *words)


def _prefect(*words: str) -> tuple[str, ...]:
    return (str(Path(sys.executable).with_name("prefect")), *words)


def _free(port: int, option: str) -> int:
    """The port itself, or a free one for 0; UserError if somebody has it."""
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UserError(
                f"Port {port} on {HOST} cannot be used ({error.strerror}).", f"Choose another with {option}."
            ) from None
        return int(probe.getsockname()[1])
