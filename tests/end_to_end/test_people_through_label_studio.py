"""Several people on a real server: who is asked, who is asked once more, and what is made of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from connectors.label_studio.annotator import LabelStudioAnnotator
from connectors.label_studio.client import connected, list_tasks
from connectors.label_studio.server import LabelStudioServer
from connectors.label_studio.tool import LabelStudioTool
from connectors.labeling_tool import Question
from workspace.config import ClassConfig
from workspace.sample import Sample, question_key

pytestmark = [pytest.mark.label_studio, pytest.mark.slow, pytest.mark.xdist_group("label_studio")]
H, W = 20, 30
VIDEO = "street-0a1b2c3d4e"
PASSWORD = "four-words-and-9"
CLASSES = tuple(ClassConfig(name=name) for name in ("road", "car", "sky"))
Make = Callable[..., LabelStudioTool]


def nothing() -> None:
    """before_write of a process that may always go on."""


@pytest.fixture
def api(label_studio_server: LabelStudioServer) -> Iterator[Any]:
    with connected(label_studio_server.url, label_studio_server.token) as client:
        yield client


@pytest.fixture
def people(label_studio_server: LabelStudioServer) -> list[tuple[int, str]]:
    """Three fresh users who signed up by invitation: id and e-mail address."""
    header = {"Authorization": f"Token {label_studio_server.token}"}
    invitation = httpx.get(f"{label_studio_server.url}/api/invite", headers=header).json()["invite_url"]
    made = []
    for name in ("ann", "ben", "cem"):
        email = f"{name}-{uuid.uuid4().hex[:8]}@people.example"
        with httpx.Client(base_url=label_studio_server.url, follow_redirects=True, trust_env=False) as browser:
            send_form(browser, invitation, email)
            made.append((int(browser.get("/api/current-user/whoami").json()["id"]), email))
    return made


def send_form(browser: httpx.Client, address: str, email: str) -> None:
    token = browser.get(address).text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    fields = {"csrfmiddlewaretoken": token, "email": email, "password": PASSWORD, "allow_newsletters": "false"}
    browser.post(address, data=fields).raise_for_status()


@pytest.fixture
def ask(label_studio_server: LabelStudioServer) -> Callable[[int, int], Question]:
    folder = label_studio_server.workspace_root / "videos" / "people"
    folder.mkdir(parents=True, exist_ok=True)

    def make(frame: int, opinions: int) -> Question:
        image = folder / f"{frame:06d}.png"
        cv2.imwrite(str(image), np.zeros((H, W, 3), np.uint8))
        sample = Sample(frame)
        key = question_key(VIDEO, 1, sample)
        return Question(key, VIDEO, "S", 1, sample, image, H, W, None, "m", opinions=opinions)

    return make


def plays(server: LabelStudioServer, tool: LabelStudioTool, person: tuple[int, str], class_id: int) -> int:
    project = tool.project_id()
    assert project is not None
    annotator = LabelStudioAnnotator(server.url, server.token, project, CLASSES, person=person[0])
    return annotator.play(lambda question: np.full((H, W), class_id, np.uint8))


def test_each_sample_is_answered_by_as_many_people_as_wanted(
    make_label_studio_tool: Make, ask: Any, people: Any, label_studio_server: LabelStudioServer
) -> None:
    tool, questions = make_label_studio_tool(), [ask(0, 2), ask(1, 2)]
    keys = {question.key for question in questions}
    assert tool.push(questions, nothing) == 2
    ann, ben, cem = people
    assert plays(label_studio_server, tool, ann, 0) == 2
    assert plays(label_studio_server, tool, ann, 0) == 0
    assert tool.progress(keys).open == keys
    assert plays(label_studio_server, tool, ben, 1) == 2
    assert tool.progress(keys).answered == keys
    assert plays(label_studio_server, tool, cem, 1) == 0
    answers = list(tool.pull([questions[0].key]))
    assert [answer.annotator for answer in answers] == [ann[1], ben[1]]
    assert [int(answer.mask[0, 0]) for answer in answers if answer.mask is not None] == [0, 1]


def test_one_more_opinion_opens_the_task_for_a_third_person_only(
    make_label_studio_tool: Make, ask: Any, people: Any, api: Any, label_studio_server: LabelStudioServer
) -> None:
    tool, questions = make_label_studio_tool(), [ask(0, 2), ask(1, 2)]
    keys = [question.key for question in questions]
    tool.push(questions, nothing)
    ann, ben, cem = people
    for person in (ann, ben):
        plays(label_studio_server, tool, person, 0)
    more = replace(questions[1], opinions=3)
    assert tool.push([more], nothing) == 0  # no task is made: the same one is opened
    assert tool.push([more], nothing) == 0
    progress = tool.progress(keys)
    assert (progress.answered, progress.open) == ({keys[0]}, {keys[1]})
    project = tool.project_id()
    assert project is not None
    # the server itself shows it to the third person and to nobody else
    assert [shown(label_studio_server, person, project) for person in (ann, ben, cem)] == [None, None, keys[1]]
    assert len(list_tasks(api, project)) == 2
    tool.push([questions[1]], nothing)  # asking for fewer takes nothing back
    assert tool.progress(keys).open == {keys[1]}
    assert plays(label_studio_server, tool, cem, 2) == 1
    assert tool.progress(keys).answered == set(keys)
    assert shown(label_studio_server, cem, project) is None
    assert len(list(tool.pull([keys[1]]))) == 3


def test_another_number_of_people_later_leaves_the_finished_tasks_alone(
    make_label_studio_tool: Make, ask: Any, people: Any, label_studio_server: LabelStudioServer
) -> None:
    tool, ann, ben = make_label_studio_tool(), people[0], people[1]
    tool.push([ask(0, 1)], nothing)
    plays(label_studio_server, tool, ann, 0)
    later = [ask(1, 2), ask(2, 2)]
    assert tool.push(later, nothing) == 2
    project = tool.project_id()
    assert project is not None
    assert shown(label_studio_server, ben, project) == later[0].key  # not the finished one of before
    assert plays(label_studio_server, tool, ann, 0) == 2
    assert tool.progress([q.key for q in later]).open == {q.key for q in later}
    assert plays(label_studio_server, tool, ben, 0) == 2
    assert tool.progress([q.key for q in later]).answered == {q.key for q in later}
    assert tool.progress([ask(0, 1).key]).answered == {ask(0, 1).key}


def test_a_skip_is_an_opinion_and_nobody_is_asked_in_their_place(
    make_label_studio_tool: Make, ask: Any, people: Any, api: Any, label_studio_server: LabelStudioServer
) -> None:
    tool, question = make_label_studio_tool(), ask(0, 1)
    tool.push([question], nothing)
    project = tool.project_id()
    assert project is not None
    (row,) = list_tasks(api, project)
    api.annotations.create(id=row.id, result=[], was_cancelled=True, completed_by=people[0][0])
    assert tool.progress([question.key]).answered == {question.key}
    assert shown(label_studio_server, people[1], project) is None


def test_many_answers_are_pulled_page_by_page_with_names_and_in_order(
    make_label_studio_tool: Make, ask: Any, people: Any, label_studio_server: LabelStudioServer, monkeypatch: Any
) -> None:
    monkeypatch.setattr("connectors.label_studio.tool._FEW", 0)
    monkeypatch.setattr("connectors.label_studio.client.DETAIL_PAGE", 2)
    shown = np.zeros((H, W), np.uint8)
    tool, questions = make_label_studio_tool(), [replace(ask(frame, 2), prediction=shown) for frame in range(5)]
    tool.push(questions, nothing)
    for class_id, person in enumerate(people[:2]):
        plays(label_studio_server, tool, person, class_id)
    answers = list(tool.pull([question.key for question in questions[1:]]))
    assert [(a.key, a.annotator) for a in answers] == [
        (question.key, email) for question in questions[1:] for _, email in people[:2]
    ]
    assert [int(a.mask[3, 3]) for a in answers if a.mask is not None] == [0, 1] * 4
    # nothing is missing that reading the answers one by one would give
    monkeypatch.setattr("connectors.label_studio.tool._FEW", 100)
    for page_wise, single in zip(answers, tool.pull([question.key for question in questions[1:]]), strict=True):
        assert page_wise.changed_regions == single.changed_regions == (0 if page_wise.annotator == people[0][1] else 2)
        for name in ("key", "annotation", "annotator", "seconds", "skipped"):
            assert getattr(page_wise, name) == getattr(single, name), name
        assert datetime.fromisoformat(page_wise.finished_at) == datetime.fromisoformat(single.finished_at)
        assert page_wise.raw["result"] == single.raw["result"]
        assert page_wise.raw["parent_prediction"] == single.raw["parent_prediction"]


def shown(server: LabelStudioServer, person: tuple[int, str], project: int) -> str | None:
    """The key of the task that the label stream shows to this person who logs in; None if there is none."""
    with httpx.Client(base_url=server.url, follow_redirects=True, trust_env=False) as browser:
        send_form(browser, "/user/login/", person[1])
        answer = browser.get(f"/api/projects/{project}/next")
    if answer.status_code == 404:
        return None
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["fewclicks_key"])
