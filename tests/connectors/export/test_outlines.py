"""Polygons around regions, filled by OpenCV: every pixel comes back, holes too."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays

from connectors.export.outlines import outline
from workspace.instance import regions


def filled(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    canvas = np.zeros(shape, np.uint8)
    cv2.fillPoly(canvas, [points], 1)
    return canvas.astype(bool)


@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=14), elements={"max_value": 1}))
def test_filling_an_outline_gives_the_region(mask: np.ndarray) -> None:
    for region in regions(mask):
        points = outline(region.mask)
        assert len(points) >= 3
        assert (filled(points, region.mask.shape) == region.mask).all()


def test_a_rectangle_has_four_corners_and_a_ring_a_seam() -> None:
    ring = np.ones((7, 9), bool)
    assert sorted(map(tuple, outline(ring).tolist())) == [(0, 0), (0, 6), (8, 0), (8, 6)]
    ring[2:5, 3:6] = False
    points = outline(ring)
    assert (filled(points, ring.shape) == ring).all()
    assert len(points) <= 4 + 8 + 3  # the outer corners, the hole's, and both ends of the seam twice


def test_many_holes() -> None:
    sieve = np.ones((41, 41), bool)
    sieve[1::2, 1::2] = False
    assert (filled(outline(sieve), sieve.shape) == sieve).all()
    rng = np.random.default_rng(1)
    for density in (0.1, 0.3, 0.6):
        noise = (rng.random((60, 80)) > density).astype(np.uint8)
        for region in regions(noise):
            assert (filled(outline(region.mask), region.mask.shape) == region.mask).all()
