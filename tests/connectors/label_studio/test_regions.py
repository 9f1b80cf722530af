from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from connectors.label_studio.annotator import corrected_regions
from connectors.label_studio.brush import decode_brush, encode_brush
from connectors.label_studio.regions import brush_region, prediction_regions, read_result
from workspace.mask import UNKNOWN

LABELS = ("road", "car", "sky")
IDS = {"road": 0, "car": 1, "sky": 2}
H, W = 4, 6
masks = hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from([0, 1, 2, 255]))


def read(result: Any, shown: Any = None, background: int | None = None) -> Any:
    return read_result(result, shown, H, W, IDS, background)


def columns(*where: int) -> Any:
    pixels = np.zeros((H, W), bool)
    pixels[:, list(where)] = True
    return pixels


def polygon(label: str, x0: float, x1: float) -> dict[str, Any]:
    left, right = x0 * 100 / W, x1 * 100 / W
    return {
        "id": "p",
        "from_name": "polygon",
        "to_name": "image",
        "type": "polygonlabels",
        "original_width": W,
        "original_height": H,
        "value": {"points": [[left, 0], [right, 0], [right, 100], [left, 100]], "polygonlabels": [label]},
    }


@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_brush_run_lengths_round_trip(pixels: Any) -> None:
    np.testing.assert_array_equal(decode_brush(encode_brush(pixels), *pixels.shape), pixels)


def test_half_covered_counts_as_painted() -> None:
    from label_studio_sdk.converter.brush import mask2rle

    alpha = np.array([[0, 127, 128, 255]], np.uint8)
    assert decode_brush([int(v) for v in mask2rle(alpha)], 1, 4).tolist() == [[False, False, True, True]]


@pytest.mark.parametrize(
    "rle",
    [
        None,
        "abc",
        [],
        [1, 2, 3],
        [0, 0, 0, 96],
        [0, 0, 0, 96, 57, 27, 254, 63],
        [255] * 30,
        [-1] * 30,
        ["x"] * 30,
        10**12,
    ],
)
def test_garbage_instead_of_run_lengths_is_refused(rle: Any) -> None:
    with pytest.raises(ValueError, match="run lengths"):
        decode_brush(rle, H, W)


@given(masks, st.sampled_from([None, 0, 2]))
def test_an_untouched_prediction_is_the_identity_but_for_the_background(mask: Any, background: int | None) -> None:
    result = prediction_regions(mask, LABELS, background)
    reading = read_result([{**r, "origin": "prediction"} for r in result], result, *mask.shape, IDS, background)
    expected = mask if background is None else np.where(mask == UNKNOWN, background, mask)
    np.testing.assert_array_equal(reading.mask, expected)
    assert reading.changed_regions == 0
    assert not reading.problems


@given(st.data())
def test_what_an_annotator_corrects_comes_back_exactly(data: st.DataObject) -> None:
    shown = data.draw(masks)
    answer = data.draw(hnp.arrays(np.uint8, shown.shape, elements=st.sampled_from([0, 1, 2, 255])))
    predicted = prediction_regions(shown, LABELS, None)
    reading = read_result(corrected_regions(shown, answer, LABELS, None), predicted, *shown.shape, IDS, None)
    np.testing.assert_array_equal(reading.mask, answer)
    assert reading.changed_regions == sum(bool(((shown == k) != (answer == k)).any()) for k in range(3))


def test_later_wins_among_what_people_drew() -> None:
    mask = read([brush_region("a", "road", columns(0, 1, 2), "manual"), polygon("car", 1, 4)]).mask
    assert mask[0].tolist() == [0, 1, 1, 1, 255, 255]


