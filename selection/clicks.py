"""What labeling costs: the click model, for drawing from nothing and for correcting what was shown.

Cai et al., "Revisiting Superpixels for Active Learning in Semantic Segmentation with Realistic Annotation Costs",
CVPR 2021: the vertices of the polygons around the regions, plus one click per region for its class. Polygons are the
outlines of 8-connected regions of one class, holes included (a hole is an outline to draw too), thinned by
Douglas-Peucker with a tolerance of 1 px. Unknown pixels (255) are nobody's region and cost nothing.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from workspace.mask import UNKNOWN, MaskArray
from workspace.sample import Sample

TOLERANCE_PX = 1.0

Box = tuple[int, int, int, int]  # y, x, height, width in pixels


def frame_clicks(mask: MaskArray, classes: int) -> int:
    """Clicks to draw a whole frame from nothing: polygon vertices + one per 8-connected region.

    mask: (H, W) uint8, class ids below `classes`, or 255 = unknown;  0 if nothing is known
    """
    return sum(
        sum(len(polygon) for polygon in polygons(mask == k)) + region_count(mask == k) for k in _present(mask, classes)
    )


def patch_clicks(mask: MaskArray, box: Box, classes: int) -> int:
    """Clicks to draw one rectangle of a frame: vertices strictly inside + crossings of its border + regions.

    mask: (H, W) uint8 of the whole frame;  box: y, x, height, width, cut off at the frame's edge. The regions are those
    inside the patch. A vertex on the outermost ring of the patch is where its border cuts the region off and is not
    drawn; a change of class along that ring is one click. 1 for a patch of one class, 0 if nothing in it is known.
    """
    y, x, height, width = box
    patch = mask[y : y + height, x : x + width]
    inside = 0
    regions = 0
    for k in _present(patch, classes):
        member = patch == k
        regions += region_count(member)
        if regions == 1 and member.all():
            return 1
        inside += sum(_strictly_inside(polygon, patch.shape) for polygon in polygons(member))
    return inside + _border_crossings(patch) + regions if regions else 0


def superpixel_clicks(mask: MaskArray, region: NDArray[np.bool_]) -> int:
    """Clicks to name the dominant class of a superpixel: 1, or 0 if nothing in it is known.

    mask: (H, W) uint8;  region: (H, W) bool, the superpixel
    """
    return int((mask[region] != UNKNOWN).any())


def drawing_clicks(truth: MaskArray, classes: int, sample: Sample, superpixels: NDArray[np.int32] | None = None) -> int:
    """Clicks to answer `sample` from nothing; at least 1, because somebody has to look at it.

    truth: (H, W) uint8, the whole frame's answer;  superpixels: (H, W) int32, needed for a superpixel only
    """
    if sample.superpixel is not None:
        height, width = truth.shape
        return max(1, superpixel_clicks(truth, sample.region(height, width, superpixels)))
    if sample.box is not None:
        return max(1, patch_clicks(truth, sample.box, classes))
    return max(1, frame_clicks(truth, classes))


def correcting_clicks(shown: MaskArray, answer: MaskArray, known: NDArray[np.bool_], drawing: int | None = None) -> int:
    """Clicks to turn what was shown into the answer: the wrong regions' polygon vertices + one per region.

    shown, answer: (H, W) uint8;  known: (H, W) bool, the pixels that were asked about. A pixel is wrong where its
    answer is known and another class (or 255, nothing) was shown. A wrong region is 8-connected and has one right
    class, since a polygon carries one class only: so with nothing shown this is `frame_clicks` of the answer.
    drawing: what drawing the sample from nothing costs, the most this can be; None for that of a whole frame.
    returns: between 1 (to accept an untouched sample) and `drawing`
    """
    wrong = known & (answer != UNKNOWN) & (shown != answer)
    redrawn = frame_clicks(np.where(wrong, answer, np.uint8(UNKNOWN)), UNKNOWN)
    if drawing is None:
        drawing = frame_clicks(np.where(known, answer, np.uint8(UNKNOWN)), UNKNOWN)
    return max(1, min(redrawn, drawing))


def polygons(member: NDArray[np.bool_], tolerance_px: float = TOLERANCE_PX) -> list[NDArray[np.int32]]:
    """The outlines and hole outlines of the 8-connected regions of `member`, thinned by Douglas-Peucker.

    member: (H, W) bool;  returns: (V, 2) arrays of x, y in pixels, closed (the first vertex is not repeated)
    Suzuki & Abe 1985 (borders); Douglas & Peucker 1973 (thinning).
    """
    # Every border pixel is kept for the thinning: CHAIN_APPROX_SIMPLE would drop some and move its starting point.
    outlines, _ = cv2.findContours(member.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return [cv2.approxPolyDP(outline, tolerance_px, True)[:, 0, :] for outline in outlines]


def region_count(member: NDArray[np.bool_]) -> int:
    """Number of 8-connected regions of (H, W) bool."""
    return int(cv2.connectedComponents(member.view(np.uint8), connectivity=8)[0]) - 1


def _present(mask: MaskArray, classes: int) -> NDArray[np.intp]:
    return np.flatnonzero(np.bincount(mask.ravel(), minlength=UNKNOWN + 1)[: min(classes, UNKNOWN)])


def _strictly_inside(polygon: NDArray[np.int32], shape: tuple[int, ...]) -> int:
    height, width = shape
    x, y = polygon[:, 0], polygon[:, 1]
    return int(((x > 0) & (x < width - 1) & (y > 0) & (y < height - 1)).sum())


def _border_crossings(patch: MaskArray) -> int:
    """Changes of class along the outermost ring of pixels; a one-pixel-wide patch is a line, not a ring."""
    if 1 in patch.shape:
        line = patch.ravel()
        return int((line[1:] != line[:-1]).sum())
    ring = np.concatenate([patch[0, :-1], patch[:-1, -1], patch[-1, :0:-1], patch[:0:-1, 0]])
    return int((ring != np.roll(ring, 1)).sum())
