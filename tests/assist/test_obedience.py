"""Clicks are obeyed, and only what was clicked on stays."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from assist.clicks import Box, Click, box_around, disks
from assist.obedience import obeyed, wanted_parts

clicks_in = st.lists(
    st.builds(Click, st.integers(0, 11), st.integers(0, 14), st.booleans()),
    max_size=8,
    unique_by=lambda click: (click.y, click.x),
)


@given(hnp.arrays(bool, (12, 15)), clicks_in, st.integers(0, 6))
def test_every_clicked_pixel_is_as_demanded_and_obedience_changes_nothing_twice(mask, clicks, radius) -> None:
    before = mask.copy()
    result = obeyed(mask, clicks, radius)
    assert all(result[click.y, click.x] == click.positive for click in clicks)
    np.testing.assert_array_equal(obeyed(result, clicks, radius), result)
    np.testing.assert_array_equal(mask, before)


def test_a_disobeyed_click_flips_a_disk_and_an_obeyed_one_nothing() -> None:
    empty = np.zeros((21, 21), bool)
    result = obeyed(empty, [Click(10, 10, True), Click(0, 0, False)], 3)
    assert result[10, 7:14].all()
    assert not result[10, 6]
    assert not result[0].any()


def test_the_last_of_two_clicks_on_one_pixel_counts() -> None:
    assert not obeyed(np.ones((5, 5), bool), [Click(2, 2, True), Click(2, 2, False)], 1)[2, 2]


def test_parts_that_nobody_clicked_on_go() -> None:
    mask = np.zeros((10, 20), bool)
    mask[2:5, 2:5] = mask[2:5, 10:15] = True
    kept = wanted_parts(mask, [Click(3, 12, True), Click(9, 9, False)])
    assert kept[3, 12]
    assert not kept[3, 3]
    np.testing.assert_array_equal(wanted_parts(mask, [Click(9, 9, False)]), mask)


def test_a_box_holds_the_pixels_whose_centres_lie_in_it_and_is_found_again() -> None:
    mask = Box(2.0, 1.0, 7.0, 4.0).pixels(10, 12)
    assert mask.sum() == 15
    assert box_around(mask) == Box(2.0, 1.0, 7.0, 4.0)
    assert box_around(np.zeros((3, 3), bool)) is None


def test_disks_are_of_the_radius_asked_for_and_of_the_click_s_kind() -> None:
    maps = disks([Click(10, 10, True), Click(3, 4, False)], 20, 20, 2)
    assert maps[0].sum() == 13  # the pixels within 2 of the middle: 1 + 4 + 4 + 4
    assert maps[1, 3, 4] == 1
    assert not maps[1, 10].any()
