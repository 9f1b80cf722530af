"""What only a real Label Studio server can show; what it shares with the other tools is in tests/contracts."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

import connectors.label_studio.client as client_module
from connectors.label_studio.annotator import LabelStudioAnnotator
from connectors.label_studio.client import connected, list_tasks
from connectors.label_studio.project import load_record, make_record
from connectors.label_studio.regions import brush_region
from connectors.label_studio.server import LabelStudioServer
from connectors.label_studio.tool import LabelStudioTool
from connectors.labeling_tool import Question
from workspace.config import ClassConfig
from workspace.errors import ToolUnavailable, UserError
from workspace.files import read_json, write_json
from workspace.mask import UNKNOWN
from workspace.sample import Sample, question_key

pytestmark = [pytest.mark.label_studio, pytest.mark.slow, pytest.mark.xdist_group("label_studio")]

H, W = 20, 30
VIDEO = "street-0a1b2c3d4e"
Make = Callable[..., LabelStudioTool]


def nothing() -> None:
    """before_write of a process that may always go on."""


@pytest.fixture
def ask(label_studio_server: LabelStudioServer) -> Callable[..., Question]:
    folder = label_studio_server.workspace_root / "videos" / "frames"
    folder.mkdir(parents=True, exist_ok=True)

    def make(frame: int, prediction: Any = None) -> Question:
        image = folder / f"{frame:06d}.png"
        if not image.exists():
            cv2.imwrite(str(image), np.zeros((H, W, 3), np.uint8))
        sample = Sample(frame)
        return Question(question_key(VIDEO, 1, sample), VIDEO, "Street", 1, sample, image, H, W, prediction, "m")

    return make


@pytest.fixture
def api(label_studio_server: LabelStudioServer) -> Iterator[Any]:
    """The SDK's client, for what people do."""
    with connected(label_studio_server.url, label_studio_server.token) as client:
        yield client


def task_ids(api: Any, tool: LabelStudioTool) -> list[int]:
    project = tool.project_id()
    assert project is not None
    return [row.id for row in list_tasks(api, project)]


def copy_task(api: Any, tool: LabelStudioTool, copies: int) -> None:
    """What a push that was repeated behind our back leaves."""
    (task,) = task_ids(api, tool)
    data = api.tasks.get(str(task)).data
    api.projects.import_tasks(tool.project_id(), request=[{"data": data}] * copies)


def test_surplus_copies_go_and_the_oldest_stays(make_label_studio_tool: Make, ask: Any, api: Any) -> None:
    tool, question = make_label_studio_tool(), ask(0)
    tool.push([question], nothing)
    copy_task(api, tool, 2)
    first, _, _ = task_ids(api, tool)
    assert tool.progress([question.key]).open == {question.key}
    assert task_ids(api, tool) == [first]
    copy_task(api, tool, 1)
    writes: list[int] = []
    assert tool.push([question], lambda: writes.append(1)) == 0
    assert task_ids(api, tool) == [first]
    assert len(writes) == 1


def test_the_answered_copy_stays(make_label_studio_tool: Make, ask: Any, api: Any) -> None:
    tool, question = make_label_studio_tool(), ask(0)
    tool.push([question], nothing)
    copy_task(api, tool, 2)
    _, second, _ = task_ids(api, tool)
    api.annotations.create(id=second, result=[], lead_time=2.5)
    (answer,) = tool.pull([question.key])
    assert answer.seconds == 2.5
    assert task_ids(api, tool) == [second]
    assert tool.progress([question.key]).answered == {question.key}


def test_two_answered_copies_both_stay_and_are_both_pulled(make_label_studio_tool: Make, ask: Any, api: Any) -> None:
    tool, question = make_label_studio_tool(), ask(0)
    tool.push([question], nothing)
    copy_task(api, tool, 2)
    first, second, third = task_ids(api, tool)
    for task in (third, first):
        api.annotations.create(id=task, result=[])
    assert [answer.raw["task"] for answer in tool.pull([question.key])] == [third, first]
    assert task_ids(api, tool) == [first, third]
    assert second not in task_ids(api, tool)


def test_a_copy_that_somebody_is_working_on_is_not_deleted(
    make_label_studio_tool: Make, ask: Any, api: Any, label_studio_server: LabelStudioServer
) -> None:
    tool, question = make_label_studio_tool(), ask(0)
    tool.push([question], nothing)
    copy_task(api, tool, 2)
    first, second, _ = task_ids(api, tool)
    header = {"Authorization": f"Token {label_studio_server.token}"}
    draft = {"result": [brush_region("a", "car", np.ones((H, W), bool))], "lead_time": 1}
    address = f"{label_studio_server.url}/api/tasks/{second}/drafts?project={tool.project_id()}"
    assert httpx.post(address, json=draft, headers=header, timeout=120).status_code == 201
    assert tool.progress([question.key]).open == {question.key}
    assert task_ids(api, tool) == [first, second]


