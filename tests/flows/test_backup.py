"""A backup taken at any moment is a project that goes on to the same end."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from connectors.memory import MemoryTool
from flows import backup as backing_up
from flows import restoring
from flows.backup import back_up
from flows.context import Context
from flows.machine import Outcome, advance
from flows.restoring import restore
from flows.rounds import newest_model
from workspace.archive import write_archive
from workspace.errors import UserError
from workspace.facts import Facts
from workspace.files import write_bytes
from workspace.layout import Layout
from workspace.migrations import MIGRATIONS
from workspace.states import State

MakeContext = Callable[..., Context]
Truth = Callable[[int], np.ndarray]
CLIP = "clip-0123456789"
SETTINGS = b"project: {classes: [ground, box]}\n"


@pytest.fixture
def labeled(make_context: MakeContext, truth: Truth) -> tuple[Context, MemoryTool]:
    """A project whose first round is through and whose second is asked."""
    tool = MemoryTool()
    context = make_context(tool)
    write_bytes(context.layout.config_file, SETTINGS)
    advance(context, CLIP)
    tool.play(lambda question: truth(question.sample.frame))
    assert advance(context, CLIP) is Outcome.WAITING
    return context, tool


def digest_of_masks(context: Context) -> str:
    folder = context.layout.masks(CLIP, newest_model(context.facts, CLIP))
    digest = hashlib.sha256()
    for path in sorted(folder.glob("[0-9]*.png")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def files_of(root: Path) -> list[str]:
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*"))


def test_the_restored_project_goes_on_to_the_same_masks(
    labeled: tuple[Context, MemoryTool], truth: Truth, tmp_path: Path
) -> None:
    context, tool = labeled
    secret = context.layout.label_studio_data / "credentials.json"
    write_bytes(secret, b"a-secret-token")
    lease = context.facts.claim(CLIP, 3600)  # somebody is working on it
    before = files_of(context.layout.root)
    made = back_up(context.layout, tmp_path / "monday.zip")
    assert lease is not None
    lease.release()
    assert made.videos == 1
    assert set(files_of(context.layout.root)) - set(before) <= {"monday.zip", "fewclicks.db-wal", "fewclicks.db-shm"}
    assert b"a-secret-token" not in (tmp_path / "monday.zip").read_bytes()

    assert restore(tmp_path / "monday.zip", tmp_path / "again") == 1
    layout = Layout(tmp_path / "again")
    assert layout.config_file.read_bytes() == SETTINGS
    assert not layout.label_studio_data.exists()
    with Facts.open(layout.database_file) as facts:
        assert facts.video(CLIP).owner is None
        assert list(facts.events()) == list(context.facts.events())
        other = Context(layout, context.config, facts, tool)
        tool.play(lambda question: truth(question.sample.frame))
        assert advance(other, CLIP) is Outcome.DONE
        again = digest_of_masks(other)
    assert advance(context, CLIP) is Outcome.DONE
    assert digest_of_masks(context) == again


def test_a_file_that_goes_meanwhile_makes_it_begin_anew(
    labeled: tuple[Context, MemoryTool], truth: Truth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the copy of the facts and that of the files a whole round passes, which drops older probabilities."""
    context, tool = labeled
    original, turns = backing_up.snapshot_database, []

    def snapshot(source: Path, target: Path) -> None:
        original(source, target)
        turns.append(target)
        if len(turns) == 1:
            tool.play(lambda question: truth(question.sample.frame))
            assert advance(context, CLIP) is Outcome.DONE

    monkeypatch.setattr(backing_up, "snapshot_database", snapshot)
    back_up(context.layout, tmp_path / "monday.zip")
    assert len(turns) == 2
    restore(tmp_path / "monday.zip", tmp_path / "again")
    with Facts.open(Layout(tmp_path / "again").database_file) as facts:
        assert facts.video(CLIP).state is State.DONE


