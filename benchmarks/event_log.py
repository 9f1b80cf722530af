"""The event log at size: how long `fewclicks status` and the loop's own queries take.

python -m benchmarks.event_log --events 10000000 --out event_log.json
python -m benchmarks.event_log --database postgresql://user@host/name   in PostgreSQL, in a schema that is removed again

Fills the database of a temporary project with videos that each went through many rounds: per round one `selected`, one
`pushed`, one `label` per sample (every tenth corrected later), `moved` and the rest. Then it times, each several times:
`fewclicks status` as a process of its own, start-up included; the rows that it shows; what `advance` asks of the log;
the dashboard's pages and metrics, without the network; and appending. The upgrade of such
a log from the version without sums is timed once.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, create_engine, text

from benchmarks.options import benchmark_parser, check_writable, run_benchmark, write_result
from dashboard.project import open_projects
from dashboard.server import dashboard_app
from flows.progress import project_rows, round_rows
from flows.projects import create_project
from flows.rounds import clicks_spent
from workspace.databases import is_postgres, make_schema, postgres_engine
from workspace.errors import UserError
from workspace.facts import Facts, NewEvent
from workspace.layout import Layout
from workspace.migrations import MIGRATIONS, migrate
from workspace.states import State

SAMPLES = 20  # per round
_AT_ONCE = 20_000  # rows
_REPEATS = 5
_APPENDS = 200
_ROUNDS = 10
_ROUNDS_A_DAY = 5
_VIDEO_COLUMNS = (
    "id", "name", "sha256", "frames", "width", "height", "fps", "suffix", "added_at", "state", "round", "seq",
)  # fmt: skip
_EVENT_COLUMNS = ("at", "video", "round", "kind", "payload", "dedupe")


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    check_writable(options.out)
    if options.events < 1 or options.videos < 1:
        raise UserError(f"{options.events} events of {options.videos} videos.", "Give --events and --videos above 0.")
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="fewclicks-events-") as folder:
        layout = create_project(Path(folder) / "project", "measured", ["road"], None)
        layout.database_file.unlink()
        with _empty_database(layout, options.database) as engine:
            seconds = _fill(engine, options.events, options.videos)
            console.print(f"{options.events:,} events written in {seconds:.0f} s", highlight=False)
            result = {"events": options.events, "videos": options.videos, "database": engine.dialect.name}
            result |= _measure(layout, engine)
    _print(result)
    write_result(options.out, result)


@contextmanager
def _empty_database(layout: Layout, address: str | None) -> Iterator[Engine]:
    """Where the project's facts are to lie, without tables; what is in PostgreSQL is removed at the end."""
    if address is None:
        engine = create_engine(f"sqlite:///{layout.database_file}")
        try:
            yield engine
        finally:
            engine.dispose()
        return
    schema = f"measured_{secrets.token_hex(4)}"
    engine = postgres_engine(address, schema)
    settings = layout.config_file.read_text(encoding="utf-8")
    settings = settings.replace("  database: null", f"  database: {address}", 1)
    layout.config_file.write_text(settings.replace("schema_name: null", f"schema_name: {schema}", 1), encoding="utf-8")
    try:
        make_schema(engine, schema)
        yield engine
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"DROP SCHEMA IF EXISTS {schema} CASCADE"))
        engine.dispose()


def _fill(engine: Engine, events: int, videos: int) -> float:
    """Tables of the first version, so that their upgrade can be timed; returns the seconds it took."""
    began = time.monotonic()
    migrate(engine, MIGRATIONS[:1])
    states = list(State)
    of_videos = [
        (name, name, name, 1000, 854, 480, 25.0, ".jpg", float(n), states[n % len(states)].value, 3, 9)
        for n, name in enumerate(map(_name, range(videos)))
    ]
    with closing(engine.raw_connection()) as connection:
        cursor = connection.cursor()
        if not is_postgres(engine):
            cursor.execute("PRAGMA synchronous = OFF")
            cursor.execute("PRAGMA cache_size = -400000")
        _insert(cursor, "video", _VIDEO_COLUMNS, of_videos)
        connection.commit()
        rows, left = _rows(videos), events
        while left:
            part = list(islice(rows, min(left, _AT_ONCE)))
            _insert(cursor, "event", _EVENT_COLUMNS, part)
            connection.commit()
            left -= len(part)
    if is_postgres(engine):
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))  # which autovacuum does by itself, a minute later
    return time.monotonic() - began