def test_processes_that_push_the_same_at_once_ask_once_in_one_project(
    make_label_studio_tool: Make, ask: Any, api: Any
) -> None:
    questions = [ask(i, np.full((H, W), i % 3, np.uint8)) for i in range(4)]
    tools = [make_label_studio_tool() for _ in range(3)]
    together = threading.Barrier(3)

    def push(tool: LabelStudioTool) -> int:
        together.wait()
        return tool.push(questions, nothing)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(push, tools))
    keys = [q.key for q in questions]
    assert tools[0].progress(keys).open == set(keys)
    assert len(task_ids(api, tools[0])) == 4
    assert len({tool.project_id() for tool in tools}) == 1
    record = load_record(tools[0]._project_file)
    assert record is not None
    ours = [p for p in api.projects.list(page_size=100) if record.marker in (p.description or "")]
    assert [p.id for p in ours if p.task_number] == [tools[0].project_id()]


def test_a_project_whose_id_was_never_written_down_is_found(make_label_studio_tool: Make, ask: Any, api: Any) -> None:
    tool = make_label_studio_tool()
    tool.push([ask(0)], nothing)
    record = read_json(tool._project_file)
    project = record["project"]
    write_json(tool._project_file, {"marker": record["marker"]})  # as killed just after the project was made
    again = make_label_studio_tool()
    assert again.progress([ask(0).key]).open == {ask(0).key}
    assert again.project_id() == project
    write_json(tool._project_file, {"marker": record["marker"]})
    assert make_label_studio_tool().push([ask(0)], nothing) == 0


def test_a_renamed_and_redescribed_project_is_still_ours(make_label_studio_tool: Make, ask: Any, api: Any) -> None:
    tool = make_label_studio_tool()
    tool.push([ask(0)], nothing)
    api.projects.update(tool.project_id(), title="Somebody's title", description="Somebody's words")
    assert tool.progress([ask(0).key]).open == {ask(0).key}
    assert tool.push([ask(0)], nothing) == 0


def test_a_deleted_project_is_an_error_that_says_what_to_do(make_label_studio_tool: Make, ask: Any, api: Any) -> None:
    tool, question = make_label_studio_tool(), ask(0)
    tool.push([question], nothing)
    old = tool.project_id()
    api.projects.delete(old)
    for attempt in (
        lambda: tool.push([question], nothing),
        lambda: tool.progress([question.key]),
        lambda: list(tool.pull([question.key])),
    ):
        with pytest.raises(UserError, match=rf"project {old} is gone from http.*--new-project") as caught:
            attempt()
        assert not isinstance(caught.value, ToolUnavailable)
    # SQLite gives the id to the next project, which is not ours
    other = api.projects.create(title="another", label_config='<View><Text name="t" value="$t"/></View>')
    with pytest.raises(UserError, match="is gone"):
        tool.progress([question.key])
    tool.forget_project()
    assert tool.push([question], nothing) == 1
    assert tool.progress([question.key]).open == {question.key}
    assert tool.project_id() != other.id


