"""The server in Label Studio's place, as the real connector sees it; and wrong words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import load
from benchmarks.task_server import PROJECT, TOKEN, TaskServer
from connectors.label_studio.tool import LabelStudioTool
from flows.budgets import turns
from flows.context import Context
from flows.projects import create_project
from workspace.config import ClassConfig
from workspace.errors import UserError
from workspace.facts import Facts


@pytest.mark.slow
def test_waiting_videos_take_few_requests_however_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = create_project(tmp_path / "project", "loaded", ["road"], None)
    keys = load._fill(layout, 30, 3)
    assert len(keys) == 450
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "")
    with TaskServer(keys) as server:
        load._connect(layout, server.url)
        tool = LabelStudioTool(server.url, TOKEN, "loaded", (ClassConfig(name="road"),), None, layout.root, layout.root)
        with Facts.of(layout) as facts:
            context = Context(layout, layout.config(), facts, tool)
            assert list(turns(context)) == []
            assert server.requests() == 2  # the project, and all tasks
            waiting = [key for key, answered in keys if not answered]
            server.answer(waiting[:6])  # the whole round of the first video, and one of the second
            assert [video for video, _ in turns(context)] == [waiting[0].split("/")[0]]
            assert server.requests() == 4  # the project, what changed, and two counts
    record = json.loads((layout.root / "label-studio-project.json").read_text())
    assert record["project"] == PROJECT


def test_wrong_words_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="7 tasks for 2 videos"):
        load.main(["--videos", "2", "--tasks", "7"])
    with pytest.raises(UserError, match="cannot be written"):
        load.main(["--out", str(tmp_path / "no" / "folder.json")])
