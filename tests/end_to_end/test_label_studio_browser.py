"""A person's browser: what Label Studio's own page makes of our project, in a real Chromium over its debugging port."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from benchmarks.browser import SUBMIT, Page
from connectors.label_studio.labeling_config import label_texts
from connectors.label_studio.server import LabelStudioServer
from connectors.label_studio.tool import LabelStudioTool
from connectors.labeling_tool import Question
from workspace.sample import Sample, question_key

pytestmark = [
    pytest.mark.label_studio,
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.xdist_group("label_studio"),
]

H, W = 120, 160
MARKUP = "<img src=x onerror=window.broken=1>"
NAMES = ("road", ' "a<b>&"  😀 ', "$image", "{{idx}} line\nbreak", "sky", MARKUP, "x" * 200)
VIDEO_NAME = f"""{MARKUP} "it's" 😀 {"v" * 160}"""


def test_a_person_sees_the_classes_and_the_prediction_corrects_it_and_submits(
    page: Page, make_label_studio_tool: Callable[..., LabelStudioTool], label_studio_server: LabelStudioServer
) -> None:
    folder = label_studio_server.workspace_root / "videos" / "brow ser"
    folder.mkdir(parents=True, exist_ok=True)
    shown = np.zeros((H, W), np.uint8)
    shown[:, 50:] = 1
    shown[60:, 100:] = 2
    questions = []
    for frame in range(2):
        image = folder / f"{frame:06d}.png"
        cv2.imwrite(str(image), np.full((H, W, 3), 90, np.uint8))
        sample = Sample(frame)
        key = question_key("street-0a1b2c3d4e", 1, sample)
        questions.append(Question(key, "street-0a1b2c3d4e", VIDEO_NAME, 1, sample, image, H, W, shown, "m"))
    tool = make_label_studio_tool(NAMES)
    tool.push(questions, lambda: None)

    # the table of tasks shows the video's name as it is
    page.open(f"{label_studio_server.url}/projects/{tool.project_id()}/data")
    page.wait_for(f"!!document.body && document.body.innerText.includes({json.dumps(VIDEO_NAME[:60])})")
    page.open(tool.link([q.key for q in questions]))
    page.wait_for(f"!!{SUBMIT} && document.querySelectorAll('.lsf-outliner-item').length >= 3")
    script = "JSON.stringify([...document.querySelectorAll('.lsf-label')].map(e => e.innerText))"
    labels = [re.sub(r"\s+", " ", text).strip() for text in json.loads(page.evaluate(script))]
    # each label is followed by its hotkey where it has one; brush first, then polygon
    for k, text in enumerate(label_texts(NAMES)):
        assert labels[k] == f"{text} {k + 1}"
        assert labels[len(NAMES) + k].startswith(text)
    assert page.evaluate("window.broken") is None
    page.wait_for("document.querySelector('.konvajs-content canvas')?.width > 100")  # the image has come

    # the first frame is accepted as it is
    page.evaluate(f"{SUBMIT}.click()")
    first = questions[0].key
    deadline = time.monotonic() + 30
    while tool.progress([first]).open:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    (answer,) = tool.pull([first])
    np.testing.assert_array_equal(answer.mask, shown)
    assert answer.changed_regions == 0
    assert answer.seconds > 0

    # in the second one, a stroke of another class goes over the middle
    second = questions[1].key
    page.wait_for(f"!!{SUBMIT} && !{SUBMIT}.disabled && document.querySelectorAll('.lsf-outliner-item').length >= 3")
    time.sleep(1)
    page.evaluate("document.querySelectorAll('.lsf-label')[4].click()")
    time.sleep(0.5)
    box = "document.querySelector('.konvajs-content').getBoundingClientRect()"
    x, y, width, height = json.loads(page.evaluate(f"(r => JSON.stringify([r.x, r.y, r.width, r.height]))({box})"))
    page.drag([(x + width * f, y + height * 0.5) for f in (0.2, 0.3, 0.4, 0.5, 0.6)])
    page.wait_for("document.querySelectorAll('.lsf-outliner-item').length >= 4")
    page.evaluate(f"{SUBMIT}.click()")
    deadline = time.monotonic() + 30
    while tool.progress([second]).open:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    (answer,) = tool.pull([second])
    assert answer.mask is not None
    stroke = answer.mask == 4
    assert stroke[H // 2, int(W * 0.25) : int(W * 0.55)].all()
    assert 0 < stroke.sum() < H * W / 3
    np.testing.assert_array_equal(answer.mask[~stroke], shown[~stroke])
    assert answer.changed_regions == 1
