"""A project from a backup: everything is checked before its folder appears."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

import psutil

from flows.backup_files import FORMAT, needed_files
from flows.context import ShowProgress, silent
from workspace.archive import Archive, open_archive
from workspace.errors import UserError
from workspace.facts import Facts
from workspace.layout import Layout
from workspace.migrations import MIGRATIONS
from workspace.snapshot import settle_database


def restore(file: Path, folder: Path, show: ShowProgress = silent) -> int:
    """Make the project in `file` appear at `folder`, whole or not at all; returns its number of videos.

    One of an older version is brought to this one. UserError if the archive is damaged, holds something that no backup
    holds, lacks a file, or comes from a newer program; and if there is something at `folder` already.
    """
    folder = folder.resolve()
    show("checking the backup", 0.0)
    with open_archive(file) as archive:
        _check_version(file, archive)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder} is there already.", "Restore into a folder that does not exist yet.")
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(folder)
            draft = folder.with_name(f".{folder.name}.restoring-{os.getpid()}-{secrets.token_hex(4)}")
            try:
                archive.extract(draft, lambda fraction: show("restoring", fraction))
                videos = _check_project(file, draft, set(archive.sizes))
                os.sync()  # the data is on disk before the name is
                os.replace(draft, folder)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        except OSError as error:
            raise UserError(
                f"{folder} could not be restored: {error.strerror or error}.", "Check the disk's space and permissions."
            ) from None
    return videos


def _check_version(file: Path, archive: Archive) -> None:
    for what, known in (("format", FORMAT), ("database", len(MIGRATIONS))):
        version = archive.about.get(what)
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            raise UserError(f"{file} is no backup of fewclicks: its {what} version is {str(version)[:40]!r}.")
        if version > known:
            raise UserError(
                f"{file} has {what} version {version}, this program knows up to {known}.",
                "Use the newer fewclicks that wrote it.",
            )


def _check_project(file: Path, draft: Path, names: set[str]) -> int:
    """That the settings are legal, the database whole, and every file there that its facts speak of."""
    layout = Layout(draft)
    try:
        layout.config()
        if not layout.database_file.is_file():
            raise UserError("The database is missing.")
        settle_database(layout.database_file)
        with Facts.open(layout.database_file) as facts:
            rows = facts.videos()
            lost = set().union(*(needed_files(layout, facts, row.video) for row in rows)) - names
    except UserError as error:
        raise UserError(f"{file} holds no usable project: {error.message}", "Use another backup.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} holds no usable project: its facts are wrong ({error}).", "Do not use it.") from None
    if lost:
        raise UserError(f"{file} lacks {len(lost)} file(s), {min(lost)} among them.", "Use another backup.")
    return len(rows)


def _remove_abandoned(folder: Path) -> None:
    """What a killed restore has left."""
    for draft in folder.parent.glob(f".{folder.name}.restoring-*"):
        pid = draft.name.split("-")[-2]
        if not (pid.isdigit() and psutil.pid_exists(int(pid))):
            shutil.rmtree(draft, ignore_errors=True)
