"""One object of one image: a class and its pixels."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from workspace.mask import UNKNOWN, MaskArray


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """The pixels of one object, cut out of its image so that thousands of them fit into memory.

    class_id: 0 to K - 1;  y, x: where the upper left corner of `mask` lies in the image, in pixels
    mask: (h, w) bool, as tight as it can be;  vertices: of its polygons as they were drawn, 0 if it was not drawn so
    crowd: many objects under one mask (COCO's iscrowd);  track: its id through the video, if there is one
    """

    class_id: int
    y: int
    x: int
    mask: NDArray[np.bool_]
    vertices: int = 0
    crowd: bool = False
    track: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def area(self) -> int:
        return int(np.count_nonzero(self.mask))

    @property
    def box(self) -> tuple[int, int, int, int]:
        """y, x, height, width in pixels."""
        return (self.y, self.x, *self.mask.shape)  # type: ignore[return-value]

    def on(self, height: int, width: int) -> NDArray[np.bool_]:
        """(height, width) bool: the mask at its place in the image."""
        whole = np.zeros((height, width), bool)
        whole[self.y : self.y + self.mask.shape[0], self.x : self.x + self.mask.shape[1]] = self.mask
        return whole


def cut_out(class_id: int, member: NDArray[np.bool_]) -> Instance | None:
    """The instance of the pixels that are True in `member` (H, W); None if none is."""
    rows, columns = np.flatnonzero(member.any(axis=1)), np.flatnonzero(member.any(axis=0))
    if not rows.size:
        return None
    y, x = int(rows[0]), int(columns[0])
    return Instance(class_id, y, x, member[y : rows[-1] + 1, x : columns[-1] + 1].copy())


def regions(mask: MaskArray, without: frozenset[int] = frozenset()) -> list[Instance]:
    """The 8-connected regions of every class of a mask, in the order of their classes.

    mask: (H, W) uint8, 255 = unknown and no region;  without: classes that are no objects, like a background
    """
    found = []
    for k in np.flatnonzero(np.bincount(mask.ravel(), minlength=256)):
        if k == UNKNOWN or int(k) in without:
            continue
        count, labels, stats, _ = cv2.connectedComponentsWithStats((mask == k).view(np.uint8), connectivity=8)
        for number in range(1, count):
            x, y, w, h = (int(v) for v in stats[number, : cv2.CC_STAT_HEIGHT + 1])
            found.append(Instance(int(k), y, x, labels[y : y + h, x : x + w] == number))
    return found


def together(a: Instance, b: Instance, margin: int = 0) -> tuple[NDArray[np.bool_], NDArray[np.bool_], int, int]:
    """Both masks on the smallest common rectangle, `margin` pixels wider on each side, and its y and x."""
    top, left = min(a.y, b.y) - margin, min(a.x, b.x) - margin
    bottom = max(a.y + a.mask.shape[0], b.y + b.mask.shape[0]) + margin
    right = max(a.x + a.mask.shape[1], b.x + b.mask.shape[1]) + margin
    first, second = np.zeros((2, bottom - top, right - left), bool)
    for place, one in ((first, a), (second, b)):
        h, w = one.mask.shape
        place[one.y - top : one.y - top + h, one.x - left : one.x - left + w] = one.mask
    return first, second, top, left
