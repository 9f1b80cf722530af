"""The camera of the rendered street, against pinhole geometry worked out on paper."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from connectors.street_camera import Picture, Texture

FOCAL, W, H = 100.0, 200, 100


def picture(yaw: float = 0.0, pitch: float = 0.0, at: tuple[float, float, float] = (0, 0, 0)) -> Picture:
    return Picture(W, H, FOCAL, at, yaw, pitch, 0.0)


def white() -> Texture:
    return Texture.of(np.full((4, 4, 3), 255, np.uint8))


def test_a_square_covers_the_pixels_that_similar_triangles_say() -> None:
    view = picture()
    # 2 m wide at 10 m: 2 / 10 * 100 = 20 px, around the middle column 100 and row 50; height 1 m: 10 px, upwards.
    view.quad((-1, 1, 10), (2, 0, 0), (0, -1, 0), white(), label=3)
    rows, columns = np.nonzero(view.mask == 3)
    assert (columns.min(), columns.max()) in {(90, 109), (90, 110)}  # fillPoly also takes the pixel on the last edge
    assert (rows.min(), rows.max()) in {(40, 49), (40, 50)}
    assert ((view.rgb > 0).all(axis=2) == (view.mask == 3)).all()


def test_near_shapes_hide_far_ones_drawn_before() -> None:
    view = picture()
    view.quad((-5, 5, 20), (10, 0, 0), (0, -10, 0), white(), label=1)
    view.quad((-1, 1, 10), (2, 0, 0), (0, -2, 0), white(), label=2)
    assert view.mask[50, 100] == 2
    assert view.mask[50, 85] == 1
    assert view.mask[5, 5] == 0


def test_what_is_behind_is_not_drawn_and_what_reaches_behind_is_cut() -> None:
    view = picture()
    view.quad((-1, 1, -10), (2, 0, 0), (0, -2, 0), white(), label=1)
    assert not view.mask.any()
    view.quad((2, 1, -5), (0, 0, 25), (0, -2, 0), white(), label=2)  # a wall on the right, past the camera
    rows, columns = np.nonzero(view.mask == 2)
    assert columns.min() in (109, 110)  # its far end: 2 m at 20 m
    assert columns.max() == W - 1
    assert rows.max() - rows.min() >= 99  # near the border it is 1 m above and below at 2 m: 50 px each way


def test_the_texture_is_in_perspective() -> None:
    """A wall from 10 m to 30 m at x = 5: its middle, 20 m away, is seen at 25 px, not half way from 50 px to 17 px."""
    half = np.zeros((8, 64, 3), np.uint8)
    half[:, 32:] = 255
    view = picture()
    view.quad((5, 1, 10), (0, 0, 20), (0, -2, 0), Texture.of(half), label=1)
    row = view.rgb[50, 100:, 0]
    bright = np.flatnonzero(row > 127)
    assert abs(int(bright.max()) - 25) <= 1
    assert view.rgb[50, 100 + 40, 0] < 10


def test_a_cut_out_shape_has_the_same_pixels_in_colour_and_mask() -> None:
    alpha = np.zeros((16, 16), np.uint8)
    alpha[:, :8] = 255
    view = picture()
    view.quad((-1, 1, 5), (2, 0, 0), (0, -2, 0), Texture.of(np.full((16, 16, 3), 200, np.uint8), alpha), label=4)
    assert ((view.rgb > 0).any(axis=2) == (view.mask == 4)).all()
    columns = np.nonzero(view.mask == 4)[1]
    assert columns.max() in (99, 100)


def test_darken_leaves_the_classes_alone() -> None:
    view = picture(at=(0, 2, 0))
    view.rgb[:], view.mask[:] = 100, 5
    view.darken((-1, 0, 8), (2, 0, 0), (0, 0, 4), 0.5, soft=False)
    assert (view.mask == 5).all()
    # The ground 2 m below at 10 m is 20 px below the middle.
    assert view.rgb[70, 100, 0] == 50
    assert view.rgb[40, 100, 0] == 100


@given(st.floats(-0.5, 0.5), st.floats(-0.3, 0.3))
def test_a_point_straight_ahead_moves_by_the_tangent_of_the_turn(yaw: float, pitch: float) -> None:
    view = picture(yaw=yaw, pitch=pitch)
    dx, dy, dz = view.ground_rays()
    # The ray of the middle column and row points where the camera looks.
    ray = np.array([a[H // 2, W // 2] for a in (dx, dy, dz)])
    assert math.isclose(math.atan2(ray[0], ray[2]), yaw, abs_tol=0.012)
    assert math.isclose(math.atan2(ray[1], math.hypot(ray[0], ray[2])), pitch, abs_tol=0.012)
