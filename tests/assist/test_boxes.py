"""Boxes: how they are drawn roughly, cut out, located and judged; answers worked out on paper."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assist.box_jitter import box_overlap, box_scores, drawn_roughly
from assist.box_network import CROP_PX, POSITIONS, box_of_edges, crop_around, cut, edges_in_crop, place_maps
from assist.clicks import Box
from assist.examples import examples_of
from assist.snapping import Snapper, located
from assist.training.box_training import edge_loss
from workspace.errors import UserError

boxes = st.builds(
    lambda x, y, w, h: Box(x, y, x + w, y + h),
    st.floats(0, 300),
    st.floats(0, 200),
    st.floats(8, 300),
    st.floats(8, 200),
)


def test_a_box_moved_by_a_tenth_overlaps_by_nine_elevenths() -> None:
    right, moved = Box(0, 0, 100, 100), Box(10, 0, 110, 100)
    assert box_overlap(right, moved) == pytest.approx(9 / 11)
    assert box_overlap(right, Box(200, 0, 300, 100)) == 0
    scores = box_scores([right, Box(2, 0, 100, 103), moved], [right, right, right])
    assert scores["iou90"] == pytest.approx(2 / 3)
    # of the second: 98 x 100 in common, of 100 x 100 + 98 x 3 in all
    assert scores["miou"] == pytest.approx((1 + 9800 / 10294 + 9 / 11) / 3)
    assert scores["edge1"] == pytest.approx((4 + 2 + 2) / 12)
    assert scores["edge3"] == pytest.approx((4 + 4 + 2) / 12)
    # corners of the second: left-top 2, right-top 0, left-bottom sqrt(13), right-bottom 3
    assert scores["corner1"] == pytest.approx((4 + 1) / 12)
    assert scores["corner3"] == pytest.approx((4 + 3) / 12)
    with pytest.raises(ValueError, match="0 boxes"):
        box_scores([], [])


@given(boxes, st.integers(0, 1000))
def test_roughly_drawn_is_within_the_published_bounds(box, seed) -> None:
    drawn = drawn_roughly(box, np.random.default_rng(seed))
    for near, far, low, high in (
        (drawn.left, drawn.right, box.left, box.right),
        (drawn.top, drawn.bottom, box.top, box.bottom),
    ):
        side = high - low
        assert abs((near + far) / 2 - (low + high) / 2) <= 0.1 * side + 1e-6
        assert 0.9 * side - 1e-6 <= far - near <= 1.1 * side + 1e-6


@given(boxes, boxes)
def test_edges_in_a_crop_lead_back_to_the_box(box, around) -> None:
    crop = crop_around(around)
    back = box_of_edges(edges_in_crop(box, crop).astype(np.float64), crop)
    scale = max(crop.width, crop.height)
    assert np.allclose(
        [back.left, back.top, back.right, back.bottom], [box.left, box.top, box.right, box.bottom], atol=1e-4 * scale
    )


@pytest.mark.parametrize("zoom", [1, 4])
def test_an_object_lies_in_the_crop_where_its_edges_say(zoom: int) -> None:
    image = np.zeros((100 * zoom, 200 * zoom, 3), np.uint8)
    image[30 * zoom : 60 * zoom, 50 * zoom : 120 * zoom] = 255
    box = Box(50 * zoom, 30 * zoom, 120 * zoom, 60 * zoom)
    crop = crop_around(Box(46 * zoom, 28 * zoom, 125 * zoom, 64 * zoom))
    bright = cut(image, crop)[..., 0] > 127
    columns, rows = np.flatnonzero(bright.any(axis=0)), np.flatnonzero(bright.any(axis=1))
    found = np.array([columns[0], columns[-1] + 1, rows[0], rows[-1] + 1]) * POSITIONS / CROP_PX
    assert np.abs(found - edges_in_crop(box, crop)).max() < 0.6


def test_a_crop_beyond_the_image_repeats_its_edge() -> None:
    image = np.full((10, 10, 3), 50, np.uint8)
    assert (cut(image, crop_around(Box(0, 0, 10, 10))) == 50).all()
    assert (cut(image, crop_around(Box(9, 9, 10, 10))) == 50).all()


def test_place_maps_say_where_the_box_is() -> None:
    box = Box(0, 0, 34, 34)
    inside, across, down = place_maps(box, crop_around(box))[0]
    assert float(inside.mean()) == pytest.approx((1 / 1.7) ** 2, abs=0.03)
    assert (float(across[0, 0]), float(across[0, -1])) == (-1.0, 1.0)
    assert (float(down[0, 0]), float(down[-1, 0])) == (-1.0, 1.0)


def test_an_edge_is_the_mean_around_its_peak_and_as_sure_as_that_part_is_likely() -> None:
    chances = torch.zeros(4, POSITIONS)
    chances[0, 10] = 1.0
    chances[1, 20] = chances[1, 21] = 0.5
    chances[2, 0], chances[2, 60] = 0.7, 0.3
    chances[3] = 1 / POSITIONS
    places, confidence = located(chances)
    assert places == pytest.approx([10.5, 21.0, 0.5, 2.0])
    assert confidence == pytest.approx([1.0, 1.0, 0.7, 4 / POSITIONS])


def test_the_loss_is_least_where_the_edge_is() -> None:
    logits = torch.full((1, 4, POSITIONS), -9.0)
    logits[0, :, 40] = 9.0
    right, near, far = (float(edge_loss(logits, torch.full((1, 4), at))) for at in (40.5, 42.5, 80.5))
    assert right < near < far
    assert float(edge_loss(torch.zeros(1, 4, POSITIONS), torch.full((1, 4), 300.0))) == pytest.approx(np.log(POSITIONS))


def test_snapping_stays_inside_and_is_the_same_again(tiny_model, footage) -> None:
    snapper = Snapper.of(tiny_model)
    (example, *_) = examples_of(footage)
    image, objects = example.read()
    for box in (Box(10, 10, 60, 60), Box(-20, -20, 200, 150), Box(94, 70, 96, 72)):
        found = snapper.snap(image, box)
        assert 0 <= found.box.left < found.box.right <= 96
        assert 0 <= found.box.top < found.box.bottom <= 72
        assert found == snapper.snap(image, box)
        assert all(0 < value <= 1.0001 for value in found.confidence)
    assert len(objects) == 1


def test_a_model_without_boxes_is_named(tmp_path) -> None:
    with pytest.raises(UserError, match="no assist model"):
        Snapper.of(tmp_path)
