"""Numbered migrations of the database; each runs once, in order, in the transaction that records it."""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import Connection, Engine, text

from workspace.errors import UserError
from workspace.tallies import create_tables, recount


def _first_tables(connection: Connection) -> None:
    for statement in (
        """CREATE TABLE video (
            id TEXT PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL UNIQUE, frames INTEGER NOT NULL,
            width INTEGER NOT NULL, height INTEGER NOT NULL, fps REAL NOT NULL, suffix TEXT NOT NULL,
            added_at REAL NOT NULL, state TEXT NOT NULL, round INTEGER NOT NULL, seq INTEGER NOT NULL,
            owner TEXT, lease_until REAL)""",
        """CREATE TABLE event (
            id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, video TEXT REFERENCES video(id),
            round INTEGER NOT NULL, kind TEXT NOT NULL, payload TEXT NOT NULL, dedupe TEXT UNIQUE)""",
        "CREATE INDEX event_video_kind ON event (video, kind, id)",
        """CREATE TRIGGER event_is_append_only_update BEFORE UPDATE ON event
            BEGIN SELECT RAISE(ABORT, 'the event log is append-only'); END""",
        """CREATE TRIGGER event_is_append_only_delete BEFORE DELETE ON event
            BEGIN SELECT RAISE(ABORT, 'the event log is append-only'); END""",
    ):
        connection.execute(text(statement))


def _event_index(connection: Connection) -> None:
    # all events of one video in their order: without it SQLite would read the whole log
    connection.execute(text("CREATE INDEX event_video ON event (video, id)"))


def _holds(connection: Connection) -> None:
    connection.execute(text("ALTER TABLE video ADD COLUMN hold TEXT"))


def _sums_for_the_dashboard(connection: Connection) -> None:
    # failed steps are few and looked for across all videos
    connection.execute(text("CREATE INDEX event_failed ON event (id) WHERE kind = 'failed'"))
    create_tables(connection)  # those of an earlier version held less
    recount(connection)


MIGRATIONS: tuple[Callable[[Connection], None], ...] = (_first_tables, _event_index, _holds, _sums_for_the_dashboard)


def migrate(engine: Engine, migrations: tuple[Callable[[Connection], None], ...] = MIGRATIONS) -> None:
    """Bring the database to the newest version; UserError if it was written by a newer program than this one."""
    with engine.begin() as connection:
        # the write comes first: it takes SQLite's write lock, so two processes cannot both migrate
        connection.execute(
            text("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, applied_at REAL NOT NULL)")
        )
        connection.execute(text("DELETE FROM schema_version WHERE version < 0"))
        version = connection.execute(text("SELECT COALESCE(MAX(version), 0) FROM schema_version")).scalar_one()
        if version > len(migrations):
            raise UserError(
                f"The workspace's database has version {version}, this program knows up to {len(migrations)}.",
                "Use the newer fewclicks that wrote it.",
            )
        for number, step in enumerate(migrations[version:], start=version + 1):
            step(connection)
            connection.execute(
                text("INSERT INTO schema_version (version, applied_at) VALUES (:v, :t)"),
                {"v": number, "t": time.time()},
            )
