"""What a page costs does not grow with the log: no page reads labels, and none looks at events but through an index.

`python -m benchmarks.event_log` measures the seconds at 10 million events.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from fastapi.testclient import TestClient

from dashboard.project import open_projects
from dashboard.server import dashboard_app
from workspace.facts import NewEvent
from workspace.layout import Layout
from workspace.video import Video

VIDEO = "/p/street-1/clip-0123456789"
PAGES = [
    "/", "/?from=2026-01-01&to=2026-01-02", "/?video=clip", "/?sort=waiting", VIDEO, f"{VIDEO}/player", "/metrics",
    "/position",
]  # fmt: skip


@pytest.fixture
def asked(street: Layout) -> Iterator[tuple[TestClient, list[tuple[str, Any]], sqlalchemy.Engine]]:
    """A client, and the statements that its pages put to the database with their values."""
    (project,) = open_projects([street.root])
    engine = project.facts._engine
    seen: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, values: Any, ___: Any, ____: Any) -> None:
        seen.append((statement, values))

    sqlalchemy.event.listen(engine, "before_cursor_execute", note)
    with TestClient(dashboard_app([project], None, "127.0.0.1"), base_url="http://127.0.0.1") as http:
        yield http, seen, engine
    sqlalchemy.event.remove(engine, "before_cursor_execute", note)
    project.facts.close()


def plans(engine: sqlalchemy.Engine, statement: str, values: Any) -> list[str]:
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        return [row[3] for row in rows]


def is_slow(plan: str) -> bool:
    """A scan of the log, or of the answers; that of failed steps has an index of its own and stops at twenty."""
    reads_all = plan.startswith(("SCAN event", "SCAN answer"))
    return reads_all and "event_failed" not in plan


@pytest.mark.parametrize("page", PAGES)
def test_no_page_reads_the_log(asked: tuple[TestClient, list[tuple[str, Any]], sqlalchemy.Engine], page: str) -> None:
    http, seen, engine = asked
    assert http.get(page).status_code == 200
    assert seen
    for statement, values in list(seen):
        if statement.startswith("SELECT"):
            assert "label" not in tuple(values), statement  # the sums know what they say
            slow = [plan for plan in plans(engine, statement, values) if is_slow(plan)]
            assert not slow, (statement, slow)


def test_a_scan_would_be_seen(asked: tuple[TestClient, list[tuple[str, Any]], sqlalchemy.Engine]) -> None:
    _, _, engine = asked
    for statement, slow in (
        ("SELECT COUNT(*) FROM event WHERE payload LIKE '%x%'", True),
        ("SELECT * FROM event WHERE video = 'a' AND kind = 'moved' ORDER BY id", False),
        ("SELECT round, SUM(clicks) FROM answer GROUP BY round", True),
        ("SELECT SUM(clicks) FROM answer WHERE video = 'a'", False),
    ):
        assert any(map(is_slow, plans(engine, statement, ()))) == slow, statement


def test_a_page_of_many_videos_asks_no_more_questions_than_one_of_few(tmp_path: Path) -> None:
    """All wait for people; what is shown of them is asked for all at once."""
    layout = Layout(tmp_path / "many")
    layout.videos.mkdir(parents=True)
    layout.config_file.write_text("project: {classes: [road]}\n", encoding="utf-8")
    (project,) = open_projects([layout.root])
    seen: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        seen.append(statement)

    sqlalchemy.event.listen(project.facts._engine, "before_cursor_execute", note)
    counts = []
    with TestClient(dashboard_app([project], None, "127.0.0.1"), base_url="http://127.0.0.1") as http:
        for many in (range(25), range(25, 60)):  # both too many for a close-up
            for n in many:
                video = Video(f"clip-{n:010d}", f"clip {n}", f"{n:064d}", 9, 8, 8, 25.0, ".png")
                project.facts.add_video(video)
                project.facts.append(video.id, 1, NewEvent("selected", {"samples": ["f000000", "f000001"]}))
            with project.facts._engine.begin() as connection:
                connection.execute(sqlalchemy.text("UPDATE video SET state = 'waiting', round = 1"))
            seen.clear()
            page = http.get("/").text
            counts.append(len(seen))
            assert f'queue</span><span class="value">{2 * (many.stop)}<' in page
            assert f"Of {many.stop} it cannot be told." in page  # the forecast of videos without masks
    assert counts[0] == counts[1] < 40
    (newest,) = {statement for statement in seen if "UNION ALL" in statement}  # the last rounds of all videos
    looked_at = plans(project.facts._engine, newest, ("propagated",) * newest.count("?"))
    for table in ("event", "one", "spent"):
        ways = {plan for plan in looked_at if plan.split()[1:2] == [table]}
        assert ways
        assert all(plan.startswith("SEARCH") for plan in ways), ways
    assert any("event_video_kind (video=? AND kind=?)" in plan for plan in looked_at)
    project.facts.close()