def test_a_person_wins_over_an_untouched_prediction_whatever_the_order() -> None:
    predicted = brush_region("a", "sky", columns(0, 1, 2))
    for result in (
        [brush_region("b", "car", columns(1), "manual"), {**predicted, "origin": "prediction"}],
        [{**predicted, "origin": "prediction"}, brush_region("b", "car", columns(1), "manual")],
    ):
        reading = read(result, [predicted])
        assert reading.mask[0].tolist() == [2, 1, 2, 255, 255, 255]
        assert reading.changed_regions == 1


def test_of_a_changed_region_only_the_added_pixels_are_the_persons() -> None:
    # both prediction regions were extended over each other's border, the first one later in time but first in the list
    shown = [brush_region("a", "road", columns(0, 1, 2)), brush_region("b", "car", columns(3, 4))]
    road, car = columns(0, 1, 2, 3), columns(3, 4, 5)
    result = [
        brush_region("a", "road", road, "prediction-changed"),
        brush_region("b", "car", car, "prediction-changed"),
    ]
    assert read(result, shown).mask[0].tolist() == [0, 0, 0, 0, 1, 1]


def test_another_label_on_a_predicted_region_is_the_persons_word() -> None:
    shown = [brush_region("a", "road", columns(0, 1))]
    reading = read([brush_region("a", "car", columns(0, 1), "prediction-changed")], shown)
    assert reading.mask[0].tolist() == [1, 1, 255, 255, 255, 255]
    assert reading.changed_regions == 1


def test_unpainted_pixels_get_the_background() -> None:
    assert (read([], background=2).mask == 2).all()
    assert (read(None, background=2).mask == 2).all()
    assert read([brush_region("a", "car", columns(0), "manual")], background=2).mask[0].tolist() == [1, 2, 2, 2, 2, 2]


def test_a_removed_region_counts_as_changed() -> None:
    shown = [brush_region("a", "road", columns(0)), brush_region("b", "car", columns(1))]
    assert read([{**shown[0], "origin": "prediction"}], shown).changed_regions == 1


good = brush_region("good", "road", columns(0), "manual")
BROKEN = {
    "an unknown label": {**good, "value": {**good["value"], "brushlabels": ["lamp"]}},
    "no label": {**good, "value": {"format": "rle", "rle": good["value"]["rle"]}},
    "two labels": {**good, "value": {**good["value"], "brushlabels": ["road", "car"]}},
    "another control": {**good, "from_name": "somebody"},
    "another kind": {**good, "type": "rectanglelabels", "from_name": "box"},
    "another size": {**good, "original_width": W + 1},
    "no size": {k: v for k, v in good.items() if not k.startswith("original")},
    "a rotated image": {**good, "image_rotation": 90},
    "garbage run lengths": {**good, "value": {**good["value"], "rle": [0, 0, 0, 96, 255]}},
    "two points": {**polygon("car", 0, 1), "value": {"points": [[0, 0], [1, 1]], "polygonlabels": ["car"]}},
    "no region": "text",
    "no value": {**good, "value": None},
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_region_is_left_out_and_named_and_leaves_the_others_alone(name: str) -> None:
    reading = read([BROKEN[name], good], background=2)
    # without the broken region nobody knows what was meant elsewhere: not background
    assert reading.mask[0].tolist() == [0, 255, 255, 255, 255, 255]
    assert len(reading.problems) == 1
    assert reading.problems[0].startswith("region 1: it")


@pytest.mark.parametrize("result", ["text", {"a": 1}, 5])
def test_a_result_that_is_no_list_says_nothing(result: Any) -> None:
    reading = read(result, background=2)
    assert (reading.mask == UNKNOWN).all()
    assert reading.problems


def test_a_key_point_left_beside_the_answer_is_no_label_and_no_problem() -> None:
    value = {"x": 50, "y": 50, "width": 1, "keypointlabels": ["road"]}
    point = {"id": "k", "type": "keypointlabels", "from_name": "click", "to_name": "image", "value": value}
    reading = read([point], background=0)
    assert not reading.problems
    assert (reading.mask == 0).all()
    assert read([{**point, "from_name": "else"}], background=0).problems
