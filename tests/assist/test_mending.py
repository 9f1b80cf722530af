"""Correcting a mask that was there: what a click is about changes, everything else stays."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from assist.backends.interface import mask_of_clicks
from assist.backends.part import Part
from assist.clicks import Click
from assist.mending import is_mended, mended, near

masks = hnp.arrays(bool, (12, 15))
clicks = st.builds(Click, st.integers(0, 11), st.integers(0, 14), st.booleans())


class Stubborn:
    """Answers with the same mask whatever it is asked."""

    version = "stubborn"

    def __init__(self, answer: np.ndarray) -> None:
        self.answer = answer

    def look(self, image):
        return None

    def segment(self, looked, clicks, box, previous):
        return self.answer

    def mend(self, looked, clicks, previous):
        return self.answer


@settings(max_examples=40)
@given(masks, masks, clicks)
def test_a_click_changes_one_region_and_in_its_own_way_only(before, answer, click) -> None:
    kept = before.copy()
    result = mended(before, answer, click)
    np.testing.assert_array_equal(before, kept)
    changed = result ^ before
    assert (result[changed] == click.positive).all()
    assert (answer[changed] == click.positive).all()
    assert not changed.any() or changed[click.y, click.x]
    np.testing.assert_array_equal(mended(result, answer, click), result)


def test_of_two_new_regions_the_clicked_one_is_taken_and_of_two_surplus_ones_too() -> None:
    before = np.zeros((10, 30), bool)
    before[2:5, 2:5] = before[2:5, 20:24] = True
    answer = np.zeros((10, 30), bool)
    answer[2:8, 2:5] = answer[0:3, 10:14] = True  # more of the first, something new, and nothing of the second
    added = mended(before, answer, Click(6, 3, True))
    assert added.sum() == before.sum() + 3 * 3
    assert not added[0:3, 10:14].any()
    assert added[2:5, 20:24].all()
    taken = mended(before, answer, Click(3, 21, False))
    assert taken.sum() == before.sum() - 3 * 4
    np.testing.assert_array_equal(mended(before, answer, Click(9, 29, True)), before)  # it changes nothing there


@settings(max_examples=40)
@given(masks, masks, st.lists(clicks, min_size=1, max_size=4, unique_by=lambda click: (click.y, click.x)))
def test_every_click_is_obeyed_and_parts_that_nobody_clicked_on_stay(before, answer, made) -> None:
    result = before
    for number in range(1, len(made) + 1):
        result = mask_of_clicks(Stubborn(answer), None, made[:number], previous=result, mending=True)
    assert all(result[click.y, click.x] == click.positive for click in made)
    if not before.any():
        return
    if all(click.positive for click in made):
        assert result[before].all()
    if not any(click.positive for click in made):
        assert not result[~before].any()


def test_an_obstinate_backend_changes_a_small_disk() -> None:
    before = np.zeros((40, 40), bool)
    before[5:10, 5:35] = True
    result = mask_of_clicks(Stubborn(before), None, [Click(25, 20, True)], previous=before, mending=True)
    assert (result & ~before).sum() == 29  # the pixels within 3 of the middle: 7 + 2 * (5 + 5 + 1)
    assert result[before].all()


def test_clicks_far_from_what_was_there_begin_something_of_their_own() -> None:
    start = np.zeros((480, 854), bool)
    assert not is_mended(start, [Click(5, 5, True)])
    start[100:200, 100:200] = True
    assert is_mended(start, [Click(150, 230, True), Click(470, 800, True)])  # the first one says it
    assert not is_mended(start, [Click(400, 700, True), Click(150, 150, True)])
    assert not is_mended(start, [])
    assert not is_mended(None, [Click(5, 5, True)])
    assert is_mended(start[:128, :128], [Click(0, 0, True)])  # so small an image is seen as a whole


@given(st.integers(1, 700), st.integers(1, 700), st.data())
def test_the_square_around_a_click_holds_it_and_lies_inside(height, width, data) -> None:
    click = Click(data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1)), True)
    part = near(height, width, click)
    if part is None:
        assert max(height, width) <= 128
        return
    assert 0 <= part.top <= click.y < part.bottom <= height
    assert 0 <= part.left <= click.x < part.right <= width
    assert part.bottom - part.top == min(height, 128)
    assert part.right - part.left == min(width, 128)


def test_the_square_grows_with_the_image() -> None:
    assert near(2160, 3840, Click(1000, 2000, True)) == Part(712, 1712, 1288, 2288)  # 0.15 of 3840: 576
    assert near(2160, 3840, Click(0, 3839, True)) == Part(0, 3264, 576, 3840)
