"""The robot's clicks on shapes whose middle is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from assist.clicks import Click
from assist.robot import click_through, clicks_to_reach, next_click, overlap


def test_the_first_click_is_in_the_middle_of_the_object() -> None:
    truth = np.zeros((40, 60), np.uint8)
    truth[10:21, 30:41] = 1  # 11x11: one pixel is the farthest from the border
    assert next_click(np.zeros((40, 60), bool), truth) == Click(15, 35, True)


def test_the_larger_mistake_is_clicked_first_and_its_kind_is_told() -> None:
    truth = np.zeros((50, 50), np.uint8)
    truth[0:9, 0:9] = 1
    mask = np.zeros((50, 50), bool)
    mask[20:35, 20:35] = True
    assert next_click(mask, truth) == Click(27, 27, False)
    mask[20:35, 20:35] = False
    # the image's edge is a border: the middle of a 9x9 square in the corner is its own middle, not the corner
    assert next_click(mask, truth) == Click(4, 4, True)


def test_what_nobody_knows_is_never_clicked_and_never_counts() -> None:
    truth = np.full((20, 20), 255, np.uint8)
    truth[:, :5] = 0
    mask = np.ones((20, 20), bool)
    mask[:, :5] = False
    assert next_click(mask, truth) is None
    assert overlap(mask, truth) == 1.0


def test_no_pixel_is_clicked_twice() -> None:
    truth = np.zeros((9, 9), np.uint8)
    truth[4, 4] = 1
    empty = np.zeros((9, 9), bool)
    first = next_click(empty, truth)
    assert first == Click(4, 4, True)
    assert next_click(empty, truth, [first]) is None


def test_an_annotator_whose_every_click_paints_a_square_takes_as_many_clicks_as_there_are_squares() -> None:
    truth = np.zeros((30, 60), np.uint8)
    for left in (5, 25, 45):
        truth[10:15, left : left + 5] = 1

    def segment(clicks, before):
        mask = before.copy()
        y, x = clicks[-1].y, clicks[-1].x
        mask[y - 2 : y + 3, x - 2 : x + 3] = clicks[-1].positive
        return mask

    overlaps = click_through(segment, truth)
    assert overlaps == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert clicks_to_reach(overlaps, 0.6) == 2
    assert clicks_to_reach(overlaps, 0.9) == 3
    assert clicks_to_reach(overlaps[:-1], 0.9) == 20
    assert len(click_through(segment, truth, most=2)) == 3
    assert len(click_through(segment, truth, enough=0.3, least=2)) == 3
    assert click_through(segment, truth, start=truth == 1) == [1.0]


@given(hnp.arrays(bool, (12, 15)), hnp.arrays(np.uint8, (12, 15), elements=st.sampled_from([0, 1, 255])))
def test_the_click_is_always_on_a_mistake_of_its_kind(mask, truth) -> None:
    click = next_click(mask, truth)
    wrong = (mask & (truth == 0)) | (~mask & (truth == 1))
    assert (click is None) == (not wrong.any())
    if click is not None:
        assert wrong[click.y, click.x]
        assert click.positive == bool(truth[click.y, click.x])
