"""What a run leaves for Prefect's pages to show; tests/end_to_end/test_schedule.py sees it on the real server."""

from __future__ import annotations

import base64
import io
import re
import shutil
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from connectors.memory import MemoryTool
from flows import artifacts
from flows.context import Context
from flows.machine import advance

MakeContext = Callable[..., Context]
CLIP = "clip-0123456789"


class Reachable(MemoryTool):
    """The in-memory tool, with addresses as Label Studio's for a project in which people choose and one to paint."""

    def link(self, keys: object) -> str:
        return "http://127.0.0.1:8080/projects/2/data?labeling=1 and http://127.0.0.1:8080/projects/1/data?labeling=1"


def test_a_run_is_shown_as_table_links_and_picture(
    make_context: MakeContext, truth: Callable[[int], np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(artifacts.DASHBOARD_VARIABLE, raising=False)
    tool = Reachable()
    context = make_context(tool)
    row = context.facts.video(CLIP)
    assert artifacts.rounds_table(context, CLIP) == []
    page = f"http://127.0.0.1:8090/p/{context.layout.slug}/{CLIP}"
    before = artifacts.video_page(context, row)
    assert before.splitlines()[0] == f"**{CLIP}**: ready, round 0"
    assert f"- [Player]({page}/player)" in before
    assert "Label Studio" not in before  # nobody is asked yet
    assert "![" not in before

    advance(context, CLIP)
    tool.play(lambda question: truth(question.sample.frame))
    advance(context, CLIP)
    row = context.facts.video(CLIP)
    (first, second) = artifacts.rounds_table(context, CLIP)
    assert (first["round"], first["asked"], first["answers"], second["answers"]) == (1, 2, 2, 0)
    assert (first["estimated mIoU"][-2:], second["estimated mIoU"], second["fitting s"]) == (" %", None, None)
    told = artifacts.video_page(context, row)
    assert f"**{CLIP}**: waiting, round 2" in told
    for number in (1, 2):
        assert f"- [Label Studio](http://127.0.0.1:8080/projects/{number}/data?labeling=1)" in told
    assert "where most errors are expected" in told

    (picture,) = re.findall(
        r"^!\[Frames 0, 2, 3, 5 of 6 with their masks\]\(data:image/jpeg;base64,(.*)\)$", told, re.M
    )
    image = Image.open(io.BytesIO(base64.b64decode(picture)))
    assert image.width == 2 * 48
    assert image.height > 2 * 32  # and the legend below
    shutil.rmtree(context.layout.videos / CLIP / "frame-errors")
    assert "errors" not in artifacts.video_page(context, row)
    shutil.rmtree(context.layout.videos / CLIP / "masks")
    bare = artifacts.video_page(context, row)
    assert ("![" in bare, "[Player]" in bare) == (False, True)


def test_the_address_of_the_dashboard(make_context: MakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(artifacts.DASHBOARD_VARIABLE, "http://127.0.0.1:1234")
    assert artifacts.dashboard_address(make_context(MemoryTool()).config) == "http://127.0.0.1:1234"
    ours = make_context(MemoryTool(), dashboard={"url": "https://labels.example/street/"}).config
    assert artifacts.dashboard_address(ours) == "https://labels.example/street"


@pytest.mark.parametrize(("count", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (3, 2, 2), (4, 2, 2)])
def test_pictures_stand_two_to_a_row(count: int, rows: int, columns: int) -> None:
    tiles = [np.full((3, 5, 3), n + 1, np.uint8) for n in range(count)]
    sheet = artifacts.contact_sheet(tiles)
    assert sheet.shape == (3 * rows, 5 * columns, 3)
    seen = [int(sheet[3 * (n // columns), 5 * (n % columns), 0]) for n in range(rows * columns)]
    assert seen == [*range(1, count + 1), *[0] * (rows * columns - count)]
