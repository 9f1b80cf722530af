"""A project that is shared on one machine and joined on another, by the commands."""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
import pytest

from connectors.label_studio.project import RECORDS, load_record
from connectors.label_studio.tool import LabelStudioTool
from connectors.memory import MemoryTool
from fewclicks.exporting import Format, export
from fewclicks.projects import add
from fewclicks.sharing import fetch, join, share
from flows import machine
from flows.context import open_context
from flows.machine import Outcome
from flows.projects import create_project
from flows.tools import label_studio_tool
from workspace.errors import UserError
from workspace.facts import Facts
from workspace.files import read_mask, write_image
from workspace.layout import Layout


def test_what_one_machine_shares_another_joins_and_labels(
    tmp_path: Path, postgres_server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there, schema = tmp_path / "here", tmp_path / "there", f"shared_{uuid.uuid4().hex[:8]}"
    layout = create_project(here, "street", ["ground", "box"], None)
    settings = layout.config_file.read_text()
    for old, new in (
        ("database: null", f"database: {postgres_server}"),
        ("schema_name: null", f"schema_name: {schema}"),
        ("name: mobilenet_v2", "name: compact"),
        ("weights: DEFAULT", "weights: null"),
        ("rounds: 10", "rounds: 1"),
        ("decoder_steps: 300", "decoder_steps: 3"),
        ("tuning_steps: 300", "tuning_steps: 3"),
    ):
        assert old in settings
        settings = settings.replace(old, new, 1)
    layout.config_file.write_text(settings)
    for index in range(4):
        write_image(tmp_path / "clip" / f"{index}.png", np.full((32, 48, 3), 40 * index, np.uint8))
    add(here, [tmp_path / "clip"])
    with pytest.raises(UserError, match=r"lie in its folder only\. Set workspace\.remote"):
        share(here)
    with pytest.raises(UserError, match="No project was shared"):
        join(there, postgres_server, schema)
    with pytest.raises(UserError, match="holds no project 'nobody'"):
        join(there, postgres_server, "nobody")
    assert not there.exists()

    # the video was added before there was a store
    settings = settings.replace("remote: null", f"remote: file://{tmp_path}/store", 1)
    layout.config_file.write_text(settings)
    with pytest.raises(UserError, match="pictures of one machine"):
        label_studio_tool(layout, layout.config())
    share(here)
    told = capsys.readouterr().out
    assert "4 file(s) stored" in told
    assert f"fewclicks join DIR --database {postgres_server} --schema {schema}" in told
    share(here)
    assert "0 file(s) stored" in capsys.readouterr().out
    join(there, postgres_server, schema)
    assert (there / "fewclicks.yaml").read_text() == settings
    for name in RECORDS:  # both will find the same Label Studio projects
        assert load_record(there / name) == load_record(here / name)

    tool = MemoryTool(answer=lambda question: np.eye(question.height, question.width, dtype=np.uint8))
    context = open_context(there, tool)
    (row,) = context.facts.videos()
    assert machine.advance(context, row.video.id) is Outcome.DONE
    context.facts.close()
    capsys.readouterr()
    export(here, [Format.PNG], False, None, tmp_path / "out")  # brings the masks here
    masks = sorted((tmp_path / "out").rglob("[0-9]*.png"))
    assert len(masks) == 4
    assert (read_mask(masks[0])[:32, :32].diagonal() == 1).all()
    fetch(here)
    assert "the files of 1 video(s) are here" in capsys.readouterr().out

    # who differs from what was shared does not work on the project
    (there / "fewclicks.yaml").write_text(settings.replace("budget: 5", "budget: 7", 1))
    with pytest.raises(UserError, match="is not what the project was shared with"):
        open_context(there, tool)
    share(there)
    with pytest.raises(UserError, match="is not what the project was shared with"):
        open_context(here, tool)
    join(here, postgres_server, schema)
    open_context(here, tool).facts.close()
    (here / RECORDS[0]).unlink()  # `run --new-project`
    with pytest.raises(UserError, match="other Label Studio projects"):
        open_context(here, tool)
    other = create_project(tmp_path / "other", None, ["ground"], None)
    with pytest.raises(UserError, match="Another project lies in"):
        join(other.root, postgres_server, schema)
    # nobody changes facts past the store
    with Facts.of(Layout(here)) as facts, pytest.raises(AssertionError):
        facts.claim(row.video.id, 1.0)


def test_the_records_are_those_of_the_tool(tmp_path: Path) -> None:
    names = set()
    for review in (False, True):
        tool = LabelStudioTool("http://127.0.0.1:9", "key", "title", (), None, tmp_path, tmp_path, review=review)
        names |= {desk.file.name for desk in (tool._painting, tool._choosing)}
    assert names == set(RECORDS)
