"""The click model on masks small enough to draw on paper, and on one real sequence."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from selection.clicks import (
    correcting_clicks,
    drawing_clicks,
    frame_clicks,
    patch_clicks,
    polygons,
    region_count,
    superpixel_clicks,
)
from workspace.files import read_mask
from workspace.sample import Sample

CAMVID = Path(__file__).parents[2] / "../shared/data/camvid_0016E5_15hz/masks"
EVERYWHERE = np.ones((20, 30), bool)


def blank(value=255):
    return np.full((20, 30), value, np.uint8)


small_masks = arrays(np.uint8, (9, 11), elements=st.sampled_from([0, 1, 2, 255]))


def test_a_rectangle_costs_its_four_corners_and_its_class():
    mask = blank()
    mask[5:10, 5:15] = 1
    assert frame_clicks(mask, 2) == 4 + 1


def test_a_frame_of_one_class_is_a_rectangle_too():
    assert frame_clicks(blank(0), 1) == 4 + 1


def test_two_rectangles_of_one_class_are_two_regions():
    mask = blank()
    mask[2:6, 2:8] = mask[10:15, 20:28] = 1
    assert frame_clicks(mask, 2) == 2 * (4 + 1)


def test_rectangles_that_touch_at_a_corner_are_one_region():
    mask = blank()
    mask[2:8, 2:8] = mask[8:14, 8:14] = 1
    assert region_count(mask == 1) == 1
    # The outline passes the junction twice; both pixels of it are corners: 3 free corners and the junction per square.
    assert frame_clicks(mask, 2) == 8 + 1


def test_the_outline_of_a_hole_is_drawn_too():
    ring = blank()
    ring[3:17, 3:27] = 1
    solid = frame_clicks(ring, 2)
    ring[8:12, 10:20] = 255
    # A hole is traced along the pixels around it and cuts its corners, by 0.7 px: thinning leaves one vertex for each.
    assert solid == 5
    assert frame_clicks(ring, 2) == 5 + 4


def test_a_pixel_is_one_vertex_and_a_line_two():
    mask = blank()
    mask[4, 4] = 1
    assert frame_clicks(mask, 2) == 1 + 1
    mask[10, 5:15] = 1
    assert frame_clicks(mask, 2) == (1 + 1) + (2 + 1)


def test_neighbouring_classes_are_drawn_each_on_its_own():
    mask = blank(0)
    mask[:, 15:] = 1
    assert frame_clicks(mask, 2) == 2 * (4 + 1)


def test_nothing_known_costs_nothing_to_draw_but_somebody_looks():
    assert frame_clicks(blank(), 3) == 0
    assert patch_clicks(blank(), (0, 0, 8, 8), 3) == 0
    assert drawing_clicks(blank(), 3, Sample(0)) == 1
    assert drawing_clicks(blank(), 3, Sample(0, box=(0, 0, 8, 8))) == 1


def test_a_step_below_the_tolerance_is_no_vertex():
    mask = blank()
    mask[5:10, 5:25] = 1
    mask[4, 12:18] = 1  # a bump of 1 px: no farther than 1 px from the straight line
    assert frame_clicks(mask, 2) == 4 + 1
    mask[2:4, 12:18] = 1  # of 3 px: its corners and the two where it rises
    assert frame_clicks(mask, 2) == 8 + 1


def test_a_patch_of_one_class_is_one_click():
    assert patch_clicks(blank(0), (4, 8, 16, 16), 2) == 1


def test_a_patch_cut_by_a_straight_boundary():
    mask = blank(0)
    mask[:, 15:] = 1
    # No vertex inside, the boundary crosses the border twice, two regions.
    assert patch_clicks(mask, (2, 10, 10, 10), 2) == 0 + 2 + 2


def test_a_patch_holding_a_corner():
    mask = blank()
    mask[8:20, 12:30] = 1
    # The corner of the rectangle lies inside; its outline crosses the border twice; one region (the rest is unknown).
    assert patch_clicks(mask, (4, 8, 10, 10), 2) == 1 + 2 + 1


def test_a_patch_around_a_whole_rectangle_counts_its_corners():
    mask = blank()
    mask[6:10, 6:12] = 1
    assert patch_clicks(mask, (3, 3, 12, 15), 2) == 4 + 0 + 1


def test_a_patch_with_a_band_through_it():
    mask = blank(0)
    mask[:, 14:17] = 1
    assert patch_clicks(mask, (2, 10, 10, 10), 2) == 0 + 4 + 3


def test_a_patch_one_pixel_wide_is_a_line():
    mask = blank(0)
    mask[10:, :] = 1
    assert patch_clicks(mask, (5, 3, 10, 1), 2) == 0 + 1 + 2


def test_a_patch_over_the_edge_of_the_frame_is_cut_off():
    mask = blank(0)
    mask[:, 28:] = 1
    assert patch_clicks(mask, (16, 24, 16, 16), 2) == patch_clicks(mask, (16, 24, 4, 6), 2) == 0 + 2 + 2


def test_a_superpixel_is_one_click():
    mask = blank(0)
    mask[:, 15:] = 1
    superpixels = np.zeros((20, 30), np.int32)
    superpixels[:, 10:20] = 7
    assert superpixel_clicks(mask, superpixels == 7) == 1
    assert superpixel_clicks(blank(), superpixels == 7) == 0
    assert drawing_clicks(mask, 2, Sample(0, superpixel=("00c0ffee", 7)), superpixels) == 1


def test_drawing_takes_the_price_of_the_granularity():
    mask = blank(0)
    mask[:, 15:] = 1
    assert drawing_clicks(mask, 2, Sample(3)) == 10
    assert drawing_clicks(mask, 2, Sample(3, box=(2, 10, 10, 10))) == 4


def test_accepting_what_was_right_is_one_click():
    answer = blank(0)
    answer[:, 15:] = 1
    assert correcting_clicks(answer, answer, EVERYWHERE) == 1
    assert correcting_clicks(answer, blank(), EVERYWHERE) == 1  # the annotator said nothing


def test_correcting_costs_the_wrong_regions():
    answer = blank(0)
    answer[2:18, 4:12] = 1
    answer[4:10, 18:26] = 2
    shown = answer.copy()
    shown[14:18, 4:12] = 0  # 4 rows of the first object missed
    shown[15:19, 20:28] = 2  # 4 x 8 pixels too many of the second
    assert correcting_clicks(shown, answer, EVERYWHERE) == 2 * (4 + 1)
    known = EVERYWHERE.copy()
    known[:, 15:] = False
    assert correcting_clicks(shown, answer, known) == 4 + 1


def test_one_wrong_blob_with_two_right_classes_is_two_regions():
    answer = blank(0)
    answer[5:15, 5:10] = 1
    answer[5:15, 10:15] = 2
    shown = blank(0)
    assert correcting_clicks(shown, answer, EVERYWHERE) == 2 * (4 + 1)


def test_correcting_is_never_dearer_than_drawing():
    answer = blank(0)
    noise = np.random.default_rng(0).integers(0, 2, answer.shape).astype(np.uint8)
    assert correcting_clicks(noise, answer, EVERYWHERE) == frame_clicks(answer, 1) == 5
    assert correcting_clicks(noise, answer, EVERYWHERE, drawing=3) == 3


@given(small_masks)
def test_with_nothing_shown_correcting_is_drawing(answer):
    nothing = np.full(answer.shape, 255, np.uint8)
    assert correcting_clicks(nothing, answer, np.ones(answer.shape, bool)) == max(1, frame_clicks(answer, 3))


@given(small_masks, small_masks, arrays(np.bool_, (9, 11)))
def test_correcting_lies_between_one_and_drawing(shown, answer, known):
    before = answer.copy(), shown.copy(), known.copy()
    clicks = correcting_clicks(shown, answer, known)
    drawn = frame_clicks(np.where(known, answer, np.uint8(255)), 3)
    assert 1 <= clicks <= max(1, drawn)
    assert all((a == b).all() for a, b in zip(before, (answer, shown, known), strict=True))


@given(small_masks)
def test_renaming_the_classes_changes_no_cost(mask):
    renamed = np.array([2, 0, 1, *range(3, 256)], np.uint8)[mask]
    assert frame_clicks(renamed, 3) == frame_clicks(mask, 3)
    assert patch_clicks(renamed, (1, 2, 5, 6), 3) == patch_clicks(mask, (1, 2, 5, 6), 3)


@given(small_masks, st.integers(1, 9), st.integers(1, 11))
def test_a_patch_costs_at_least_its_regions(mask, height, width):
    patch = mask[:height, :width]
    regions = sum(region_count(patch == k) for k in range(3))
    assert patch_clicks(mask, (0, 0, height, width), 3) >= regions


@given(st.integers(1, 6), st.integers(1, 6))
@settings(max_examples=20)
def test_polygons_give_x_before_y(top, left):
    member = np.zeros((20, 30), bool)
    member[top : top + 5, left : left + 9] = True
    (polygon,) = polygons(member)
    corners = {(left, top), (left + 8, top), (left, top + 4), (left + 8, top + 4)}
    assert {tuple(vertex) for vertex in polygon.tolist()} == corners


@pytest.mark.footage
@pytest.mark.skipif(not CAMVID.is_dir(), reason="the CamVid sequence is not at ../shared/data")
def test_drawing_every_frame_of_camvid_costs_what_the_design_says():
    paths = sorted(CAMVID.glob("*.png"))
    assert len(paths) == 101
    assert sum(frame_clicks(read_mask(path), 11) for path in paths) == 142_579