def test_files_are_linked_or_copied_and_none_may_be_missing(
    labeled: tuple[Context, MemoryTool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("this disk has no hard links")

    layout = labeled[0].layout
    # 6 frames, 2 labels and 2 raw answers, 1 model, 6 masks, 6 probabilities, the errors expected, facts, settings
    assert back_up(layout, tmp_path / "linked.zip").files == 6 + 2 + 2 + 1 + 6 + 6 + 1 + 1 + 1
    monkeypatch.setattr("flows.backup.os.link", refuse)
    assert back_up(layout, tmp_path / "copied.zip").files == 26
    for lost in ("frames/000003.png", "labels/*.png", "models/*.pt", "masks/*/000001.png", "probabilities/*/*.npz"):
        path = next(layout.video(CLIP).glob(lost))
        path.rename(tmp_path / "away")
        with pytest.raises(UserError, match=rf"{path.name} is missing, so the backup would be incomplete"):
            back_up(layout, tmp_path / "monday.zip")
        (tmp_path / "away").rename(path)
    assert not (tmp_path / "monday.zip").exists()
    assert not list(layout.root.glob(".backup-*"))


def test_a_damaged_archive_writes_nothing(labeled: tuple[Context, MemoryTool], tmp_path: Path) -> None:
    back_up(labeled[0].layout, tmp_path / "monday.zip")
    data = (tmp_path / "monday.zip").read_bytes()
    before = files_of(tmp_path)
    for broken in (data[:-1], data[: len(data) // 2], b"", data[:1000] + bytes([data[1000] ^ 1]) + data[1001:]):
        (tmp_path / "monday.zip").write_bytes(broken)
        with pytest.raises(UserError, match=r"damaged|no backup of fewclicks"):
            restore(tmp_path / "monday.zip", tmp_path / "again")
        assert files_of(tmp_path) == before


def test_only_a_new_or_empty_folder_is_written(labeled: tuple[Context, MemoryTool], tmp_path: Path) -> None:
    back_up(labeled[0].layout, tmp_path / "monday.zip")
    with pytest.raises(UserError, match="is there already"):
        back_up(labeled[0].layout, tmp_path / "monday.zip")
    full = tmp_path / "full"
    write_bytes(full / "mine.txt", b"mine")
    for place in (full, full / "mine.txt"):
        with pytest.raises(UserError, match="is there already"):
            restore(tmp_path / "monday.zip", place)
    assert files_of(full) == ["mine.txt"]
    (tmp_path / "empty").mkdir()
    abandoned = tmp_path / ".empty.restoring-4194303-0000"
    abandoned.mkdir()
    restore(tmp_path / "monday.zip", tmp_path / "empty")
    assert (tmp_path / "empty" / "fewclicks.db").exists()
    assert not abandoned.exists()


def archive_of(tmp_path: Path, about: dict[str, object], change: Callable[[Path], None] | None = None) -> Path:
    """A well-formed archive of a small project, described and changed as somebody likes."""
    layout = Layout(tmp_path / "made")
    write_bytes(layout.config_file, SETTINGS)
    Facts.open(layout.database_file).close()
    if change is not None:
        change(layout.root)
    members = {p.name: p for p in layout.root.iterdir() if p.suffix in (".db", ".yaml")}
    described = {"format": 1, "database": len(MIGRATIONS)} | about
    write_archive(tmp_path / "made.zip", described, members, lambda fraction: None)
    shutil.rmtree(layout.root)
    return tmp_path / "made.zip"


def alter(statement: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        with closing(sqlite3.connect(root / "fewclicks.db")) as connection, connection:
            connection.execute(statement)

    return change


def add_video(name: str) -> Callable[[Path], None]:
    given = f"'{name}', 'x', 'x', 1, 1, 1, 1, '.png', 0, 'ready', 0, 0"
    columns = "id, name, sha256, frames, width, height, fps, suffix, added_at, state, round, seq"
    return alter(f"INSERT INTO video ({columns}) VALUES ({given})")


@pytest.mark.parametrize(
    ("about", "change", "message"),
    [
        ({"database": 99}, None, "database version 99, this program knows up to .* Use the newer fewclicks"),
        ({"format": 2}, None, "format version 2, this program knows up to 1"),
        ({"format": "1"}, None, "its format version is '1'"),
        ({"database": None}, None, "its database version is 'None'"),
        ({}, alter("INSERT INTO schema_version VALUES (99, 0)"), "holds no usable project: .* has version 99"),
        ({}, lambda root: (root / "fewclicks.db").unlink(), "holds no usable project: The database is missing"),
        ({}, lambda root: (root / "fewclicks.db").write_bytes(b"x" * 5000), "holds no usable project: The database is"),
        ({}, lambda root: (root / "fewclicks.yaml").write_bytes(b"project: 1"), "holds no usable project"),
        (
            {},
            add_video("../x"),
            "its facts are wrong .*is not a slug",
        ),
        (
            {},
            add_video("x"),
            "lacks 1 file.* videos/x/frames/000000.png",
        ),
    ],
)
def test_what_no_backup_holds_is_refused(
    tmp_path: Path, about: dict[str, object], change: Callable[[Path], None] | None, message: str
) -> None:
    path = archive_of(tmp_path, about, change)
    with pytest.raises(UserError, match=message):
        restore(path, tmp_path / "again")
    assert files_of(tmp_path) == ["made.zip"]


def test_a_fact_that_points_out_of_the_project_is_refused(labeled: tuple[Context, MemoryTool], tmp_path: Path) -> None:
    back_up(labeled[0].layout, tmp_path / "monday.zip")
    for file in ("../../../../etc/hostname", "/etc/hostname", "labels/none.png"):
        shutil.rmtree(tmp_path / "again", ignore_errors=True)
        restore(tmp_path / "monday.zip", tmp_path / "again")
        payload = json.dumps({"file": file})
        alter(f"INSERT INTO event (at, video, round, kind, payload) VALUES (0, '{CLIP}', 1, 'label', '{payload}')")(
            tmp_path / "again"
        )
        found = (p for p in (tmp_path / "again").rglob("*") if p.is_file())
        members = {p.relative_to(tmp_path / "again").as_posix(): p for p in found}
        described = {"format": 1, "database": len(MIGRATIONS)}
        write_archive(tmp_path / "bad.zip", described, members, lambda fraction: None)
        with pytest.raises(UserError, match=r"lacks 1 file|facts are wrong"):
            restore(tmp_path / "bad.zip", tmp_path / "third")
        assert not (tmp_path / "third").exists()


def test_a_full_disk_while_restoring_leaves_nothing(
    labeled: tuple[Context, MemoryTool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    back_up(labeled[0].layout, tmp_path / "monday.zip")
    before = files_of(tmp_path)
    monkeypatch.setattr(restoring.os, "replace", full)
    with pytest.raises(UserError, match="could not be restored: No space left on device"):
        restore(tmp_path / "monday.zip", tmp_path / "again")
    assert files_of(tmp_path) == before