def _insert(cursor: Any, table: str, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
    if hasattr(cursor, "copy"):  # psycopg's
        with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        return
    places = ", ".join("?" * len(columns))
    cursor.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", rows)


def _name(number: int) -> str:
    return f"clip-{number:05d}-0123456789"


def _rows(videos: int) -> Iterator[tuple[float, str, int, str, str, str | None]]:
    """Without end: the events of all videos, round by round, as they would have come in."""
    at, turn = 1.7e9, 0
    while True:
        turn += 1
        for number in range(videos):
            video = _name(number)
            keys = [f"f{(turn * SAMPLES + n) % 1_000_000:06d}" for n in range(SAMPLES)]
            moved = {"from": "propagating", "to": "selecting", "round": turn}
            yield at, video, turn - 1, "moved", json.dumps(moved), None
            yield at, video, turn, "selected", json.dumps({"samples": keys, "strategy": "uniform"}), None
            yield at, video, turn, "pushed", json.dumps({"samples": keys, "new": SAMPLES, "model": "0" * 16}), None
            for n, key in enumerate(keys):
                for version in range(2 if n % 10 == 0 else 1):
                    dedupe = f"label/{video}/{turn}/{key}/{turn}{n}/{number:08x}{n:04x}{version:04x}"
                    yield at, video, turn, "label", _label(key, f"{turn}{n}", n, version, turn // _ROUNDS_A_DAY), dedupe
            for state in (State.PUSHING, State.WAITING, State.PULLING, State.FITTING, State.PROPAGATING):
                moved = {"from": "ready", "to": state.value, "round": turn}
                yield at, video, turn, "moved", json.dumps(moved), None
            yield at, video, turn, "fitted", json.dumps({"model": "0" * 16, "seconds": 1.0}), None
            yield at, video, turn, "propagated", json.dumps(_made(turn)), None
            at += 1.0


def _made(turn: int) -> dict[str, Any]:
    quality = 1 - 0.5 * turn**-0.5
    return {"model": "0" * 16, "seconds": 1.0, "estimated_miou": quality, "drawing_every_frame": 1_000_000}


def _label(key: str, annotation: str, number: int, version: int, day: int = 0) -> str:
    return json.dumps(
        {
            "sample": key,
            "annotation": annotation,
            "annotator": f"person-{number % 7}",
            "file": f"labels/r01.{key}.{annotation}.0123abcd.png",
            "skipped": number == SAMPLES - 1,
            "seconds": 12.5,
            "known_pixels": 409920,
            "clicks": {"drawing": 180, "correcting": 30 + version},
            "changed_regions": 3,
            "finished_at": f"2026-{1 + day // 28 % 12:02d}-{1 + day % 28:02d}T00:00:00Z",
            "effort": None,
        },
        sort_keys=True,
    )


def _measure(layout: Layout, engine: Engine) -> dict[str, Any]:
    began = time.monotonic()
    Facts.of(layout).close()
    result: dict[str, Any] = {"upgrade_s": round(time.monotonic() - began, 1)}
    result["database_mb"] = _megabytes(layout, engine)
    result["status_command"] = _times(lambda: _status(layout))
    result["python_alone"] = _times(lambda: _command(["-c", "import fewclicks.app, rich.table, sqlalchemy, yaml"]))
    with Facts.of(layout) as facts:
        video = facts.videos()[0].video.id
        result["status_rows"] = _times(lambda: project_rows(facts, _ROUNDS))
        result["clicks_spent"] = _times(lambda: clicks_spent(facts, video))
        result["last_event"] = _times(lambda: facts.last_event(video, "fitted"))
        result["labels_of_a_video"] = _times(lambda: sum(1 for _ in facts.events(video, "label")))
        result["rounds_of_a_video"] = _times(lambda: round_rows(facts, video))
        result |= _dashboard(layout, video)
        result["events_of_a_video"] = sum(1 for _ in facts.events(video))
        result["append_a_label_ms"] = _append_ms(facts, video)
        # what the sums say must be what the log says; one video is read in full
        labels = len({(event.round, event.payload["sample"]) for event in facts.events(video, "label")})
        tally = facts.tally(video)
        if labels != tally.labeled + tally.skipped:
            raise AssertionError(f"{labels} samples in the log, {tally} in the sums")
    return result


def _megabytes(layout: Layout, engine: Engine) -> int:
    """With indexes and sums."""
    if not is_postgres(engine):
        return round(layout.database_file.stat().st_size / 2**20)
    query = (
        "SELECT SUM(pg_total_relation_size(oid)) FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = to_regnamespace(current_schema())"
    )
    with engine.begin() as connection:
        return round(float(connection.execute(text(query)).scalar_one()) / 2**20)


def _dashboard(layout: Layout, video: str) -> dict[str, Any]:
    """The seconds of each page, from the request to its last byte."""
    from fastapi.testclient import TestClient

    (project,) = open_projects([layout.root])
    pages = {
        "page_of_all_videos": "/",
        "page_of_all_videos_in_a_week": "/?from=2026-01-08&to=2026-01-14",
        "page_of_a_video": f"/p/{project.slug}/{video}",
        "page_of_the_player": f"/p/{project.slug}/{video}/player",
        "page_of_metrics": "/metrics",
    }
    try:
        with TestClient(dashboard_app([project], None, "127.0.0.1"), base_url="http://127.0.0.1") as http:
            return {name: _times(lambda url=url: http.get(url).raise_for_status()) for name, url in pages.items()}  # type: ignore[misc]
    finally:
        project.facts.close()


def _status(layout: Layout) -> None:
    _command(["-m", "fewclicks", "status", str(layout.root)])


def _command(words: list[str]) -> None:
    root = str(Path(__file__).resolve().parents[1])  # this very code, whatever is installed
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    subprocess.run(
        [sys.executable, *words], check=True, stdout=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": path}
    )


def _times(work: Callable[[], object]) -> dict[str, float]:
    """Wall seconds: the first time, the median and the least of all; least CPU seconds, children included."""
    walls, busy = [], []
    for _ in range(_REPEATS):
        began, cpu = time.monotonic(), _cpu()
        work()
        walls.append(time.monotonic() - began)
        busy.append(_cpu() - cpu)
    return {
        "first_s": round(walls[0], 4),
        "median_s": round(statistics.median(walls), 4),
        "least_s": round(min(walls), 4),
        "cpu_s": round(min(busy), 4),
    }


def _cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _append_ms(facts: Facts, video: str) -> float:
    walls = []
    for n in range(_APPENDS):
        payload = json.loads(_label(f"f{n:06d}", f"new-{n}", n % SAMPLES, 0))
        began = time.monotonic()
        facts.append(video, 1_000_000, NewEvent("label", payload, dedupe=f"new/{n}"))
        walls.append(time.monotonic() - began)
    return round(1000 * statistics.median(walls), 2)


def _print(result: dict[str, Any]) -> None:
    size = f"{result['database']}, {result['database_mb']:,} MB"
    title = f"{result['events']:,} events of {result['videos']:,} videos, {size}"
    table = Table("what", "first s", "median s", "least s", "CPU s", title=title)
    for name, row in result.items():
        if isinstance(row, dict):
            table.add_row(name, *(f"{row[key]:.3f}" for key in ("first_s", "median_s", "least_s", "cpu_s")))
    console = Console()
    console.print(table)
    console.print(f"append: {result['append_a_label_ms']} ms per label; upgrade once: {result['upgrade_s']} s")


def _parser() -> argparse.ArgumentParser:
    parser = benchmark_parser("event_log", __doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--videos", type=int, default=1000)
    parser.add_argument("--database", metavar="ADDRESS", help="of PostgreSQL, as in facts.database; default: SQLite")
    return parser


if __name__ == "__main__":
    sys.exit(run_benchmark(main))