def test_a_project_deleted_while_we_look_does_not_read_as_all_gone(
    make_label_studio_tool: Make, ask: Any, api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool, question = make_label_studio_tool(), ask(0)
    tool.push([question], nothing)

    def deleted_just_now(*arguments: Any) -> Any:
        api.projects.delete(tool.project_id())
        return list_tasks(*arguments)

    monkeypatch.setattr("connectors.label_studio.listings.each_task", deleted_just_now)
    with pytest.raises(UserError, match="is gone"):
        tool.progress([question.key])


def test_without_a_project_nothing_is_called_gone(make_label_studio_tool: Make, ask: Any) -> None:
    with pytest.raises(UserError, match="no Label Studio project"):
        make_label_studio_tool().progress([ask(0).key])


def test_a_refused_token_is_named_with_its_source_and_never_shown(make_label_studio_tool: Make, ask: Any) -> None:
    for token in ("f00df00df00df00df00df00df00df00df00df00d", "odd\ntoken", "tökèn"):
        with pytest.raises(ToolUnavailable, match=r"access token.*LABEL_STUDIO_API_KEY") as caught:
            make_label_studio_tool(api_key=token).push([ask(0)], nothing)
        assert token not in str(caught.value)


def test_a_server_that_is_down_is_named_with_its_address(make_label_studio_tool: Make, ask: Any) -> None:
    with pytest.raises(ToolUnavailable, match=r"http://127\.0\.0\.1:9 does not answer.*fewclicks serve"):
        make_label_studio_tool(url="http://127.0.0.1:9").push([ask(0)], nothing)
    with pytest.raises(ToolUnavailable, match="does not answer"):
        make_label_studio_tool(url="no address").push([ask(0)], nothing)


@pytest.mark.parametrize(("status", "message"), [(200, "not Label Studio"), (503, "in trouble"), (403, "refuses the")])
def test_something_else_at_the_address_is_told_apart(
    status: int, message: str, make_label_studio_tool: Make, ask: Any
) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        do_POST = do_GET  # noqa: N815

        def log_message(self, *arguments: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with pytest.raises(ToolUnavailable, match=message):
                make_label_studio_tool(url=f"http://127.0.0.1:{server.server_port}").push([ask(0)], nothing)
        finally:
            server.shutdown()
            thread.join()


def test_a_personal_access_token_does_as_well(
    make_label_studio_tool: Make, ask: Any, label_studio_server: LabelStudioServer
) -> None:
    with httpx.Client(base_url=label_studio_server.url, timeout=120, follow_redirects=True) as browser:
        page = browser.get("/user/login/").text
        form = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert form is not None
        fields = {"csrfmiddlewaretoken": form[1], "email": label_studio_server.email}
        browser.post("/user/login/", data={**fields, "password": label_studio_server.password})
        made = browser.post("/api/token/", headers={"X-CSRFToken": browser.cookies["csrftoken"]})
    assert made.status_code == 201
    personal = made.json()["token"]
    assert personal.count(".") == 2  # not the legacy kind
    tool = make_label_studio_tool(api_key=personal)
    assert tool.push([ask(0)], nothing) == 1
    assert tool.progress([ask(0).key]).open == {ask(0).key}
    project = tool.project_id()
    assert project is not None
    classes = (ClassConfig(name="road"),)
    annotator = LabelStudioAnnotator(label_studio_server.url, personal, project, classes)
    assert annotator.play(lambda question: np.zeros((H, W), np.uint8)) == 1
    assert [a.key for a in tool.pull([ask(0).key])] == [ask(0).key]


def test_brush_and_polygon_over_a_background(make_label_studio_tool: Make, ask: Any, api: Any) -> None:
    tool, question = make_label_studio_tool(background="sky"), ask(0)
    tool.push([question], nothing)
    left = np.zeros((H, W), bool)
    left[:, :10] = True
    polygon = {
        "id": "p",
        "from_name": "polygon",
        "to_name": "image",
        "type": "polygonlabels",
        "original_width": W,
        "original_height": H,
        "image_rotation": 0,
        "value": {"points": [[0, 0], [50, 0], [50, 50], [0, 50]], "polygonlabels": ["car"], "closed": True},
        "origin": "manual",
    }
    (task,) = task_ids(api, tool)
    api.annotations.create(id=task, result=[brush_region("b", "road", left, "manual"), polygon], lead_time=7.25)
    (answer,) = tool.pull([question.key])
    expected = np.full((H, W), 2, np.uint8)
    expected[:, :10] = 0
    expected[:10, :15] = 1
    np.testing.assert_array_equal(answer.mask, expected)
    assert (answer.seconds, answer.changed_regions) == (7.25, 2)
    assert answer.raw["result"][1]["value"]["points"] == polygon["value"]["points"]
    assert "@" in answer.annotator


def test_the_background_of_a_prediction_is_not_drawn_and_comes_back(
    make_label_studio_tool: Make, ask: Any, api: Any, label_studio_server: LabelStudioServer
) -> None:
    prediction = np.full((H, W), 2, np.uint8)
    prediction[5:9] = 1
    tool, question = make_label_studio_tool(background="sky"), ask(0, prediction)
    tool.push([question], nothing)
    (task,) = task_ids(api, tool)
    (shown,) = api.tasks.get(str(task)).model_dump(mode="json")["predictions"]
    assert [region["value"]["brushlabels"] for region in shown["result"]] == [["car"]]
    project = tool.project_id()
    assert project is not None
    assert api.projects.get(project).model_version == shown["model_version"]  # else the browser shows none
    classes = tuple(ClassConfig(name=name) for name in ("road", "car", "sky"))
    annotator = LabelStudioAnnotator(
        label_studio_server.url, label_studio_server.token, project, classes, background="sky"
    )
    annotator.play(lambda asked: asked.prediction)
    (answer,) = tool.pull([question.key])
    np.testing.assert_array_equal(answer.mask, prediction)


def test_a_broken_annotation_does_not_block_the_others(
    make_label_studio_tool: Make, ask: Any, api: Any, caplog: pytest.LogCaptureFixture
) -> None:
    tool, questions = make_label_studio_tool(background="sky"), [ask(0), ask(1)]
    tool.push(questions, nothing)
    first, second = task_ids(api, tool)
    whole = np.ones((H, W), bool)
    api.annotations.create(id=first, result=[{"nonsense": True}, brush_region("a", "no such class", whole)])
    api.annotations.create(id=second, result=[brush_region("a", "car", whole)])
    with caplog.at_level(logging.WARNING):
        broken, good = tool.pull([q.key for q in questions])
    assert (broken.mask == UNKNOWN).all()
    assert not broken.skipped
    assert (good.mask == 1).all()
    assert f"/projects/{tool.project_id()}/data?task={first}" in caplog.text
    assert "no such class" in caplog.text


def test_class_names_of_any_spelling_come_back_as_their_class(
    make_label_studio_tool: Make, ask: Any, label_studio_server: LabelStudioServer
) -> None:
    names = ('"quoted"', "<b>&amp;</b>", "😀 " + "x" * 190, " a  b", "a b", "$image", "line\nbreak", "{{idx}}", "a,b;c")
    mask = np.arange(H * W, dtype=np.int64).reshape(H, W) % len(names)
    tool, question = make_label_studio_tool(names), ask(0, mask.astype(np.uint8))
    tool.push([question], nothing)
    project = tool.project_id()
    assert project is not None
    classes = tuple(ClassConfig(name=name) for name in names)
    annotator = LabelStudioAnnotator(label_studio_server.url, label_studio_server.token, project, classes)
    annotator.play(lambda asked: np.roll(mask, 1).astype(np.uint8))
    (answer,) = tool.pull([question.key])
    np.testing.assert_array_equal(answer.mask, np.roll(mask, 1))


def test_another_class_is_added_to_the_project(make_label_studio_tool: Make, ask: Any, api: Any) -> None:
    make_label_studio_tool(("road", "car")).push([ask(0)], nothing)
    tool = make_label_studio_tool(("road", "car", "lamp"))
    writes: list[int] = []
    assert tool.push([ask(0)], lambda: writes.append(1)) == 0
    assert len(writes) == 1
    assert "lamp" in api.projects.get(tool.project_id()).label_config
    assert tool.push([ask(0)], lambda: writes.append(1)) == 0
    assert len(writes) == 1


def test_listings_longer_than_a_page_and_pushes_longer_than_a_batch(
    make_label_studio_tool: Make, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "PAGE", 2)
    tool = make_label_studio_tool(batch=3)
    questions = [ask(i) for i in range(7)]
    keys = {q.key for q in questions}
    assert tool.push(iter(questions), nothing) == 7
    assert tool.progress(keys).open == keys
    assert tool.push(iter(questions), nothing) == 0


def test_images_the_server_cannot_show_are_refused_before_anything_is_asked(
    make_label_studio_tool: Make, ask: Any, api: Any, tmp_path: Path, label_studio_server: LabelStudioServer
) -> None:
    tool = make_label_studio_tool()
    with pytest.raises(UserError, match=r"is not under .*files_root"):
        tool.push([replace(ask(0), image=tmp_path / "x.png")], nothing)
    with pytest.raises(UserError, match="sub-folders only"):
        tool.push([replace(ask(0), image=label_studio_server.workspace_root / "x.png")], nothing)
    with pytest.raises(ValueError, match=r"no pixel of a frame of 30x20 lies in f000000\.p20-0-2-2"):
        tool.push([replace(ask(0), sample=Sample(0, box=(20, 0, 2, 2)))], nothing)
    with pytest.raises(UserError, match=r"superpixels of .* are missing"):
        tool.push([replace(ask(0), sample=Sample(0, superpixel=("0a1b2c3d", 0)))], nothing)
    assert task_ids(api, tool) == []


def test_the_check_names_the_server_and_the_link_its_project(
    make_label_studio_tool: Make, ask: Any, label_studio_server: LabelStudioServer
) -> None:
    tool = make_label_studio_tool()
    assert tool.link([]) == label_studio_server.url
    assert tool.check() == f"{label_studio_server.url} (Label Studio 1.23.2)"
    tool.push([ask(0)], nothing)
    assert tool.link([ask(0).key]) == f"{label_studio_server.url}/projects/{tool.project_id()}/data?labeling=1"


def test_two_processes_agree_on_the_marker(tmp_path: Path) -> None:
    together = threading.Barrier(4)

    def make(_: int) -> str:
        together.wait()
        return make_record(tmp_path / "project.json").marker

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(make, range(4)))) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["project.json"]
