"""Making projects and adding videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flows.adding import add_video
from flows.projects import create_project
from workspace.errors import UserError
from workspace.facts import Facts
from workspace.files import write_image


def images(folder: Path, count: int = 3, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    for index in range(count):
        write_image(folder / f"{index}.png", rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    return folder


def test_names_with_quotes_and_colons_survive_the_settings_file(tmp_path: Path) -> None:
    names = ['say "road"', "a: b", "# no comment", "- item", "<b>", "\\1 & 🚗", "null", "1"]
    layout = create_project(tmp_path / "p", 'title: "x"', names, "a: b")
    config = layout.config()
    assert config.project.class_names == tuple(names)
    assert config.project.background == "a: b"
    assert config.project.name == 'title: "x"'
    assert "every key" in layout.config_file.read_text() or "Every key" in layout.config_file.read_text()


def test_a_project_is_not_made_twice_and_never_half(tmp_path: Path) -> None:
    create_project(tmp_path / "p", None, None, None)
    with pytest.raises(UserError, match="is there already"):
        create_project(tmp_path / "p", None, None, None)
    with pytest.raises(UserError, match="named twice"):
        create_project(tmp_path / "q", None, ["a", "a"], None)
    assert not (tmp_path / "q").exists()
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="is a file"):
        create_project(tmp_path / "file", None, None, None)


def test_the_same_video_is_recognised(tmp_path: Path) -> None:
    layout = create_project(tmp_path / "p", None, None, None)
    facts = Facts.open(layout.database_file)
    settings = layout.config().frames
    first = add_video(layout, facts, settings, images(tmp_path / "clip"))
    again = add_video(layout, facts, settings, images(tmp_path / "other name"))
    assert first.new
    assert not again.new
    assert again.video == first.video
    assert (first.video.frames, first.video.width, first.video.height) == (3, 16, 12)
    assert [p.name for p in layout.videos.iterdir()] == [first.video.id]
    facts.close()


def test_a_broken_video_leaves_nothing_behind(tmp_path: Path) -> None:
    layout = create_project(tmp_path / "p", None, None, None)
    facts = Facts.open(layout.database_file)
    (tmp_path / "clip.mp4").write_bytes(b"not a video")
    with pytest.raises(UserError):
        add_video(layout, facts, layout.config().frames, tmp_path / "clip.mp4")
    assert list(layout.videos.iterdir()) == []
    assert facts.videos() == []
    facts.close()


def test_what_a_killed_add_left_is_replaced(tmp_path: Path) -> None:
    layout = create_project(tmp_path / "p", None, None, None)
    facts = Facts.open(layout.database_file)
    stale = layout.videos / ".adding-4194303-0000"
    (stale / "frames").mkdir(parents=True)
    folder = images(tmp_path / "clip")
    first = add_video(layout, facts, layout.config().frames, folder).video
    assert not stale.exists()
    facts.close()
    # killed between the folder's rename and the fact: the folder is there, the video is not
    layout.database_file.unlink()
    facts = Facts.open(layout.database_file)
    assert add_video(layout, facts, layout.config().frames, folder).video == first
    facts.close()
