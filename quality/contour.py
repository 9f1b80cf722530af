"""How far two outlines of the same thing lie apart, exactly, as a whole and stretch by stretch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from workspace.instance import Instance, cut_out, together

_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


@dataclass(frozen=True, slots=True)
class ContourDistance:
    """Between two masks; infinite if exactly one of them is empty, 0 if both are.

    scaled: mean_px / sqrt(2), the published figure;  mean_px, p95_px, max_px: over the contour pixels of both masks,
    the distance in pixels to the nearest contour pixel of the other one. max_px is the Hausdorff distance of the
    contours.
    """

    scaled: float
    mean_px: float
    p95_px: float
    max_px: float


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of a contour. y, x: its middle in the image;  pixels: its length;  mean_px, max_px: to the other
    contour."""

    y: int
    x: int
    pixels: int
    mean_px: float
    max_px: float


def boundary(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(H, W) bool: the pixels of `mask` (H, W) with a 4-neighbour outside of it: mask XOR eroded mask.

    What lies beyond the image's edge is outside, so that a mask has a boundary wherever it lies.
    """
    raw = np.ascontiguousarray(mask).view(np.uint8)
    return np.asarray(raw ^ cv2.erode(raw, _CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=0), np.uint8).view(bool)


def contour_distance(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> ContourDistance:
    """The distance between the boundaries of two masks of one shape (H, W).

        d(A, B) = (sum of D_B over boundary A + sum of D_A over boundary B) / (sqrt(2) (|boundary A| + |boundary B|))

    with D_X the exact Euclidean distance to the boundary of X. Zimmermann et al. 2023, "Benchmarking a Benchmark: How
    Reliable is MS-COCO?", arXiv:2311.02709. It is symmetric, and 0 if and only if the boundaries are the same pixels;
    among masks without holes that means equal masks (an outline one pixel wide and its filled shape differ, but have
    the same boundary).
    """
    if a.shape != b.shape:
        raise ValueError(f"masks of different shapes {a.shape} and {b.shape}")
    first, second = cut_out(0, a), cut_out(0, b)
    if first is None or second is None:
        apart = 0.0 if first is second else math.inf
        return ContourDistance(apart, apart, apart, apart)
    return instance_distance(first, second)


def instance_distance(a: Instance, b: Instance) -> ContourDistance:
    """`contour_distance` of two instances of one image, on the rectangle that holds both."""
    one, other, _, _ = together(a, b, margin=1)
    edge_a, edge_b = boundary(one), boundary(other)
    apart = np.concatenate([_distance_to(edge_b)[edge_a], _distance_to(edge_a)[edge_b]]).astype(np.float64)
    mean = float(apart.mean())
    return ContourDistance(mean / math.sqrt(2), mean, float(np.quantile(apart, 0.95)), float(apart.max()))


def contour_distances(a: NDArray[np.int32], b: NDArray[np.int32]) -> dict[int, ContourDistance]:
    """The distance of each instance between two maps of instance ids.

    a, b: (H, W) int32, 0 is no instance;  returns: per id that either map holds; infinite where only one does
    """
    if a.shape != b.shape:
        raise ValueError(f"maps of different shapes {a.shape} and {b.shape}")
    nowhere = ContourDistance(math.inf, math.inf, math.inf, math.inf)
    found = [instances_of_ids(one) for one in (a, b)]
    return {
        number: instance_distance(found[0][number], found[1][number])
        if number in found[0] and number in found[1]
        else nowhere
        for number in sorted(found[0].keys() | found[1].keys())
    }


def instances_of_ids(ids: NDArray[np.int32]) -> dict[int, Instance]:
    """The instances of (H, W) int32 ids, each cut out; 0 is none. Their class is 0."""
    instances = {}
    for number, place in enumerate(ndimage.find_objects(ids), start=1):
        if place is not None:
            rows, columns = place
            instances[number] = Instance(0, rows.start, columns.start, ids[place] == number)
    return instances


def stretches(a: Instance, b: Instance, length_px: int = 32) -> list[Stretch]:
    """The contour of `a` in pieces of `length_px` contour pixels, the one farthest from the contour of `b` first.

    Each of its contours (holes have their own) is cut into equal pieces of about that length. Where `b` goes beyond
    `a`, ask the other way round too.
    """
    one, other, top, left = together(a, b, margin=1)
    away = _distance_to(boundary(other))
    pieces = []
    contours, _ = cv2.findContours(one.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    for contour in contours:
        x, y = contour[:, 0, 0], contour[:, 0, 1]
        distance = away[y, x]
        for part in np.array_split(np.arange(len(x)), max(1, round(len(x) / length_px))):
            middle = part[len(part) // 2]
            mean, most = float(distance[part].mean()), float(distance[part].max())
            pieces.append(Stretch(int(y[middle]) + top, int(x[middle]) + left, len(part), mean, most))
    return sorted(pieces, key=lambda s: (-s.mean_px, s.y, s.x))


def _distance_to(edge: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(H, W) float32: exact Euclidean distance in pixels to the nearest True pixel.

    Felzenszwalb & Huttenlocher 2012, "Distance Transforms of Sampled Functions", which is OpenCV's DIST_MASK_PRECISE.
    """
    return cv2.distanceTransform((~edge).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)  # type: ignore[no-any-return]
