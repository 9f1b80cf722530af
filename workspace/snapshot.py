"""A consistent copy of the database while others write to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from workspace.errors import UserError


def snapshot_database(source: Path, target: Path) -> None:
    """Copy `source` as it is at one instant to `target`, by SQLite's online backup; writers are not held up.

    UserError if it cannot be read or is damaged.
    """
    if not source.is_file():
        raise UserError(f"There is no database at {source}.", "Restore the project from a backup.")
    try:
        with closing(sqlite3.connect(source, timeout=30)) as live, closing(sqlite3.connect(target)) as copy:
            live.backup(copy)
    except sqlite3.Error as error:
        raise UserError(f"{source} cannot be copied: {error}.", "Check the disk, or restore a backup.") from None


def settle_database(path: Path) -> None:
    """Make one file of a database that nobody else has open, with no lease left in it; UserError if it is damaged."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("UPDATE video SET owner = NULL, lease_until = NULL WHERE owner IS NOT NULL")
            connection.execute("PRAGMA journal_mode = DELETE")
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        found = str(error)
    if found != "ok":
        raise UserError(f"The database is damaged: {' '.join(found.split())}.", "Use an earlier backup.")
