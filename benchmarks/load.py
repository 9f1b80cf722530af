"""A thousand videos that wait for people: how long one tick takes, and how much memory its process.

python -m benchmarks.load --videos 1000 --tasks 100000 --out load.json

Makes a temporary project whose videos all wait in their last round, with the event log of the rounds before, and puts
a server with as many tasks in memory in Label Studio's place (benchmarks/task_server.py); the connector and the HTTP
between are the real ones. Each tick is the flow that a worker runs, in a process of its own, against a real Prefect
server. Measured: the first one, which lists every task; one where nothing is new; and one after each of a hundred
videos got an answer that does not complete its round. `status` is a process of its own too.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from benchmarks.memory import peak_rss_mb
from benchmarks.options import benchmark_parser, check_writable, run_benchmark, write_result
from benchmarks.task_server import MARKER, PROJECT, TOKEN, TaskServer
from flows.embedded import OFFLINE
from flows.projects import create_project
from workspace.errors import UserError
from workspace.facts import Facts
from workspace.files import write_json
from workspace.layout import Layout
from workspace.recounting import recount

BUDGET = 5  # samples per round
FRAMES = 1000
_ANSWERED_BETWEEN = 100
_READY_S = 300.0


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    check_writable(options.out)
    rounds = options.tasks // (options.videos * BUDGET) if options.videos > 0 else 0
    if rounds < 1 or rounds * BUDGET > FRAMES:
        raise UserError(
            f"{options.tasks} tasks for {options.videos} videos.",
            f"Give each video {BUDGET} to {FRAMES} tasks.",
        )
    with tempfile.TemporaryDirectory(prefix="fewclicks-load-") as folder:
        layout = create_project(Path(folder) / "project", "loaded", ["road"], None)
        keys = _fill(layout, options.videos, rounds)
        with TaskServer(keys) as server, _prefect_server(layout.root):
            _connect(layout, server.url)
            result = _measure(layout, server, [key for key, answered in keys if not answered])
    result = {"videos": options.videos, "tasks": len(keys)} | result
    _print(result)
    write_result(options.out, result)


def _fill(layout: Layout, videos: int, rounds: int) -> list[tuple[str, bool]]:
    """Videos in round `rounds`, whose samples are open; those of the rounds before are answered. Key, answered."""
    keys: list[tuple[str, bool]] = []
    rows: list[dict[str, Any]] = []
    for turn in range(1, rounds + 1):
        for number in range(videos):
            video = _name(number)
            samples = [f"f{(turn - 1) * BUDGET + n:06d}" for n in range(BUDGET)]
            keys += [(f"{video}/{turn}/{sample}", turn < rounds) for sample in samples]
            rows += [_event(video, turn, kind, {"samples": samples}) for kind in ("selected", "pushed")]
            if turn < rounds:
                rows += [_event(video, turn, "label", _label(sample)) for sample in samples]
                made = {"model": "0" * 16, "seconds": 1.0, "estimated_miou": 0.9}
                rows += [_event(video, turn, kind, made) for kind in ("fitted", "propagated")]
    with Facts.open(layout.database_file) as facts, facts._engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO video (id, name, sha256, frames, width, height, fps, suffix, added_at, state, round, seq)"
                f" VALUES (:id, :id, :id, {FRAMES}, 854, 480, 25, '.jpg', :at, 'waiting', {rounds}, 9)"
            ),
            [{"id": _name(number), "at": number} for number in range(videos)],
        )
        connection.execute(
            text("INSERT INTO event (at, video, round, kind, payload) VALUES (1.7e9, :video, :round, :kind, :payload)"),
            rows,
        )
        recount(connection)
    return keys


def _name(number: int) -> str:
    return f"clip-{number:05d}-0123456789"


def _event(video: str, turn: int, kind: str, payload: dict[str, Any]) -> dict[str, Any]:
    return {"video": video, "round": turn, "kind": kind, "payload": json.dumps(payload)}


def _label(sample: str) -> dict[str, Any]:
    return {
        "sample": sample,
        "annotation": sample[1:],
        "annotator": "person",
        "file": f"labels/{sample}.png",
        "skipped": False,
        "seconds": 60.0,
        "known_pixels": 409920,
        "clicks": {"drawing": 180, "correcting": 30},
        "finished_at": "2026-01-01T00:00:00Z",
    }


def _connect(layout: Layout, url: str) -> None:
    """As a project is after its first push."""
    os.environ["LABEL_STUDIO_API_KEY"] = TOKEN
    settings = layout.config_file.read_text(encoding="utf-8")
    changed = settings.replace("label_studio:\n  url: null", f"label_studio:\n  url: {url}", 1)
    assert changed != settings
    layout.config_file.write_text(changed, encoding="utf-8")
    write_json(layout.root / "label-studio-project.json", {"marker": MARKER, "project": PROJECT})


def _measure(layout: Layout, server: TaskServer, waiting: list[str]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    between = waiting[:: max(BUDGET, len(waiting) // _ANSWERED_BETWEEN)]  # at most one per video
    for name, answered in (("first_tick", []), ("nothing_new", []), ("answers_came", between)):
        server.answer(answered)
        server.requests()
        # a process of its own, as a worker starts it
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as one:
            result[name] = one.submit(_tick, str(layout.root)).result() | {"requests": server.requests()}
    began = time.monotonic()
    command = [sys.executable, "-m", "fewclicks", "status", str(layout.root)]
    path = os.pathsep.join(filter(None, [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH")]))
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": path})
    return result | {"status_s": round(time.monotonic() - began, 2)}


@contextmanager
def _prefect_server(root: Path) -> Iterator[None]:
    """One that runs as under `fewclicks up`, found by whatever is started meanwhile."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    api = f"http://127.0.0.1:{port}/api"
    os.environ.update(
        OFFLINE | {"PREFECT_HOME": str(root / ".prefect"), "PREFECT_API_URL": api, "PREFECT_LOGGING_LEVEL": "ERROR"}
    )
    command = [str(Path(sys.executable).with_name("prefect")), "server", "start", "--host", "127.0.0.1"]
    server = subprocess.Popen(
        [*command, "--port", str(port)], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
    )
    try:
        deadline = time.monotonic() + _READY_S
        while True:
            with suppress(httpx.HTTPError):
                if httpx.get(f"{api}/health", trust_env=False).status_code == 200:
                    break
            if server.poll() is not None or time.monotonic() > deadline:
                raise UserError("The Prefect server did not start.", "Try `prefect server start`.")
            time.sleep(0.25)
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def _tick(root: str) -> dict[str, Any]:
    """One run of the flow; the Prefect server is there already, as it is under a schedule."""
    began = time.monotonic()
    from flows.advance import tick

    ready, cpu = time.monotonic(), time.process_time()
    moved = tick(root)
    if moved:
        raise AssertionError(f"{len(moved)} videos moved on, though each waits for somebody")
    return {
        "seconds": round(time.monotonic() - ready, 2),
        "cpu_s": round(time.process_time() - cpu, 2),
        "loading_s": round(ready - began, 2),
        "peak_mb": round(peak_rss_mb()),
    }


def _print(result: dict[str, Any]) -> None:
    title = f"{result['videos']:,} videos that wait, {result['tasks']:,} tasks"
    table = Table("tick", "s", "CPU s", "peak MB", "requests", title=title)
    for name, row in result.items():
        if isinstance(row, dict):
            table.add_row(name, *(str(row[key]) for key in ("seconds", "cpu_s", "peak_mb", "requests")))
    Console().print(table)
    print(f"status, start of Python included: {result['status_s']} s")


def _parser() -> argparse.ArgumentParser:
    parser = benchmark_parser("load", __doc__)
    parser.add_argument("--videos", type=int, default=1000)
    parser.add_argument("--tasks", type=int, default=100_000)
    return parser


if __name__ == "__main__":
    sys.exit(run_benchmark(main))
