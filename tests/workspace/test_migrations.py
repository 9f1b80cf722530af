"""A project that any earlier version of this program has written is brought to the present one, whole or not at all."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, text

from workspace.databases import make_schema, postgres_engine, sqlite_engine
from workspace.facts import Facts
from workspace.migrations import MIGRATIONS, migrate
from workspace.states import State
from workspace.tallies import Tally


@pytest.fixture(params=["sqlite", "postgres"])
def make_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Engine]:
    """Makes connections to one database that is empty at first."""
    if request.param == "sqlite":
        return lambda: sqlite_engine(tmp_path / "fewclicks.db")
    address, schema = request.getfixturevalue("postgres_server"), f"old_{uuid.uuid4().hex[:12]}"

    def make() -> Engine:
        engine = postgres_engine(address, schema)
        make_schema(engine, schema)
        return engine

    return make


def written_by(connection: Connection) -> None:
    """What the first version wrote: a video in its second round, with an answer and its correction."""
    connection.execute(
        text(
            "INSERT INTO video (id, name, sha256, frames, width, height, fps, suffix, added_at, state, round, seq)"
            " VALUES ('clip-0123456789', 'clip', 'ab', 9, 8, 8, 25.0, '.jpg', 1.5, 'waiting', 2, 7)"
        )
    )
    label = {"sample": "f000000", "annotation": "1", "skipped": False, "known_pixels": 64, "annotator": "anna"}
    for kind, payload in (
        ("selected", {"samples": ["f000000", "f000004"]}),
        ("label", label | {"clicks": {"drawing": 9, "correcting": 5}}),
        ("label", label | {"clicks": {"drawing": 9, "correcting": 3}}),
        ("failed", {"error": "x"}),
    ):
        connection.execute(
            text("INSERT INTO event (at, video, round, kind, payload) VALUES (1.7e9, 'clip-0123456789', 1, :k, :p)"),
            {"k": kind, "p": json.dumps(payload)},
        )


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_every_older_version_is_brought_to_this_one(version: int, make_engine: Callable[[], Engine]) -> None:
    engine = make_engine()
    migrate(engine, MIGRATIONS[:version])
    with engine.begin() as connection:
        written_by(connection)
        if version >= 4:  # which keeps sums itself; the last ones are in place of those it would have written
            from workspace.recounting import recount

            recount(connection)
    engine.dispose()
    engine = make_engine()
    migrate(engine)
    with Facts(engine) as facts:
        (row,) = facts.videos()
        assert (row.state, row.round, row.seq) == (State.WAITING, 2, 7)
        assert (row.hold, row.priority, row.cron) == (None, 0, None)
        assert facts.tally(row.video.id) == Tally(asked=2, labeled=1, clicks=3, pixels=64, failed=1)
        with facts._engine.begin() as connection:
            assert connection.execute(text("SELECT round, clicks FROM spent")).all() == [(1, 3)]
        assert [event.kind for event in facts.events(row.video.id)] == ["selected", "label", "label", "failed"]
        assert [(work.day, work.annotator, work.correcting) for work in facts.work(("day", "annotator"))] == [
            ("2023-11-14", "anna", 3)
        ]
        lease = facts.claim(row.video.id, 60)
        assert lease is not None
        lease.commit(State.PULLING, 2)


def test_a_migration_that_breaks_leaves_the_old_version(make_engine: Callable[[], Engine]) -> None:
    def breaks(connection: Connection) -> None:
        connection.execute(text("ALTER TABLE video ADD COLUMN half INTEGER"))
        raise RuntimeError("the power went")

    engine = make_engine()
    migrate(engine, MIGRATIONS[:3])
    with engine.begin() as connection:
        written_by(connection)
    with pytest.raises(RuntimeError, match="power"):
        migrate(engine, (*MIGRATIONS[:4], breaks))
    with engine.begin() as connection:
        assert connection.execute(text("SELECT MAX(version) FROM schema_version")).scalar_one() == 3
    migrate(engine)
    with Facts(engine) as facts:
        assert facts.tally("clip-0123456789").clicks == 3
