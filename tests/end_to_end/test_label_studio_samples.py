"""Patches and superpixels on a real Label Studio server: tiles, finer questions, names from outside."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from connectors.label_studio.annotator import LabelStudioAnnotator
from connectors.label_studio.client import connected, list_tasks, task_or_none
from connectors.label_studio.regions import brush_region
from connectors.label_studio.server import LabelStudioServer
from connectors.label_studio.tiles import TILES, tile_keys
from connectors.label_studio.tool import LabelStudioTool
from connectors.labeling_tool import Question
from workspace.config import ClassConfig
from workspace.mask import UNKNOWN
from workspace.sample import Sample, question_key

pytestmark = [pytest.mark.label_studio, pytest.mark.slow, pytest.mark.xdist_group("label_studio")]

CELL, ACROSS, DOWN = 8, 10, 6
H, W = CELL * DOWN, CELL * ACROSS
IDS = (np.arange(H)[:, None] // CELL * ACROSS + np.arange(W)[None] // CELL).astype(np.int32)
VIDEO = "street-0a1b2c3d4e"
CLASSES = ("road", "car", "sky")
TRUTH = np.zeros((H, W), np.uint8)
TRUTH[:16] = 2
TRUTH[20:40, 20:60] = 1  # through the middle of cells
Make = Callable[..., LabelStudioTool]


def nothing() -> None:
    """before_write of a process that may always go on."""


@pytest.fixture
def ask(label_studio_server: LabelStudioServer, tmp_path: Path) -> Callable[..., Question]:
    folder = label_studio_server.workspace_root / "videos" / VIDEO / "frames"
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / "000000.png"
    if not image.exists():
        cv2.imwrite(str(image), TRUTH[:, :, None] * np.full(3, 90, np.uint8))
    superpixels = tmp_path / "ids.npy"
    np.save(superpixels, IDS)

    def make(where: int | tuple[int, int, int, int], prediction: Any = TRUTH) -> Question:
        sample = Sample(0, superpixel=("0a1b2c3d", where)) if isinstance(where, int) else Sample(0, box=where)
        key = question_key(VIDEO, 2, sample)
        return Question(key, VIDEO, "S", 2, sample, image, H, W, prediction, "m", superpixels)

    return make


@pytest.fixture
def api(label_studio_server: LabelStudioServer) -> Iterator[Any]:
    with connected(label_studio_server.url, label_studio_server.token) as client:
        yield client


def play(server: LabelStudioServer, project: int | None, answer: Callable[[Question], Any]) -> int:
    assert project is not None
    classes = tuple(ClassConfig(name=name) for name in CLASSES)
    return LabelStudioAnnotator(server.url, server.token, project, classes).play(answer)


def inside(question: Question, mask: Any = TRUTH) -> Any:
    return np.where(question.sample.region(H, W, IDS), mask, np.uint8(UNKNOWN))


def answers(tool: LabelStudioTool, questions: list[Question]) -> dict[str, Any]:
    return {answer.key: answer for answer in tool.pull([q.key for q in questions])}


def test_many_superpixels_share_a_task_by_class_and_come_back_apart(
    make_label_studio_tool: Make, ask: Any, api: Any, label_studio_server: LabelStudioServer
) -> None:
    tool, questions = make_label_studio_tool(CLASSES, batch=7), [ask(k) for k in (*range(24), 40)]
    assert tool.push(iter(questions), nothing) == 25
    assert tool.push(iter(questions), nothing) == 0
    rows = list_tasks(api, tool.tiles_project_id())
    assert [len(tile_keys(row.data)) for row in rows] == [20, 5]
    keys = [key for row in rows for key in tile_keys(row.data)]
    assert sorted(keys) == sorted(q.key for q in questions)
    dominant = {q.key: int(np.bincount(TRUTH[q.sample.superpixel[1] == IDS]).argmax()) for q in questions}
    assert [dominant[key] for key in keys] == sorted(dominant.values())
    assert api.projects.get(tool.tiles_project_id()).model_version == "fewclicks"  # else the browser shows none
    assert tool.project_id() is None

    # one of several classes, one that nobody can tell, one wrong prediction, the others as they are shown
    several, untold, wrong = questions[22], questions[3], questions[24]

    def answer(question: Question) -> Any:
        if question.key == untold.key:
            return None
        if question.key == several.key:
            return TRUTH
        return inside(question, np.full((H, W), 1 if question.key == wrong.key else dominant[question.key], np.uint8))

    assert play(label_studio_server, tool.tiles_project_id(), answer) == 2
    progress = tool.progress(keys)
    assert progress.open == {several.key}
    assert progress.answered == set(keys) - {several.key}
    assert not progress.gone
    found = answers(tool, questions)
    assert set(found) == set(keys) - {several.key}
    for question in questions:
        if question.key in (several.key, untold.key):
            continue
        expected = 1 if question is wrong else dominant[question.key]
        np.testing.assert_array_equal(found[question.key].mask, inside(question, np.full((H, W), expected, np.uint8)))
        assert found[question.key].changed_regions == int(question is wrong)
    assert found[untold.key].skipped

    # the finer question is asked once, with its prediction, and is the answer
    assert tool.progress(keys).open == {several.key}
    assert [row.data["fewclicks_key"] for row in list_tasks(api, tool.project_id())] == [several.key]
    seen: list[Question] = []

    def paint(question: Question) -> Any:
        seen.append(question)
        return np.where(question.prediction == UNKNOWN, UNKNOWN, TRUTH)

    assert play(label_studio_server, tool.project_id(), paint) == 1
    np.testing.assert_array_equal(seen[0].prediction, inside(several))
    assert tool.progress(keys).answered == set(keys)
    found = answers(tool, questions)
    np.testing.assert_array_equal(found[several.key].mask, inside(several))
    assert len(np.unique(found[several.key].mask)) == 3  # two classes, and 255 around


def test_surplus_tasks_of_tiles_go_and_answered_ones_stay(
    make_label_studio_tool: Make, ask: Any, api: Any, label_studio_server: LabelStudioServer
) -> None:
    tool, questions = make_label_studio_tool(CLASSES), [ask(k) for k in range(5)]
    tool.push(questions, nothing)
    project = tool.tiles_project_id()
    (first,) = list_tasks(api, project)
    api.projects.import_tasks(project, request=[{"data": first.data}] * 2)
    assert len(list_tasks(api, project)) == 3
    assert tool.progress([questions[0].key]).open == {questions[0].key}
    assert [row.id for row in list_tasks(api, project)] == [first.id]
    play(label_studio_server, project, lambda q: inside(q, np.ones((H, W), np.uint8)))
    api.projects.import_tasks(project, request=[{"data": first.data}])
    assert tool.push(questions, nothing) == 0
    assert [row.id for row in list_tasks(api, project)] == [first.id]


def test_a_deleted_task_of_tiles_is_gone_and_what_is_missing_is_pushed_again(
    make_label_studio_tool: Make, ask: Any, api: Any
) -> None:
    tool, questions = make_label_studio_tool(CLASSES, tiles=2), [ask(k) for k in range(4)]
    keys = [q.key for q in questions]
    tool.push(questions, nothing)
    row = list_tasks(api, tool.tiles_project_id())[0]
    api.tasks.delete(str(row.id))
    assert tool.progress(keys).gone == set(tile_keys(row.data))
    assert tool.push(questions, nothing) == 2
    assert tool.progress(keys).open == set(keys)


def test_tiles_whose_data_were_broken_do_not_block_the_others(
    make_label_studio_tool: Make, ask: Any, api: Any, caplog: pytest.LogCaptureFixture
) -> None:
    tool, questions = make_label_studio_tool(CLASSES), [ask(k) for k in range(3)]
    tool.push(questions, nothing)
    (row,) = list_tasks(api, tool.tiles_project_id())
    data = task_or_none(api, row.id)["data"]
    data[TILES][1]["inside"] = "nonsense"
    api.tasks.update(str(row.id), data=data)
    result = [
        {"type": "choices", "from_name": "choice0", "to_name": "tile0", "value": {"choices": ["car"]}},
        {"type": "choices", "from_name": "choice1", "to_name": "tile1", "value": {"choices": ["car"]}},
        {"nonsense": True},
    ]
    api.annotations.create(id=row.id, result=result)
    with caplog.at_level(logging.WARNING):
        first, second, third = tool.pull(tile_keys(data))
    assert (first.mask != UNKNOWN).sum() == CELL * CELL
    assert second.skipped
    assert "Tile 2 of" in caplog.text
    assert (third.mask == UNKNOWN).all()
    assert not third.skipped


def test_patches_in_tiles_are_painted_only_where_they_have_several_classes(
    make_label_studio_tool: Make, ask: Any, api: Any, label_studio_server: LabelStudioServer
) -> None:
    tool = make_label_studio_tool(CLASSES, tile_patches=True)
    pure, mixed = ask((0, 0, 16, 16)), ask((16, 16, 16, 16))
    keys = {pure.key, mixed.key}
    assert tool.push([pure, mixed], nothing) == 2
    assert play(label_studio_server, tool.tiles_project_id(), inside) == 1
    assert tool.progress(keys).open == {mixed.key}
    assert play(label_studio_server, tool.project_id(), inside) == 1
    found = answers(tool, [pure, mixed])
    assert set(found) == keys
    for question in (pure, mixed):
        np.testing.assert_array_equal(found[question.key].mask, inside(question))
        assert found[question.key].changed_regions == 0


def test_only_pixels_of_the_patch_count_and_get_the_background(
    make_label_studio_tool: Make, ask: Any, api: Any, label_studio_server: LabelStudioServer
) -> None:
    tool = make_label_studio_tool(CLASSES, background="sky")
    question = ask((16, 16, 16, 16))
    tool.push([question], nothing)
    (row,) = list_tasks(api, tool.project_id())
    (shown,) = task_or_none(api, row.id)["predictions"]
    assert row.data["box"] == "0-0-48-80"  # all of so small a frame
    api.annotations.create(id=row.id, result=[brush_region("a", "car", np.ones((H, W), bool))])
    (answer,) = tool.pull([question.key])
    np.testing.assert_array_equal(answer.mask, inside(question, np.ones((H, W), np.uint8)))
    assert {tuple(region["value"]["brushlabels"]) for region in shown["result"]} == {("road",), ("car",)}
    api.annotations.create(id=row.id, result=[])
    _, empty = tool.pull([question.key])
    np.testing.assert_array_equal(empty.mask, inside(question, np.full((H, W), 2, np.uint8)))


HOSTILE = (
    '"quoted"',
    "<script>alert(1)</script>",
    "😀 " + "x" * 190,
    "$image",
    "{{idx}} {{iidx}}",
    "can't tell",
    "a&amp;b",
)


@pytest.mark.parametrize("names", [HOSTILE, (*HOSTILE, *(f"class {k}" for k in range(53)))], ids=["7", "60"])
def test_class_names_of_any_spelling_come_back_from_tiles(
    make_label_studio_tool: Make, ask: Any, label_studio_server: LabelStudioServer, names: tuple[str, ...]
) -> None:
    tool, questions = make_label_studio_tool(names), [ask(k, None) for k in range(len(names))]
    tool.push(questions, nothing)
    project = tool.tiles_project_id()
    assert project is not None
    classes = tuple(ClassConfig(name=name) for name in names)
    annotator = LabelStudioAnnotator(label_studio_server.url, label_studio_server.token, project, classes)
    annotator.play(lambda q: inside(q, np.full((H, W), q.sample.superpixel[1], np.uint8)))
    found = answers(tool, questions)
    for k, question in enumerate(questions):
        np.testing.assert_array_equal(found[question.key].mask, inside(question, np.full((H, W), k, np.uint8)))


@pytest.mark.parametrize(("height", "width", "classes"), [(2160, 3840, 6), (540, 960, 60)])
def test_4k_and_60_classes_come_back_untouched_as_they_went(
    make_label_studio_tool: Make,
    label_studio_server: LabelStudioServer,
    tmp_path: Path,
    height: int,
    width: int,
    classes: int,
) -> None:
    """A frame, a patch over its corner, and a superpixel, each accepted as it is shown."""
    rows, columns = np.arange(height) // (height // 9), np.arange(width) // (width // 12)
    mask = (np.add.outer(rows * 12, columns) % classes).astype(np.uint8)
    mask[10:80, 20:200] = UNKNOWN
    folder = label_studio_server.workspace_root / "videos" / f"large-{classes}" / "frames"
    folder.mkdir(parents=True)
    image, superpixels = folder / "000000.png", tmp_path / "ids.npy"
    cv2.imwrite(str(image), np.zeros((height, width, 3), np.uint8))
    ids = np.add.outer(rows * 12, columns).astype(np.int32)
    np.save(superpixels, ids)
    samples = (Sample(0), Sample(0, box=(height - 60, width - 50, 100, 100)), Sample(0, superpixel=("0a1b2c3d", 37)))
    questions = [
        Question(question_key(VIDEO, 2, s), VIDEO, "S", 2, s, image, height, width, mask, "m", superpixels)
        for s in samples
    ]
    names = tuple(f"class {k}" for k in range(classes))
    tool = make_label_studio_tool(names)
    assert tool.push(questions, nothing) == 3
    for project in (tool.project_id(), tool.tiles_project_id()):
        assert project is not None
        everybody = tuple(ClassConfig(name=name) for name in names)
        person = LabelStudioAnnotator(label_studio_server.url, label_studio_server.token, project, everybody)
        person.play(lambda question: question.prediction)
    found = answers(tool, questions)
    for question in questions:
        region = question.sample.region(height, width, ids)
        np.testing.assert_array_equal(found[question.key].mask, np.where(region, mask, UNKNOWN))
        assert found[question.key].changed_regions == 0
