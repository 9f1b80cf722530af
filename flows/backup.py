"""A backup of a project in one file, consistent while it is worked on.

Facts speak only of files that are complete, and no such file ever changes; but one that is no longer needed may go. So:
copy the database as it is at one instant, then give every file a second name, which costs no time and no space, and
write the archive from those at leisure. If a file went in between, the facts have moved on as well: once more.
"""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from flows.backup_files import FORMAT, PROJECT_FILES, kept_files, needed_files
from flows.context import ShowProgress, silent
from workspace.archive import write_archive
from workspace.errors import UserError
from workspace.facts import Facts
from workspace.layout import Layout
from workspace.migrations import MIGRATIONS
from workspace.snapshot import settle_database, snapshot_database

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Backup:
    videos: int
    files: int
    bytes: int  # of the archive


def back_up(layout: Layout, target: Path, show: ShowProgress = silent) -> Backup:
    """Write the project to `target`, whole or not at all. Runs, schedules and people may go on meanwhile.

    Label Studio's own data, secrets, and what is computed again from the frames stay out. UserError if a file that the
    facts speak of is missing: such a backup could not be restored.
    """
    if layout.config().facts.database is not None:
        raise UserError(
            "The facts of this project are in PostgreSQL, which `fewclicks backup` does not copy.",
            "Back up its schema with pg_dump, and the folder with what you use for folders, facts first.",
        )
    if target.exists():
        raise UserError(f"{target} is there already.", "A backup never overwrites one; choose another name.")
    if not target.resolve().parent.is_dir():
        raise UserError(f"There is no folder {target.resolve().parent}.", "Make it, or choose another one.")
    _remove_abandoned(layout)
    pins = layout.root / f".backup-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        show("collecting", 0.0)
        videos = _pin_consistently(layout, pins)
        members = {path.relative_to(pins).as_posix(): path for path in sorted(pins.rglob("*")) if path.is_file()}
        about = {
            "format": FORMAT,
            "database": len(MIGRATIONS),
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "project": layout.root.name,
        }
        write_archive(target, about, members, lambda fraction: show("writing the backup", fraction))
    finally:
        shutil.rmtree(pins, ignore_errors=True)
    return Backup(videos, len(members), target.stat().st_size)


def _pin_consistently(layout: Layout, pins: Path) -> int:
    """Fill `pins` with facts and files of one instant; returns how many videos there are."""
    before = -1
    for _ in range(_ATTEMPTS):
        shutil.rmtree(pins, ignore_errors=True)
        pins.mkdir(mode=0o700)
        snapshot_database(layout.database_file, Layout(pins).database_file)
        missing, moves, videos = _pin_files(layout, pins)
        settle_database(Layout(pins).database_file)
        if not missing:
            return videos
        if moves == before:  # nobody worked on it in between: the file is really lost
            break
        before = moves
    raise UserError(
        f"{layout.root / missing} is missing, so the backup would be incomplete.",
        "Bring the file back from an earlier backup, or cancel the run and try again.",
    )


def _pin_files(layout: Layout, pins: Path) -> tuple[str, int, int]:
    """Of the copied facts: the first file that is missing or "", the sum of all moves, and the number of videos."""
    with Facts.open(Layout(pins).database_file) as facts:
        rows = facts.videos()
        needed = set().union(*(needed_files(Layout(layout.root), facts, row.video) for row in rows))
    for name in PROJECT_FILES:
        if (layout.root / name).exists():
            shutil.copyfile(layout.root / name, pins / name)  # these are edited in place
    found = set()
    for row in rows:
        for name in kept_files(layout, row.video):
            if _pin(layout.root / name, pins / name):
                found.add(name)
    return min(needed - found, default=""), sum(row.seq for row in rows), len(rows)


def _pin(source: Path, target: Path) -> bool:
    """A second name for the file, or a copy where the disk cannot do that; False if it has just gone."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), target)
    except FileNotFoundError:
        return False
    except OSError:
        try:
            shutil.copyfile(source, target)
        except FileNotFoundError:
            return False
    return True


def _remove_abandoned(layout: Layout) -> None:
    """Second names that a killed backup has left."""
    for pins in layout.root.glob(".backup-*-*"):
        pid = pins.name.split("-")[1]
        if not (pid.isdigit() and psutil.pid_exists(int(pid))):
            shutil.rmtree(pins, ignore_errors=True)
