"""Boxes that snap by colour, without anything learned."""

from __future__ import annotations

import numpy as np
import pytest

from assist.box_jitter import box_overlap, drawn_roughly
from assist.clicks import Box
from assist.color_snapping import ColorSnapper


def picture(height: int = 240, width: int = 320) -> tuple[np.ndarray, Box]:
    rng = np.random.default_rng(0)
    image = np.full((height, width, 3), (40, 90, 170)) + rng.normal(0, 6, (height, width, 3))
    right = Box(100.0, 60.0, 220.0, 150.0)
    image[60:150, 100:220] += (160, -20, -110)
    return np.clip(image, 0, 255).astype(np.uint8), right


def test_a_box_snaps_to_what_has_another_colour_and_is_sure_of_it() -> None:
    image, right = picture()
    kept, rng = image.copy(), np.random.default_rng(1)
    for _ in range(5):
        drawn = drawn_roughly(right, rng)
        found = ColorSnapper().snap(image, drawn)
        # a pixel of the crop is at most 1.1 * 1.7 * 120 / 128 = 1.75 of the image
        edges = np.array([found.box.left, found.box.top, found.box.right, found.box.bottom])
        assert np.abs(edges - (100, 60, 220, 150)).max() <= 1.8
        assert min(found.confidence) > 0.8
        assert found == ColorSnapper().snap(image, drawn)
    np.testing.assert_array_equal(image, kept)


def test_an_edge_that_nothing_shows_stays_as_drawn_or_is_not_believed() -> None:
    """The object's colour goes on to the right, beyond where anybody would draw its edge."""
    image, right = picture()
    image[60:150, 220:] = image[60:150, 120:220]
    drawn = Box(98.0, 63.0, 216.0, 148.0)
    found = ColorSnapper().snap(image, drawn)
    assert abs(found.box.right - drawn.right) <= 0.17 * drawn.width
    assert found.box.right == pytest.approx(216, abs=2) or found.confidence[1] < 0.5
    assert abs(found.box.top - right.top) <= 2


@pytest.mark.parametrize(
    "drawn",
    [
        Box(-50, -40, 400, 300),  # more than the image: no surroundings
        Box(-30, -20, 60, 50),
        Box(317, 236, 330, 250),
        Box(10, 10, 12, 12),
        Box(0, 0, 320, 240),
        Box(5.5, 100.2, 315.3, 104.9),
    ],
)
def test_any_box_leads_to_one_inside_the_image(drawn: Box) -> None:
    image, _ = picture()
    found = ColorSnapper().snap(image, drawn)
    assert 0 <= found.box.left < found.box.right <= 320
    assert 0 <= found.box.top < found.box.bottom <= 240
    assert all(0 <= value <= 1 for value in found.confidence)
    assert ColorSnapper().snap(image[:1, :1], Box(0, 0, 1, 1)).box == Box(0, 0, 1, 1)


def test_a_plain_picture_leaves_the_box_nearly_as_it_is() -> None:
    image = np.full((200, 200, 3), 90, np.uint8)
    drawn = Box(60, 60, 140, 140)
    assert box_overlap(ColorSnapper().snap(image, drawn).box, drawn) > 0.5
