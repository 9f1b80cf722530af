"""Label Studio restarted, gone or silent in the middle: nothing lost, nobody asked twice. And its webhook."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from connectors.label_studio import importing
from connectors.label_studio.client import connected, list_tasks, request
from connectors.label_studio.server import LabelStudioServer
from connectors.label_studio.tool import LabelStudioTool
from connectors.label_studio.webhook import Alarm, register
from connectors.labeling_tool import Question
from workspace.config import ClassConfig
from workspace.errors import ToolUnavailable
from workspace.sample import Sample, question_key

pytestmark = [pytest.mark.label_studio, pytest.mark.slow, pytest.mark.xdist_group("label_studio")]
H, W = 20, 30
VIDEO = "street-0a1b2c3d4e"


def nothing() -> None:
    """before_write of a process that may always go on."""


def make_questions(root: Path, count: int) -> list[Question]:
    image = root / "videos" / "troubles" / "0.png"
    image.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(image), np.zeros((H, W, 3), np.uint8))
    samples = [Sample(frame) for frame in range(count)]
    return [Question(question_key(VIDEO, 1, s), VIDEO, "S", 1, s, image, H, W, None, "m") for s in samples]


def keys_there(tool: LabelStudioTool, server: LabelStudioServer) -> Counter[str]:
    project = tool.project_id()
    assert project is not None
    with connected(server.url, server.token) as client:
        return Counter(row.data["fewclicks_key"] for row in list_tasks(client, project))


def test_restarted_in_the_middle_of_a_push_and_gone_in_the_middle_of_another(
    start_label_studio: Callable[[Path], LabelStudioServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_label_studio(tmp_path)
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        server._wanted_port = probe.getsockname()[1]  # the same after the restart
    questions = make_questions(tmp_path, 12)
    restarting: list[threading.Thread] = []
    with server:
        tool = LabelStudioTool(
            server.url, server.token, "troubles", (ClassConfig(name="road"),), None, tmp_path, tmp_path, batch=2
        )
        assert tool.push(questions[:2], nothing) == 2
        imports = 0

        def restart_at_the_second() -> None:
            nonlocal imports
            imports += 1
            if imports == 2:
                server.stop()
                restarting.append(threading.Thread(target=server.start))
                restarting[0].start()

        monkeypatch.setattr(importing, "PAUSES_S", (2.0,) * 20)
        assert tool.push(questions[:8], restart_at_the_second) == 6
        restarting[0].join()
        wanted = {question.key for question in questions[:8]}
        assert keys_there(tool, server) == Counter(wanted)

        # gone, and not back before we give up: a clear error; whoever comes back later pushes the rest
        monkeypatch.setattr(importing, "PAUSES_S", (0.1,))
        imports = 0

        def gone_at_the_second() -> None:
            nonlocal imports
            imports += 1
            if imports == 2:
                server.stop()

        with pytest.raises(ToolUnavailable, match="does not answer"):
            tool.push(questions, gone_at_the_second)
        with pytest.raises(ToolUnavailable, match="does not answer"):
            tool.progress(sorted(wanted))
        server.start()
        assert tool.push(questions, nothing) == 2
        keys = {question.key for question in questions}
        assert keys_there(tool, server) == Counter(keys)
        assert tool.progress(keys).open == keys


def test_an_import_whose_answer_is_lost_is_not_sent_again(
    make_label_studio_tool: Any, label_studio_server: LabelStudioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = make_label_studio_tool(batch=3)
    questions = make_questions(label_studio_server.workspace_root, 7)
    lost: list[str] = []

    def silent(client: Any, method: str, path: str, *arguments: Any, **more: Any) -> Any:
        answer = request(client, method, path, *arguments, **more)
        if method == "POST":
            lost.append(path)
            raise httpx.ReadTimeout("the answer never came")
        return answer

    monkeypatch.setattr(importing, "request", silent)
    monkeypatch.setattr(importing, "PAUSES_S", (0.01, 0.01))
    assert tool.push(questions, nothing) == 7
    assert len(lost) == 3  # one request per batch, none again
    assert keys_there(tool, label_studio_server) == Counter(q.key for q in questions)


def test_an_annotation_rings_the_alarm_with_the_secret(
    make_label_studio_tool: Any, label_studio_server: LabelStudioServer
) -> None:
    tool = make_label_studio_tool()
    tool.push(make_questions(label_studio_server.workspace_root, 2), nothing)
    project = tool.project_id()
    with Alarm("http://127.0.0.1:0", "old") as nobody:
        address = f"http://127.0.0.1:{nobody.port}"
        register(label_studio_server.url, label_studio_server.token, project, address, "old")
    with Alarm(address, "new") as alarm, connected(label_studio_server.url, label_studio_server.token) as client:
        for _ in range(2):  # a second time changes nothing
            register(label_studio_server.url, label_studio_server.token, project, address, "new")
        hooks = request(client, "GET", "api/webhooks/", params={"project": project})
        assert [hook["url"] for hook in hooks] == [address]
        first, second = (row.id for row in list_tasks(client, project))
        client.annotations.create(id=first, result=[])
        assert alarm.wait(10)
        assert not alarm.wait(0.2)
        client.annotations.create(id=second, result=[])
        assert alarm.wait(10)
