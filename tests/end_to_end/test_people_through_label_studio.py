"""Several people on a real server: who is asked, who is asked once more, and what is made of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
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
IDS = np.broadcast_to(np.arange(W) * 4 // W, (H, W)).astype(np.int32)
Make = Callable[..., LabelStudioTool]


def nothing() -> None:
    """before_write of a process that may always go on."""


@pytest.fixture
def api(label_studio_server: LabelStudioServer) -> Iterator[Any]:
    with connected(label_studio_server.url, label_studio_server.token) as client:
        yield client


@pytest.fixture(scope="module")
def people(label_studio_server: LabelStudioServer) -> list[tuple[int, str]]:
    """Five fresh users who signed up by invitation: id and e-mail address."""
    header = {"Authorization": f"Token {label_studio_server.token}"}
    invitation = httpx.get(f"{label_studio_server.url}/api/invite", headers=header, timeout=120).json()["invite_url"]
    made = []
    for name in ("ann", "ben", "cem", "dot", "eve"):
        email = f"{name}-{uuid.uuid4().hex[:8]}@people.example"
        with httpx.Client(
            base_url=label_studio_server.url, timeout=120, follow_redirects=True, trust_env=False
        ) as browser:
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
    """One sample each for 1 to 5 people."""
    tool, questions = make_label_studio_tool(), [ask(opinions - 1, opinions) for opinions in range(1, 6)]
    keys = [question.key for question in questions]
    assert tool.push(questions, nothing) == 5
    for turn, person in enumerate(people):
        assert tool.progress(keys).open == set(keys[turn:])
        assert plays(label_studio_server, tool, person, turn % 3) == 5 - turn
        assert plays(label_studio_server, tool, person, 0) == 0  # nobody answers twice
    assert tool.progress(keys).answered == set(keys)
    answers: dict[str, list[tuple[str, int]]] = {key: [] for key in keys}
    for answer in tool.pull(keys):
        assert answer.mask is not None
        answers[answer.key].append((answer.annotator, int(answer.mask[0, 0])))
    for opinions, key in enumerate(keys, start=1):
        assert answers[key] == [(email, turn % 3) for turn, (_, email) in enumerate(people[:opinions])]


def test_one_more_opinion_opens_the_task_for_a_third_person_only(
    make_label_studio_tool: Make, ask: Any, people: Any, api: Any, label_studio_server: LabelStudioServer
) -> None:
    tool, questions = make_label_studio_tool(), [ask(0, 2), ask(1, 2)]
    keys = [question.key for question in questions]
    tool.push(questions, nothing)
    ann, ben, cem = people[:3]
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
    monkeypatch.setattr("connectors.label_studio.annotated.FEW", 0)
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
    monkeypatch.setattr("connectors.label_studio.annotated.FEW", 100)
    for page_wise, single in zip(answers, tool.pull([question.key for question in questions[1:]]), strict=True):
        assert page_wise.changed_regions == single.changed_regions == (0 if page_wise.annotator == people[0][1] else 2)
        for name in ("key", "annotation", "annotator", "seconds", "skipped"):
            assert getattr(page_wise, name) == getattr(single, name), name
        assert datetime.fromisoformat(page_wise.finished_at) == datetime.fromisoformat(single.finished_at)
        assert page_wise.raw["result"] == single.raw["result"]
        assert page_wise.raw["parent_prediction"] == single.raw["parent_prediction"]


@pytest.fixture
def ask_tile(label_studio_server: LabelStudioServer, ask: Any, tmp_path: Path) -> Callable[[int], Question]:
    """Two people are asked about a superpixel, of which there are four side by side."""
    np.save(tmp_path / "ids.npy", IDS)

    def make(number: int) -> Question:
        sample = Sample(0, superpixel=("0a1b2c3d", number))
        key = question_key(VIDEO, 1, sample)
        return replace(ask(0, 2), key=key, sample=sample, superpixels=tmp_path / "ids.npy")

    return make


def chooses(
    server: LabelStudioServer, project: int | None, person: tuple[int, str], class_id: int, several: str = ""
) -> int:
    """The person's answers: one class for every question, and two for the one with the key `several`."""
    assert project is not None

    def answer(question: Question) -> Any:
        mask = np.full((H, W), class_id, np.uint8)
        if question.key == several:
            mask[: H // 2] = (class_id + 1) % 3
        return mask

    return LabelStudioAnnotator(server.url, server.token, project, CLASSES, person=person[0]).play(answer)


def test_each_who_says_that_a_tile_has_several_classes_is_replaced_by_somebody_who_paints_it(
    make_label_studio_tool: Make, ask: Any, ask_tile: Any, people: Any, api: Any, label_studio_server: LabelStudioServer
) -> None:
    tool, tiles = make_label_studio_tool(), [ask_tile(number) for number in range(4)]
    keys = {tile.key for tile in tiles}
    frame = ask(0, 2)
    assert tool.push([frame, *tiles], nothing) == 5
    (ann, ben, cem), mixed = people[:3], tiles[1].key
    assert chooses(label_studio_server, tool.tiles_project_id(), ann, 0, several=mixed) == 1
    assert tool.progress(keys).open == keys
    painted = {row.data["fewclicks_key"]: row for row in list_tasks(api, tool.project_id())}
    assert (painted[frame.key].overlap, painted[mixed].overlap) == (2, 1)  # only in place of ann's answer
    assert chooses(label_studio_server, tool.tiles_project_id(), ben, 2) == 1
    assert tool.progress(keys).open == {mixed}
    # the one who paints it is the one who had chosen: that is one opinion, and another one is wanted
    assert chooses(label_studio_server, tool.project_id(), ben, 0, several=mixed) == 2
    assert tool.progress(keys).open == {mixed}
    assert tool.progress(keys).open == {mixed}
    (row,) = [row for row in list_tasks(api, tool.project_id()) if row.data["fewclicks_key"] == mixed]
    assert row.overlap == 2
    assert chooses(label_studio_server, tool.project_id(), cem, 0, several=mixed) == 2
    assert tool.progress(keys).answered == keys
    answers = list(tool.pull(keys))
    of_mixed = [answer for answer in answers if answer.key == mixed]
    assert [answer.annotator for answer in of_mixed] == [ben[1], ben[1], cem[1]]
    assert [set(np.unique(answer.mask)) for answer in of_mixed] == [{2, 255}, {0, 1, 255}, {0, 1, 255}]
    others = {key: [a.annotator for a in answers if a.key == key] for key in keys - {mixed}}
    assert all(names == [ann[1], ben[1]] for names in others.values())


def test_one_more_opinion_on_a_tile_is_a_picture_to_paint_and_the_others_are_left_alone(
    make_label_studio_tool: Make, ask_tile: Any, people: Any, api: Any, label_studio_server: LabelStudioServer
) -> None:
    tool, tiles = make_label_studio_tool(), [ask_tile(number) for number in range(4)]
    keys = {tile.key for tile in tiles}
    tool.push(tiles, nothing)
    ann, ben, cem = people[:3]
    for class_id, person in enumerate((ann, ben)):
        chooses(label_studio_server, tool.tiles_project_id(), person, class_id)
    assert tool.progress(keys).answered == keys
    more = replace(tiles[2], opinions=3)
    for _ in range(2):
        assert tool.push([more], nothing) == 0
    progress = tool.progress(keys)
    assert (progress.open, progress.answered) == ({more.key}, keys - {more.key})
    choosing, painting = tool.tiles_project_id(), tool.project_id()
    assert choosing is not None
    assert painting is not None
    assert [(row.data["fewclicks_key"], row.overlap) for row in list_tasks(api, painting)] == [(more.key, 1)]
    assert shown(label_studio_server, cem, choosing) is None
    assert shown(label_studio_server, cem, painting) == more.key
    assert chooses(label_studio_server, painting, cem, 2) == 1
    assert tool.progress(keys).answered == keys
    answers = [(answer.annotator, int(answer.mask[IDS == 2][0])) for answer in tool.pull([more.key])]
    assert answers == [(ann[1], 0), (ben[1], 1), (cem[1], 2)]


def test_a_tile_that_is_not_answered_by_all_yet_is_opened_for_more_as_it_is(
    make_label_studio_tool: Make, ask_tile: Any, api: Any
) -> None:
    tool, tile = make_label_studio_tool(), ask_tile(0)
    tool.push([tile], nothing)
    assert tool.push([replace(tile, opinions=3)], nothing) == 0
    assert [row.overlap for row in list_tasks(api, tool.tiles_project_id())] == [3]
    assert tool.project_id() is None


def shown(server: LabelStudioServer, person: tuple[int, str], project: int) -> str | None:
    """The key of the task that the label stream shows to this person who logs in; None if there is none."""
    with httpx.Client(base_url=server.url, timeout=120, follow_redirects=True, trust_env=False) as browser:
        send_form(browser, "/user/login/", person[1])
        answer = browser.get(f"/api/projects/{project}/next")
    if answer.status_code == 404:
        return None
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["fewclicks_key"])
