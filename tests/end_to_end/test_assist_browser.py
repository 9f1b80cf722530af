"""Clicks and boxes in Label Studio's own page become masks, by the help server; what is submitted is what was shown."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from assist.robot import overlap
from assist.snapping import Snapper
from benchmarks.browser import SUBMIT, Page
from connectors.label_studio.assist_connection import AssistAddress
from connectors.label_studio.brush import decode_brush
from connectors.label_studio.client import connected, request, tasks_answered_with
from connectors.label_studio.server import LabelStudioServer
from connectors.label_studio.tool import LabelStudioTool
from connectors.labeling_tool import Question
from tests.assist_fixture import PASSWORD, USER, serving
from workspace.config import ClassConfig
from workspace.sample import Sample, question_key

pytestmark = [
    pytest.mark.label_studio,
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.xdist_group("label_studio"),
]

H, W = 240, 320
ALT = 1
BOXES = """<View><Image name="image" value="$image"/><RectangleLabels name="box" toName="image" smart="true"
smartOnly="true"><Label value="thing"/></RectangleLabels></View>"""
ACCEPT = "document.querySelector('[data-testid=\"bottombar-accept-suggestions-button\"]')"


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A bluish ground with a reddish disk that touches a slightly different reddish square: image, disk."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:H, :W]
    disk = (rows - 120) ** 2 + (columns - 110) ** 2 < 60**2
    square = (abs(rows - 120) < 40) & (columns >= 165) & (columns < 250) & ~disk
    image = np.where(disk[..., None], [60, 70, 200], np.where(square[..., None], [60, 100, 190], [170, 90, 40]))
    return np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8), disk


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def helped_tool(server: LabelStudioServer, folder: Path, assist: AssistAddress | None) -> LabelStudioTool:
    return LabelStudioTool(
        server.url,
        server.token,
        title="helped",
        classes=tuple(ClassConfig(name=name) for name in ("ground", "thing")),
        background="ground",
        files_root=server.workspace_root,
        workspace_root=server.workspace_root,
        project_file=folder / "project.json",
        assist=assist,
        click_file=folder / "clicks.jsonl",
    )


def check_connection(tool: LabelStudioTool, server: LabelStudioServer, url: str) -> None:
    """One backend that is connected, and its webhook, which Label Studio makes without a password, has ours."""
    project = tool.project_id()
    with connected(server.url, server.token) as client:
        (backend,) = client.ml.list(project=project)
        assert (backend.url, backend.state, backend.is_interactive) == (url, "CO", True)
        (hook,) = request(client, "GET", "api/webhooks/", params={"project": project})
        assert hook["url"] == f"{url}/webhook"
        assert httpx.post(hook["url"], json={}, trust_env=False).status_code == 401
        assert httpx.post(hook["url"], json={}, headers=hook["headers"], trust_env=False).status_code == 200


def click(page: Page, x: float, y: float, modifiers: int = 0) -> None:
    """With the smart key point of the class "thing", at a point of the picture. The class is picked for every click."""
    left, top, _, height = page.box("document.querySelector('.konvajs-content')")
    label = "document.querySelectorAll('.lsf-label')[3]"
    page.evaluate(f"{label}.className.includes('selected') || {label}.click()")
    page.wait_for(f"{label}.className.includes('selected')")
    place = {"x": left + x * height / H, "y": top + y * height / H, "modifiers": modifiers}
    held = {"button": "left", "buttons": 1, "clickCount": 1}
    page.command("Input.dispatchMouseEvent", type="mouseMoved", **place)
    page.command("Input.dispatchMouseEvent", type="mousePressed", **place, **held)
    page.command("Input.dispatchMouseEvent", type="mouseReleased", **place, **held)


def test_a_click_becomes_a_mask_that_a_second_click_corrects_and_that_is_submitted(
    page: Page, label_studio_server: LabelStudioServer, tmp_path: Path
) -> None:
    image, disk = scene()
    folder = label_studio_server.workspace_root / "videos" / "assist"
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / "000000.png"), image)
    key = question_key("helped-0a1b2c3d4e", 1, Sample(0))
    question = Question(key, "helped-0a1b2c3d4e", "S", 1, Sample(0), folder / "000000.png", H, W, None, "")
    # help that cannot be reached is not in the way: the question is asked all the same
    nowhere = AssistAddress("http://127.0.0.1:9", USER, PASSWORD)
    assert helped_tool(label_studio_server, tmp_path, nowhere).push([question], lambda: None) == 1
    answers: list[list[dict[str, Any]]] = []
    with serving(label_studio_server, answers, click_file=tmp_path / "clicks.jsonl") as url:
        tool = helped_tool(label_studio_server, tmp_path, AssistAddress(url, USER, PASSWORD))
        tool.push([question], lambda: None)
        check_connection(tool, label_studio_server, url)
        page.open(f"{label_studio_server.url}/user/account")
        switches = {"autoAnnotation": "true", "autoAcceptSuggestions": "false"}
        for name, value in switches.items():
            page.evaluate(f"localStorage.setItem('{name}', '{value}')")
        page.open(tool.link([key]))
        page.wait_for(f"!!{SUBMIT} && document.querySelector('.konvajs-content canvas')?.width > 100")
        page.wait_for("document.querySelectorAll('.lsf-label').length == 6")
        time.sleep(1)
        page.evaluate("document.querySelectorAll('.lsf-label')[3].click()")
        page.press("m")
        click(page, 110, 120)
        page.wait_for(f"!!{ACCEPT}")
        wait_for(lambda: len(answers) == 1)
        click(page, 210, 120, ALT)
        wait_for(lambda: len(answers) == 2)
        # the first click takes both, which are of nearly one colour; the second one takes the square away
        first, second = (decode_brush(answer[0]["value"]["rle"], H, W) for answer in answers)
        assert first[120, 110]
        assert first[120, 210]
        assert second[120, 110]
        assert not second[120, 210]
        page.wait_for("document.querySelectorAll('.lsf-outliner-item').length == 2")
        time.sleep(1)
        page.click(ACCEPT)
        page.wait_for("document.querySelectorAll('.lsf-outliner-item').length == 1")
        page.evaluate(f"{SUBMIT}.click()")
        wait_for(lambda: tool.progress([key]).answered == {key})
        (answer,) = tool.pull([key])
        assert answer.mask is not None
        assert overlap(answer.mask == 1, disk.astype(np.uint8)) > 0.95
        np.testing.assert_array_equal(answer.mask == 1, second)
        assert answer.changed_regions == 1
        # how it was clicked came with it, by Label Studio's own call when it was submitted
        (sequence,) = answer.clicked
        assert [one.positive for one in sequence] == [True, False]
        assert [(one.x * W, one.y * H) for one in sequence] == [
            (pytest.approx(110, abs=2), pytest.approx(120, abs=2)),
            (pytest.approx(210, abs=2), pytest.approx(120, abs=2)),
        ]
        assert sequence[1].seconds > 0
        assert sequence[1].area == pytest.approx(second.mean(), abs=1e-5)

        # no help any more: the next push disconnects it, and takes its webhook away
        second_key = question_key("helped-0a1b2c3d4e", 1, Sample(1))
        more = Question(second_key, "helped-0a1b2c3d4e", "S", 1, Sample(1), folder / "000000.png", H, W, None, "")
        helped_tool(label_studio_server, tmp_path, None).push([more], lambda: None)
        with connected(label_studio_server.url, label_studio_server.token) as client:
            assert client.ml.list(project=tool.project_id()) == []
            assert not request(client, "GET", "api/webhooks/", params={"project": tool.project_id()})
            assert "KeyPoint" not in client.projects.get(tool.project_id()).label_config


def test_a_rough_box_snaps_in_a_project_of_boxes(
    page: Page, label_studio_server: LabelStudioServer, tiny_model: Path
) -> None:
    image, _ = scene()
    folder = label_studio_server.workspace_root / "videos" / "assist"
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / "boxes.png"), image)
    answers: list[list[dict[str, Any]]] = []
    with (
        serving(label_studio_server, answers, Snapper.of(tiny_model)) as url,
        connected(label_studio_server.url, label_studio_server.token) as client,
    ):
        project = client.projects.create(title="boxes", label_config=BOXES)
        address = "/data/local-files/?d=videos/assist/boxes.png"
        served = {"project": project.id, "path": str(folder), "title": "boxes", "use_blob_urls": True}
        client.import_storage.local.create(**served)
        client.projects.import_tasks(project.id, request=[{"data": {"image": address}}])
        login = {"auth_method": "BASIC_AUTH", "basic_auth_user": USER, "basic_auth_pass": PASSWORD}
        client.ml.create(project=project.id, url=url, title="boxes", is_interactive=True, **login)
        page.open(f"{label_studio_server.url}/user/account")
        for name in ("autoAnnotation", "autoAcceptSuggestions"):
            page.evaluate(f"localStorage.setItem('{name}', 'true')")
        page.open(f"{label_studio_server.url}/projects/{project.id}/data?labeling=1")
        page.wait_for(f"!!{SUBMIT} && document.querySelector('.konvajs-content canvas')?.width > 100")
        page.wait_for("document.querySelectorAll('.lsf-label').length == 1")
        time.sleep(1)
        page.evaluate("document.querySelectorAll('.lsf-label')[0].click()")
        page.press("m")
        time.sleep(0.5)
        left, top, _, height = page.box("document.querySelector('.konvajs-content')")
        zoom = height / H
        page.drag([(left + x * zoom, top + y * zoom) for x, y in ((42, 52), (80, 90), (120, 130), (180, 188))])
        wait_for(lambda: len(answers) == 1)
        page.wait_for("document.querySelectorAll('.lsf-outliner-item').length == 1")
        time.sleep(2)
        page.evaluate(f"{SUBMIT}.click()")
        wait_for(lambda: any(task.total_annotations for task in client.tasks.list(project=project.id)))
        (task,) = client.tasks.list(project=project.id, fields="all")
        (region,) = task.annotations[0]["result"]
        unsure = tasks_answered_with(client, project.id, "look at: ")
    # the tiny model is not sure of every edge: that is stored with the box, and a filter finds the task by it
    assert region["meta"]["text"] == answers[0][0]["meta"]["text"]
    assert "look at: " in region["meta"]["text"][0]
    assert unsure == [task.id]
    # the one box that is stored is the one that was answered, not the one that was drawn
    assert region["type"] == "rectanglelabels"
    for name in ("x", "y", "width", "height"):
        assert region["value"][name] == pytest.approx(answers[0][0]["value"][name], abs=0.01)
