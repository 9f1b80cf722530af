"""The law of the connector: a prediction that nobody touches comes back as it went, whatever the granularity."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.label_studio.excerpts import Excerpt, excerpt_of, excerpt_of_data, packed, unpacked
from connectors.label_studio.labeling_config import class_ids, label_texts
from connectors.label_studio.pictures import bounding_box, outlined, square_with_context, with_context
from connectors.label_studio.regions import prediction_regions, read_result
from connectors.label_studio.tiles import (
    CANNOT_TELL,
    SEVERAL,
    TILES,
    Tile,
    grouped,
    tile_answers,
    tile_keys,
    tile_of_data,
    tile_options,
    tiles_task,
)
from connectors.labeling_tool import Question
from workspace.mask import UNKNOWN
from workspace.sample import Granularity, Sample, question_key

VIDEO = "street-0a1b2c3d4e"


def asked(sample: Sample, region: Any) -> Question:
    height, width = region.shape
    return Question(question_key(VIDEO, 2, sample), VIDEO, "<b>", 2, sample, Path("x.jpg"), height, width, None, "m")


@st.composite
def excerpts(draw: st.DrawFn, tile: bool = False) -> Excerpt:
    """Samples of every granularity, anywhere in frames of any shape; patches may reach over the edge."""
    height, width = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    kind = draw(st.sampled_from([g for g in Granularity if not tile or g is not Granularity.FRAME]))
    ids = None
    if kind is Granularity.FRAME:
        sample = Sample(draw(st.integers(0, 99)))
    elif kind is Granularity.PATCH:
        y, x = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        sample = Sample(draw(st.integers(0, 99)), box=(y, x, draw(st.integers(1, 40)), draw(st.integers(1, 40))))
    else:
        seed = draw(st.integers(0, 2**31))
        ids = np.random.default_rng(seed).integers(0, 3, (height, width)).astype(np.int32)
        number = int(ids[draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))])
        sample = Sample(draw(st.integers(0, 99)), superpixel=("0a1b2c3d", number))
    region = sample.region(height, width, ids)
    box = (0, 0, height, width)
    if kind is not Granularity.FRAME:
        box = (square_with_context if tile else with_context)(bounding_box(region), height, width)
    excerpt = excerpt_of(asked(sample, region), box, "/data/local-files/?d=x.jpg", region)
    # nothing of the sample is cut off
    assert excerpt.inside.sum() == region.sum()
    return excerpt


def masks(excerpt: Excerpt, classes: int, seed: int) -> Any:
    ids = np.array([*range(classes), UNKNOWN], np.uint8)
    return np.random.default_rng(seed).choice(ids, (excerpt.height, excerpt.width))


@settings(max_examples=50)
@given(excerpts(), st.integers(1, 60), st.integers(0, 2**31), st.booleans())
def test_painting_is_the_identity_inside_and_silent_outside(
    excerpt: Excerpt, classes: int, seed: int, background: bool
) -> None:
    mask = masks(excerpt, classes, seed)
    names = [f"class {k}" for k in range(classes)]
    unpainted = 0 if background else None
    shown = prediction_regions(excerpt.cut(mask), label_texts(names), unpainted)
    task = json.loads(json.dumps({"data": excerpt.data(), "result": shown}))
    back = excerpt_of_data(task["data"])
    untouched = [{**region, "origin": "prediction"} for region in task["result"]]
    reading = read_result(untouched, task["result"], *back.inside.shape, class_ids(names), unpainted)
    inside = excerpt.placed(np.zeros(excerpt.inside.shape, np.uint8)) == 0
    expected = np.where(mask == UNKNOWN, 0, mask) if background else mask
    np.testing.assert_array_equal(back.placed(reading.mask), np.where(inside, expected, UNKNOWN))
    assert reading.changed_regions == 0


@given(excerpts())
def test_what_a_question_is_about_survives_the_task(excerpt: Excerpt) -> None:
    back = excerpt_of_data(json.loads(json.dumps(excerpt.data())))
    np.testing.assert_array_equal(back.inside, excerpt.inside)
    for name in ("key", "video", "video_name", "round", "sample", "height", "width", "model", "box", "image"):
        assert getattr(back, name) == getattr(excerpt, name)


@given(excerpts(), st.integers(0, 2**31))
def test_what_is_painted_around_the_sample_never_counts(excerpt: Excerpt, seed: int) -> None:
    part = np.random.default_rng(seed).integers(0, 3, excerpt.inside.shape).astype(np.uint8)
    mask = excerpt.placed(part)
    y, x, h, w = excerpt.box
    np.testing.assert_array_equal(mask[y : y + h, x : x + w][excerpt.inside], part[excerpt.inside])
    assert (mask != UNKNOWN).sum() == excerpt.inside.sum()


@given(st.lists(excerpts(tile=True), min_size=1, max_size=12), st.integers(1, 60), st.integers(1, 5), st.data())
def test_tiles_come_apart_as_they_were_put_together(
    several: list[Excerpt], classes: int, per_task: int, data: st.DataObject
) -> None:
    options = tile_options([f"class {k}" for k in range(classes)])
    tiles = []
    for excerpt in several:
        # one class, or nothing
        said = data.draw(st.sampled_from([*range(classes), UNKNOWN]))
        tiles.append(Tile(excerpt, excerpt.cut(excerpt.filled(said)), "x"))
    tasks = [json.loads(json.dumps(tiles_task(group, options, "v"))) for group in grouped(tiles, per_task)]
    found = []
    for task in tasks:
        assert len(task["data"][TILES]) <= per_task
        answers = tile_answers((task.get("predictions") or [{}])[0].get("result"), options)
        for index, part in enumerate(task["data"][TILES]):
            tile = tile_of_data(part)
            found.append((tile.excerpt.key, answers.get(index)))
            np.testing.assert_array_equal(
                tile.excerpt.filled(answers.get(index, UNKNOWN)), tile.excerpt.placed(tile.shown)
            )
    assert sorted(found, key=str) == sorted(((t.excerpt.key, t.predicted) for t in tiles), key=str)
    for task in tasks:
        assert len(tile_keys(task["data"])) == len(task["data"][TILES])
        # the server finds the task by where its keys begin
        assert task["data"]["fewclicks_key"].startswith(f"{VIDEO}/2/")


def tile(name: int, classes: list[int], kind: Granularity = Granularity.SUPERPIXEL) -> Tile:
    region = np.ones((1, 6), bool)
    sample = Sample(0, superpixel=("0a1b2c3d", name)) if kind is Granularity.SUPERPIXEL else Sample(name, (0, 0, 1, 6))
    return Tile(excerpt_of(asked(sample, region), (0, 0, 1, 6), "x", region), np.array([classes], np.uint8), "x")


def test_of_a_superpixel_most_is_chosen_and_of_a_patch_all_or_several() -> None:
    assert tile(0, [1, 1, 2, 2, 2, 255]).predicted == 2
    assert tile(0, [3, 3, 3, 1, 1, 1]).predicted == 1  # a tie
    assert tile(0, [255] * 6).predicted is None
    assert tile(0, [1, 1, 2, 2, 2, 255], Granularity.PATCH).predicted == SEVERAL
    assert tile(0, [2, 2, 2, 2, 2, 255], Granularity.PATCH).predicted == 2


def test_tiles_of_one_class_are_together_and_the_unknown_come_last() -> None:
    tiles = [tile(k, [c] * 6) for k, c in enumerate([2, 255, 0, 2, 1, 0, 255])]
    groups = list(grouped(tiles, 3))
    assert [[t.predicted for t in group] for group in groups] == [[0, 0, 1], [2, 2, None], [None]]


def test_an_answer_that_cannot_be_read_is_none() -> None:
    options = tile_options(["road", "car"])
    assert options[SEVERAL] == "more than one class"
    assert options[CANNOT_TELL] == "can't tell"
    good = {"type": "choices", "from_name": "choice1", "value": {"choices": [" car "]}}
    bad = [
        None,
        {**good, "from_name": "choice"},
        {**good, "from_name": "choice0", "value": {"choices": ["lamp"]}},
        {**good, "from_name": "choice0", "value": {"choices": ["road", "car"]}},
        {**good, "from_name": "choice0", "value": None},
        {**good, "from_name": "choice0", "type": "brushlabels"},
    ]
    assert tile_answers([*bad, good], options) == {1: 1}
    assert tile_answers("text", options) == {}


def test_a_class_may_be_called_like_the_other_choices() -> None:
    options = tile_options(["can't tell", "more than one class"])
    assert len(set(options.values())) == 4
    assert options[0] == "can't tell"
    assert options[CANNOT_TELL] == "can't tell (2)"


BROKEN = {
    "no data": None,
    "no size": {"height": None},
    "no number": {"height": "20"},
    "a key from elsewhere": {"sample": "../../etc/passwd"},
    "a part outside": {"box": "0-0-99-99"},
    "a part of nothing": {"box": "0-0-0-4"},
    "no part": {"box": None},
    "no pixels": {"inside": None},
    "pixels of another size": {"inside": packed(np.zeros((3, 3), np.uint8))},
    "no packed pixels": {"inside": "AAAA"},
}


@pytest.mark.parametrize("name", BROKEN)
def test_data_that_somebody_has_broken_is_refused_in_words(name: str) -> None:
    region = np.zeros((20, 30), bool)
    region[4:8, 5:9] = True
    question = asked(Sample(0, superpixel=("0a1b2c3d", 1)), region)
    data = excerpt_of(question, (0, 0, 20, 30), "x", region).data()
    changed = BROKEN[name]
    with pytest.raises(ValueError, match=r"it has|its pixels|sample key|the part of the frame"):
        excerpt_of_data(None if changed is None else data | changed)


def test_packed_pixels_never_take_more_memory_than_they_say() -> None:
    bomb = packed(np.zeros((4000, 4000), np.uint8))
    assert len(bomb) < 30_000
    with pytest.raises(ValueError, match="are not 10x10"):
        unpacked(bomb, 10, 10)


def test_a_picture_leaves_the_sample_as_it_is_and_outlines_it() -> None:
    rgb = np.full((20, 20, 3), 200, np.uint8)
    inside = np.zeros((20, 20), bool)
    inside[8:12, 8:12] = True
    picture = outlined(rgb, inside)
    assert (picture[inside] == 200).all()
    assert picture[10, 7].tolist() == [255] * 3
    assert picture[10, 6].tolist() == [0] * 3
    assert picture[10, 5].tolist() == [90] * 3  # 45 % of 200


def test_context_is_cut_off_at_the_edge_and_a_tile_is_moved_inside() -> None:
    assert with_context((40, 60, 64, 64), 200, 300) == (8, 28, 128, 128)
    assert with_context((0, 0, 10, 10), 200, 300) == (0, 0, 69, 69)
    assert with_context((90, 100, 20, 20), 200, 300) == (36, 46, 128, 128)
    assert with_context((90, 100, 20, 20), 200, 120) == (36, 46, 128, 74)
    assert square_with_context((0, 290, 10, 10), 200, 300) == (0, 258, 42, 42)
    assert square_with_context((0, 0, 10, 10), 20, 300) == (0, 0, 20, 42)
    assert bounding_box(np.array([[0, 0, 0], [0, 1, 1]], bool)) == (1, 1, 1, 2)


@pytest.mark.slow
@pytest.mark.parametrize(("height", "width", "classes"), [(2160, 3840, 8), (540, 960, 60)])
def test_large_frames_of_many_classes(height: int, width: int, classes: int) -> None:
    names = [f"class {k}" for k in range(classes)]
    rows, columns = np.arange(height) // (height // 10), np.arange(width) // (width // 6)
    mask = (np.add.outer(rows * 6, columns) % classes).astype(np.uint8)
    mask[100:200, 200:400] = UNKNOWN
    region = np.ones((height, width), bool)
    excerpt = excerpt_of(asked(Sample(0), region), (0, 0, height, width), "x", region)
    result = prediction_regions(excerpt.cut(mask), label_texts(names), None)
    reading = read_result(result, None, height, width, class_ids(names), None)
    np.testing.assert_array_equal(excerpt.placed(reading.mask), mask)


def test_a_patch_of_4k_leaves_the_rest_alone() -> None:
    height, width = 2160, 3840
    mask = (np.arange(height)[:, None] // 9 % 60 + np.zeros(width, int)).astype(np.uint8)
    sample = Sample(0, box=(2100, 3800, 100, 100))  # over the corner
    region = sample.region(height, width)
    box = with_context(bounding_box(region), height, width)
    excerpt = excerpt_of(asked(sample, region), box, "x", region)
    names = [f"class {k}" for k in range(60)]
    result = prediction_regions(excerpt.cut(mask), label_texts(names), None)
    reading = read_result(result, result, *excerpt.inside.shape, class_ids(names), None)
    np.testing.assert_array_equal(excerpt.placed(reading.mask), np.where(region, mask, UNKNOWN))
