"""The part of an image that clicks are about."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from assist.backends.part import Part, part_around
from assist.clicks import Click


@st.composite
def scenes(draw):
    height, width = draw(st.integers(1, 700)), draw(st.integers(1, 700))
    places = st.tuples(st.integers(0, height - 1), st.integers(0, width - 1))
    clicks = [Click(*draw(places), draw(st.booleans())) for _ in range(draw(st.integers(0, 4)))]
    mask = np.zeros((height, width), bool)
    for (top, left), (bottom, right) in draw(st.lists(st.tuples(places, places), max_size=2)):
        mask[top : bottom + 1, left : right + 1] = True
    return mask, clicks


@given(scenes())
def test_a_part_holds_the_mask_and_every_click_and_is_clearly_smaller_than_the_image(scene) -> None:
    mask, clicks = scene
    part = part_around(*mask.shape, clicks, mask)
    if part is None:
        return
    assert 0 <= part.top < part.bottom <= mask.shape[0]
    assert 0 <= part.left < part.right <= mask.shape[1]
    inside = np.zeros(mask.shape, bool)
    inside[part.top : part.bottom, part.left : part.right] = True
    assert not (mask & ~inside).any()
    assert all(inside[click.y, click.x] for click in clicks)
    assert max(part.bottom - part.top, part.right - part.left) < 0.8 * max(mask.shape)


def test_a_part_is_worked_out_on_paper() -> None:
    mask = np.zeros((320, 480), bool)
    mask[100:200, 200:300] = True  # 100 x 100 around (150, 250); twice as large: 50 to 250 and 150 to 350
    click = Click(150, 250, True)
    assert part_around(320, 480, [click], mask) == Part(30, 150, 270, 360)  # on lines 30 px apart
    assert part_around(320, 480, [Click(160, 240, True)], mask) == Part(30, 150, 270, 360)  # the same again
    assert part_around(320, 480, [click, Click(5, 470, False)], mask) is None  # as good as the whole image
    assert part_around(320, 480, [], None) is None
