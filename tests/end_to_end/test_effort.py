"""Clicks and seconds of a person at a real browser, counted by the proxy, and in the answer that the loop pulls."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.browser import SUBMIT, Page, browser
from connectors.label_studio.effort_proxy import EffortProxy
from connectors.label_studio.server import LabelStudioServer
from connectors.label_studio.tool import LabelStudioTool
from connectors.labeling_tool import Answer, Question
from workspace.config import ClassConfig
from workspace.sample import Sample, question_key

pytestmark = [
    pytest.mark.label_studio,
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.xdist_group("label_studio"),
]
H, W = 120, 160
VIDEO = "street-0a1b2c3d4e"
READY = f"!!{SUBMIT} && !{SUBMIT}.disabled && document.querySelectorAll('.lsf-outliner-item').length >= 2"


@pytest.fixture
def page(chromium_here: None, label_studio_server: LabelStudioServer, proxy: EffortProxy) -> Iterator[Page]:
    """A tab of a browser, logged in through the proxy."""
    with browser(proxy.url, label_studio_server.email, label_studio_server.password) as opened:
        yield opened


@pytest.fixture
def proxy(label_studio_server: LabelStudioServer, tmp_path: Path) -> Iterator[EffortProxy]:
    proxy = EffortProxy(label_studio_server.url, tmp_path / "effort.jsonl").start()
    yield proxy
    proxy.stop()


def answer_to(tool: LabelStudioTool, key: str) -> Answer:
    deadline = time.monotonic() + 30
    while True:  # its effort is written a moment after the answer is there
        answers = list(tool.pull([key]))
        if answers and answers[0].effort is not None:
            return answers[0]
        assert time.monotonic() < deadline, answers
        time.sleep(0.3)


def test_the_clicks_in_the_answer_are_those_that_were_made(
    page: Page, label_studio_server: LabelStudioServer, proxy: EffortProxy, tmp_path: Path
) -> None:
    root = label_studio_server.workspace_root
    folder = root / "videos" / "effort"
    folder.mkdir(parents=True, exist_ok=True)
    shown = np.zeros((H, W), np.uint8)
    shown[:, 50:] = 1
    questions = []
    for frame in range(2):
        image = folder / f"{frame:06d}.png"
        cv2.imwrite(str(image), np.full((H, W, 3), 90, np.uint8))
        sample = Sample(frame)
        key = question_key(VIDEO, 1, sample)
        questions.append(Question(key, VIDEO, "S", 1, sample, image, H, W, shown, "m"))
    tool = LabelStudioTool(
        label_studio_server.url,
        label_studio_server.token,
        title="effort",
        classes=tuple(ClassConfig(name=name) for name in ("road", "car", "sky")),
        background=None,
        files_root=root,
        workspace_root=root,
        project_file=tmp_path / "project.json",
        people_url=proxy.url,
        effort_file=tmp_path / "effort.jsonl",
    )
    tool.push(questions, lambda: None)
    first, second = (question.key for question in questions)

    began = time.monotonic()
    page.open(tool.link([first]))
    assert tool.link([first]).startswith(proxy.url)
    page.wait_for(READY)
    page.wait_for("document.querySelector('.konvajs-content canvas')?.width > 100")  # the image came through the proxy
    for label in (1, 2, 0):
        page.click(f"document.querySelectorAll('.lsf-label')[{label}]")
        time.sleep(0.3)
    page.press("2")
    page.evaluate("window.dispatchEvent(new PointerEvent('pointerdown'))")  # a script's click is no person's
    page.click(SUBMIT)
    answer = answer_to(tool, first)
    assert answer.effort is not None
    assert (answer.effort.clicks, answer.effort.keys) == (4, 1)
    assert 0.9 < answer.effort.active_seconds <= answer.effort.wall_seconds <= time.monotonic() - began

    # the next task begins at nothing
    page.wait_for(READY)
    time.sleep(1)
    page.click(SUBMIT)
    answer = answer_to(tool, second)
    assert answer.effort is not None
    assert (answer.effort.clicks, answer.effort.keys) == (1, 0)
    assert answer.effort.active_seconds < 1
    np.testing.assert_array_equal(answer.mask, shown)
