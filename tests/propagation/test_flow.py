from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from propagation.flow import dis_flow, log_agreement


def texture(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (height // 4 + 1, width // 4 + 1, 3))
    return np.kron(coarse, np.ones((4, 4, 1)))[:height, :width].astype(np.uint8)


def test_a_shifted_texture_has_its_shift_as_flow():
    wide = texture(96, 160)
    source, target = wide[:, 8:136], wide[:, 5:133]  # what is at x in source is at x + 3 in target
    flow = dis_flow(source, target, 640)
    assert flow.shape == (96, 128, 2)
    assert flow.dtype == np.float32
    inner = flow[16:-16, 16:-16]
    assert np.abs(inner - [3, 0]).mean() < 0.1


def test_flow_at_reduced_size_is_in_pixels_of_the_full_frame():
    wide = np.kron(texture(96, 160), np.ones((2, 2, 1), np.uint8))
    source, target = wide[:, 20:276], wide[:, 12:268]
    flow = dis_flow(source, target, 128)
    assert flow.shape == (192, 256, 2)
    assert np.abs(flow[40:-40, 40:-40] - [8, 0]).mean() < 0.4


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (37, 50), (48, 64), (3, 200)])
def test_flow_of_a_still_frame_is_zero_at_any_size(size):
    image = texture(*size)
    flow = dis_flow(image, image, 640)
    assert flow.shape == (*size, 2)
    assert np.abs(flow).max() < 0.05


def test_flow_does_not_depend_on_what_the_thread_computed_before():
    def pair(height: int, width: int, shift: int) -> tuple[np.ndarray, np.ndarray]:
        wide = texture(height, width + 8)
        return wide[:, 4 : width + 4], wide[:, 4 + shift : width + 4 + shift]

    def in_a_new_thread(*images: np.ndarray) -> np.ndarray:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(dis_flow, *images, 640).result()

    for images in (pair(96, 128, 3), pair(40, 200, -2), pair(96, 128, -4), pair(96, 128, 3)):
        np.testing.assert_array_equal(dis_flow(*images, 640), in_a_new_thread(*images))


@settings(max_examples=20, deadline=None)
@given(dx=st.integers(-3, 3), dy=st.integers(-3, 3))
def test_agreement_of_opposite_translations_is_perfect_inside_and_worst_outside(dx, dy):
    forward = np.zeros((12, 14, 2), np.float32) + np.float32([dx, dy])
    agreement = log_agreement(forward, -forward)
    y, x = np.mgrid[:12, :14]
    inside = (x + dx >= 0) & (x + dx < 14) & (y + dy >= 0) & (y + dy < 12)
    assert (agreement[inside] == 0).all()
    assert (agreement[~inside] == -4).all()


def test_agreement_by_hand():
    forward = np.zeros((4, 8, 2), np.float32)
    forward[..., 0] = 1
    back = np.zeros((4, 8, 2), np.float32)  # returns 1 px from where it began: -1 / (0.01 (1 + 0) + 0.5)
    agreement = log_agreement(forward, back)
    assert agreement[:, :-1] == pytest.approx(-1 / 0.51)
