from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.label_studio.polygons import polygon_pixels


def in_percent(points: list[tuple[float, float]], height: int, width: int) -> list[list[float]]:
    return [[x * 100 / width, y * 100 / height] for x, y in points]


def test_a_rectangle_covers_the_pixels_whose_centres_it_holds() -> None:
    # x from 1.4 to 4.5: centres 1.5, 2.5, 3.5, as 4.5 lies on the right edge: outside
    # y from 0.5 to 2: centres 0.5, on the upper edge: inside, and 1.5
    points = in_percent([(1.4, 0.5), (4.5, 0.5), (4.5, 2.0), (1.4, 2.0)], 5, 8)
    expected = np.zeros((5, 8), bool)
    expected[0:2, 1:4] = True
    np.testing.assert_array_equal(polygon_pixels(points, 5, 8), expected)
    np.testing.assert_array_equal(polygon_pixels(points[::-1], 5, 8), expected)


def test_a_right_triangle() -> None:
    # inside where x < 4 - y: centres x + y < 4 strictly, that is column + row < 3
    rows, columns = np.mgrid[:4, :4]
    np.testing.assert_array_equal(polygon_pixels([[0, 0], [100, 0], [0, 100]], 4, 4), rows + columns < 3)


def test_parts_outside_the_image_are_cut_off() -> None:
    assert polygon_pixels([[-50, -50], [150, -50], [150, 150], [-50, 150]], 3, 5).all()
    assert not polygon_pixels([[110, 0], [150, 0], [150, 100]], 3, 5).any()


def test_a_pentagram_is_filled_in_the_middle_as_in_a_browser() -> None:
    angles = np.deg2rad([-90, 54, 198, -18, 126])
    star = np.stack([50 + 45 * np.cos(angles), 50 + 45 * np.sin(angles)], axis=1)
    assert polygon_pixels(star, 41, 41)[20, 20]


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=3, max_size=3), st.integers(1, 30))
def test_two_halves_of_a_polygon_cover_it_once(corners: list[tuple[float, float]], size: int) -> None:
    a, b, c = np.array(corners)
    middle = (a + b) / 2
    whole = polygon_pixels([a, b, c], size, size)
    left, right = polygon_pixels([a, middle, c], size, size), polygon_pixels([middle, b, c], size, size)
    # the middle is rounded, so a centre exactly on a side may fall either way
    assert ((left | right) != whole).sum() <= 1 + size // 8
    assert (left & right).sum() <= 1 + size // 8


@pytest.mark.parametrize(
    "points", [None, [], [[0, 0], [1, 1]], [[0, 0, 0]] * 3, "abc", [[0, 0], [1, "x"], [2, 2]], [[0, float("nan")]] * 3]
)
def test_what_is_no_polygon_is_refused(points: object) -> None:
    with pytest.raises(ValueError, match="points"):
        polygon_pixels(points, 4, 4)
