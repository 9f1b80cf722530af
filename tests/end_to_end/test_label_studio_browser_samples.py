"""Patches, superpixels and tiles as a person labels them: mouse and keyboard in Label Studio's own page."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks.browser import CTRL, PICTURES, SUBMIT, TILE, Page, choice, chosen
from benchmarks.tiles import choose_by_keys
from connectors.label_studio.labeling_config import choice_texts, label_texts
from connectors.label_studio.server import LabelStudioServer
from connectors.label_studio.tool import LabelStudioTool
from connectors.labeling_tool import Answer, Question
from workspace.mask import UNKNOWN
from workspace.sample import Sample, question_key

pytestmark = [
    pytest.mark.label_studio,
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.xdist_group("label_studio"),
]

CELL, ACROSS, DOWN = 20, 8, 6
H, W = CELL * DOWN, CELL * ACROSS
IDS = (np.arange(H)[:, None] // CELL * ACROSS + np.arange(W)[None] // CELL).astype(np.int32)
VIDEO = "street-0a1b2c3d4e"
NAMES = ("road", "car", "sky")
TRUTH = np.zeros((H, W), np.uint8)
TRUTH[:40] = 2
TRUTH[60:100, 50:130] = 1
Make = Callable[..., LabelStudioTool]


@pytest.fixture
def ask(label_studio_server: LabelStudioServer, tmp_path: Path) -> Callable[..., Question]:
    image = label_studio_server.workspace_root / "videos" / "bro wser" / "000000.png"
    image.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(image), np.stack([TRUTH * 60 + 60] * 3, axis=2))
    superpixels = tmp_path / "ids.npy"
    np.save(superpixels, IDS)

    def make(where: int | tuple[int, int, int, int] | None) -> Question:
        sample = Sample(0) if where is None else Sample(0, where) if isinstance(where, tuple) else _superpixel(where)
        key = question_key(VIDEO, 2, sample)
        return Question(key, VIDEO, "S", 2, sample, image, H, W, TRUTH, "m", superpixels)

    return make


def _superpixel(number: int) -> Sample:
    return Sample(0, superpixel=("0b0b0b0b", number))


def inside(question: Question, mask: Any = TRUTH) -> Any:
    return np.where(question.sample.region(H, W, IDS), mask, np.uint8(UNKNOWN))


def open_labeling(page: Page, url: str, regions: int = 0) -> None:
    page.open(url)
    page.wait_for(
        f"!!{SUBMIT} && !{SUBMIT}.disabled && document.querySelectorAll('.lsf-outliner-item').length >= {regions}"
    )
    page.wait_for("document.querySelector('.konvajs-content canvas')?.width > 50")  # the picture has come
    time.sleep(0.7)


def picture_box(page: Page) -> tuple[float, float, float, float]:
    """Of the shown image itself, which the canvas may be wider than."""
    return page.box("document.querySelector('.lsf-image img, .konvajs-content ~ img, img[alt=image]')")


def answers(tool: LabelStudioTool, keys: list[str]) -> dict[str, Answer]:
    """Every answer, once all of the keys are answered."""
    deadline = time.monotonic() + 30
    while tool.progress(keys).open:
        assert time.monotonic() < deadline
        time.sleep(0.3)
    return {answer.key: answer for answer in tool.pull(keys)}


def stroke(page: Page, start: float, end: float, row: float) -> None:
    """A brush stroke across the picture, from and to parts of its width, at a part of its height."""
    x, y, width, height = picture_box(page)
    page.drag([(x + width * f, y + height * row) for f in np.linspace(start, end, 8)])


def test_a_stroke_beyond_the_patch_counts_inside_only(page: Page, make_label_studio_tool: Make, ask: Any) -> None:
    question = ask((40, 40, 40, 60))
    tool = make_label_studio_tool(NAMES)
    tool.push([question], lambda: None)
    open_labeling(page, tool.link([question.key]), regions=2)
    page.press("3")  # the key of sky
    stroke(page, 0.02, 0.98, 0.5)
    page.wait_for("document.querySelectorAll('.lsf-outliner-item').length >= 3")
    page.click(SUBMIT)
    answer = answers(tool, [question.key])[question.key]
    assert answer.mask is not None
    sky = answer.mask == 2
    assert sky[60, 40:100].all()  # the middle of the picture, across the whole patch
    assert not sky[:, :40].any()
    assert not sky[:, 100:].any()
    assert 0 < sky.sum() < 40 * 60 / 2
    np.testing.assert_array_equal(answer.mask[~sky], inside(question)[~sky])
    assert answer.changed_regions == 1


def test_a_polygon_on_a_frame_covers_what_it_encloses(page: Page, make_label_studio_tool: Make, ask: Any) -> None:
    question = ask(None)
    tool = make_label_studio_tool(NAMES)
    tool.push([question], lambda: None)
    open_labeling(page, tool.link([question.key]), regions=3)
    labels = "document.querySelectorAll('.lsf-label')"
    page.click(f"{labels}[{len(NAMES) + 1}]")  # the polygon of car
    time.sleep(0.3)
    x, y, width, height = picture_box(page)
    corners = [(0.1, 0.1), (0.4, 0.1), (0.4, 0.3), (0.1, 0.3)]
    for a, b in [*corners, corners[0]]:
        page.drag([(x + width * a, y + height * b)])
        time.sleep(0.4)
    page.wait_for("document.querySelectorAll('.lsf-outliner-item').length >= 4")
    page.click(SUBMIT)
    answer = answers(tool, [question.key])[question.key]
    assert answer.mask is not None
    drawn = np.zeros((H, W), bool)
    drawn[12:36, 16:64] = True
    differing = (answer.mask != np.where(drawn, 1, TRUTH)).sum()
    assert differing <= 2 * (24 + 48)  # a mouse is good to a pixel of the frame
    assert answer.changed_regions == 1


def test_one_superpixel_is_named_by_one_key_or_one_click(page: Page, make_label_studio_tool: Make, ask: Any) -> None:
    tool, questions = make_label_studio_tool(NAMES, tiles=1), [ask(0), ask(1)]
    tool.push(questions, lambda: None)
    keys = [q.key for q in questions]
    open_labeling(page, tool.link(keys))
    assert page.wait_for(chosen(0)) == "sky"  # the prediction
    page.press("2")
    assert page.wait_for(f"{chosen(0)} == 'car'")
    page.press("Enter", CTRL)
    page.wait_for(f"{PICTURES} == 1 && {chosen(0)} == 'sky'")  # the next one
    page.click(choice(0, "road"))
    page.click(SUBMIT)
    found = answers(tool, keys)
    np.testing.assert_array_equal(found[keys[0]].mask, inside(questions[0], np.ones((H, W), np.uint8)))
    np.testing.assert_array_equal(found[keys[1]].mask, inside(questions[1], np.zeros((H, W), np.uint8)))
    assert [found[key].changed_regions for key in keys] == [1, 1]


def assert_all_on_screen(page: Page, tiles: int) -> None:
    """Every tile is above the buttons of the page, and every choice inside its tile."""
    bottom = page.box(SUBMIT)[1]
    for tile in range(tiles):
        element = f"document.querySelectorAll('.fc-tile')[{tile}]"
        x, y, width, height = page.box(element)
        assert x >= 0
        assert x + width <= 1920
        assert y + height <= bottom
        inputs = f"[...{element}.querySelectorAll('input')].map(e => e.getBoundingClientRect())"
        for left, top, right, low in json.loads(
            page.evaluate(f"JSON.stringify({inputs}.map(r => [r.left, r.top, r.right, r.bottom]))")
        ):
            assert x <= left < right <= x + width
            assert y <= top < low <= y + height


def test_twenty_tiles_on_one_screen_by_mouse_and_keyboard_and_a_finer_question(
    page: Page, make_label_studio_tool: Make, ask: Any
) -> None:
    names = (*NAMES, "building", "tree", "pole", "sign", "pedestrian", "cyclist")
    tool, questions = make_label_studio_tool(names), [ask(k) for k in range(16, 36)]
    tool.push(questions, lambda: None)
    keys = [q.key for q in questions]
    ordered = sorted(
        questions, key=lambda q: (int(np.bincount(inside(q)[inside(q) != UNKNOWN]).argmax()), q.sample.key)
    )
    open_labeling(page, tool.link(keys))
    page.wait_for(f"{PICTURES} == 20")
    assert_all_on_screen(page, 20)
    assert all(page.evaluate(chosen(tile)) for tile in range(20))
    # the second by keyboard, for which each tile is one stop; the first by mouse, the third has several classes, of the
    # fourth nobody can tell
    before = 0
    while page.evaluate(TILE) != 0:
        page.press("Tab")
        before += 1
        assert before <= 10, "the page's own buttons come first, but there are few of them"
    assert choose_by_keys(page, 1, choice_texts(names), "sky") <= 5
    assert page.evaluate(chosen(1)) == "sky"
    stops = []
    for _ in range(19):
        page.press("Tab")
        stops.append(page.evaluate(TILE))
    assert stops == list(range(1, 20))
    page.click(choice(0, "car"))
    assert page.evaluate(chosen(0)) == "car"
    page.click(choice(2, "more than one class"))
    page.click(choice(3, "can't tell"))
    page.press("Enter", CTRL)
    deadline = time.monotonic() + 30
    while len(tool.progress(keys).open) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.3)
    several = ordered[2]
    assert tool.progress(keys).open == {several.key}

    # the finer question: the same superpixel, to be painted
    painting = tool.link(keys).split(" and ")[1]
    open_labeling(page, painting, regions=1)
    page.press("2")
    stroke(page, 0.02, 0.98, 0.5)
    page.wait_for("document.querySelectorAll('.lsf-outliner-item').length >= 2")
    page.click(SUBMIT)
    found = answers(tool, keys)
    assert set(found) == set(keys)
    for question in ordered[4:]:
        dominant = np.uint8(np.bincount(inside(question)[inside(question) != UNKNOWN]).argmax())
        np.testing.assert_array_equal(found[question.key].mask, inside(question, np.full((H, W), dominant)))
        assert found[question.key].changed_regions == 0
    for question, named in zip(ordered[:2], (1, 2), strict=True):
        np.testing.assert_array_equal(found[question.key].mask, inside(question, np.full((H, W), named, np.uint8)))
    assert found[ordered[3].key].skipped
    mask = found[several.key].mask
    assert mask is not None
    region = several.sample.region(H, W, IDS)
    assert set(np.unique(mask[region])) == {0, 1}
    assert (mask[~region] == UNKNOWN).all()


ODD = (
    '"a<b>&"  😀 ',
    "<img src=x onerror=window.broken=1>",
    "$image",
    "{{idx}} line\nbreak",
    "x" * 200,
    "can't tell",
    *"abcdefgh",
)


def test_names_from_outside_are_shown_as_they_are_on_tiles(page: Page, make_label_studio_tool: Make, ask: Any) -> None:
    tool, questions = make_label_studio_tool(ODD), [ask(k) for k in (0, 1)]
    tool.push(questions, lambda: None)
    open_labeling(page, tool.link([q.key for q in questions]))
    page.wait_for(f"{PICTURES} == 2")
    shown = json.loads(
        page.evaluate(
            "JSON.stringify([...document.querySelectorAll('.fc-tile')[1].querySelectorAll('label')].map(e =>"
            " e.innerText.replace(/\\[.*\\]$/, '').trim()))"
        )
    )
    assert shown == [*label_texts(ODD), "more than one class", "can't tell (2)"]
    assert page.evaluate("window.broken") is None
    assert_all_on_screen(page, 2)  # 16 choices, the most that are buttons
    for tile, k in ((0, 4), (1, 1)):
        page.click(choice(tile, label_texts(ODD)[k]))
    page.click(SUBMIT)
    found = answers(tool, [q.key for q in questions])
    for question, k in zip(questions, (4, 1), strict=True):
        np.testing.assert_array_equal(found[question.key].mask, inside(question, np.full((H, W), k, np.uint8)))
