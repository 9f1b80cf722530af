"""Labels judged in a real Label Studio, by a person in a browser and by others through the same API."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks.browser import SUBMIT, Page
from connectors.label_studio.annotator import corrected_regions
from connectors.label_studio.client import connected, list_tasks
from connectors.label_studio.server import LabelStudioServer
from connectors.label_studio.tool import LabelStudioTool
from connectors.labeling_tool import Question
from workspace.sample import Sample

pytestmark = [
    pytest.mark.label_studio,
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.xdist_group("label_studio"),
]
H, W = 120, 160
CLASSES = ("road", "car", "sky")
REASON = 'car at x 10, y 8, 16x16 px: the labels before and after say "sky" <b>(100% of it)</b> $image'


def test_accepted_corrected_rejected(
    page: Page, make_label_studio_tool: Callable[..., LabelStudioTool], label_studio_server: LabelStudioServer
) -> None:
    root = label_studio_server.workspace_root
    video = f"review-{uuid.uuid4().hex[:10]}"
    image = root / "videos" / video / "frames" / "000000.png"
    image.parent.mkdir(parents=True)
    cv2.imwrite(str(image), np.full((H, W, 3), 90, np.uint8))
    shown = np.zeros((H, W), np.uint8)
    shown[:, 50:] = 1
    fixed = shown.copy()
    fixed[60:, 100:] = 2
    questions = [
        Question(f"{video}/review-1/{Sample(n).key}", video, "R", 1, Sample(n), image, H, W, shown, note=REASON)
        for n in range(3)
    ]
    keys = [question.key for question in questions]
    tool = make_label_studio_tool(CLASSES, review=True)
    assert tool.push(questions, lambda: None) == 3
    assert make_label_studio_tool(CLASSES, review=True).push(questions, lambda: None) == 0
    assert make_label_studio_tool(CLASSES).project_id() is None  # people who label are in another project

    # the first is accepted by a person, who reads why and sees the label
    page.command("Page.navigate", url=tool.link(keys))
    page.wait_for(f"!!{SUBMIT} && document.querySelectorAll('.lsf-outliner-item').length >= 2")
    page.wait_for("document.querySelector('.konvajs-content canvas')?.width > 100")
    assert REASON.replace("  ", " ") in " ".join(str(page.evaluate("document.body.innerText")).split())
    if os.environ.get("FEWCLICKS_PICTURES"):
        page.screenshot(Path(os.environ["FEWCLICKS_PICTURES"], "review.png"))
    page.evaluate("[...document.querySelectorAll('.lsf-choices input')][0].click()")
    page.evaluate(f"{SUBMIT}.click()")

    def answer(client: Any, task: Any, verdict: str, mask: np.ndarray) -> None:
        chosen = {"from_name": "verdict", "to_name": "image", "type": "choices", "value": {"choices": [verdict]}}
        result = [chosen, *corrected_regions(shown, mask, CLASSES, None)]
        client.annotations.create(id=task.id, result=result, lead_time=2.5)

    with connected(label_studio_server.url, label_studio_server.token) as client:
        rows = list_tasks(client, tool.project_id())
        answer(client, rows[1], "correct", fixed)
        answer(client, rows[2], "reject", shown)
    deadline = time.monotonic() + 60
    while tool.progress(keys).open:  # the browser's answer is on its way
        assert time.monotonic() < deadline
        time.sleep(0.5)
    answers = {item.key: item for item in tool.pull(keys)}
    assert [answers[key].verdict for key in keys] == ["accept", "correct", "reject"]
    np.testing.assert_array_equal(answers[keys[0]].mask, shown)
    assert answers[keys[0]].changed_regions == 0
    np.testing.assert_array_equal(answers[keys[1]].mask, fixed)
