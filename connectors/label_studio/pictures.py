"""What annotators see of a patch or superpixel: it as it is, outlined, and dimmed what lies around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from connectors.label_studio.excerpts import Excerpt, excerpt_of, sample_region
from connectors.labeling_tool import Question
from workspace.errors import UserError
from workspace.files import read_rgb, write_image
from workspace.layout import Layout
from workspace.sample import Granularity, Sample

Box = tuple[int, int, int, int]  # y, x, height, width in pixels of the frame

_DIMMED = 0.45  # brightness of what is not asked about
_LEAST_CONTEXT_PX = 16
_LEAST_PAINTED_PX = 128  # enlarged more, a brush stroke is thinner than a pixel and less than half of any is painted
_OUTLINE = 160  # one pixel of outline for each so many of the picture's longer side


class Pictures:
    """Makes the picture of a question, once, under videos/ID/shown of the workspace.

    address: from the path of an image to where the server shows it
    """

    def __init__(self, workspace_root: Path, address: Callable[[Path], str]) -> None:
        self._layout = Layout(workspace_root)
        self._address = address
        self._frame = lru_cache(maxsize=2)(read_rgb)  # hundreds of samples may lie in a few frames

    def excerpt(self, question: Question, tile: bool) -> Excerpt:
        """What is shown of the frame: the frame's own image, or one made for a patch or superpixel; `tile`: square."""
        region = sample_region(question)
        if question.sample.granularity is Granularity.FRAME:
            whole = (0, 0, question.height, question.width)
            return excerpt_of(question, whole, self._address(question.image), region)
        box = (square_with_context if tile else with_context)(bounding_box(region), question.height, question.width)
        address = self._drawn(question.video, question.sample, box, region, question.image)
        return excerpt_of(question, box, address, region)

    def to_paint(self, tile: Excerpt, image: Path) -> Excerpt:
        """The excerpt to paint for one that was shown as a tile. `image`: of the whole frame."""
        region = tile.filled(0) == 0
        box = y, x, h, w = with_context(bounding_box(region), tile.height, tile.width)
        address = self._drawn(tile.video, tile.sample, box, region, image)
        return replace(tile, box=box, inside=region[y : y + h, x : x + w], image=address)

    def _drawn(self, video: str, sample: Sample, box: Box, region: NDArray[np.bool_], image: Path) -> str:
        """The address of the picture of this part of the frame, drawn now unless it is there."""
        # named by which part of which sample it is, and neither ever changes
        picture = self._layout.video(video) / "shown" / f"{sample.key}.{'-'.join(map(str, box))}.jpg"
        address = self._address(picture)  # which refuses what the server could not show, before it is written
        if not picture.exists():
            frame = self._frame(image)
            if frame.shape[:2] != region.shape:
                size, expected = (f"{width}x{height}" for height, width in (frame.shape[:2], region.shape))
                raise UserError(f"{image} is {size}, not {expected}.")
            y, x, h, w = box
            write_image(picture, outlined(frame[y : y + h, x : x + w], region[y : y + h, x : x + w]))
        return address


def bounding_box(region: NDArray[np.bool_]) -> Box:
    """(H, W) bool, any True, to the smallest rectangle around it."""
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)


def with_context(box: Box, height: int, width: int) -> Box:
    """The box and half its longer side on each side, to 128 px at least, cut off at the frame's edge."""
    y, x, h, w = box
    margin = max(_LEAST_CONTEXT_PX, max(h, w) // 2, (_LEAST_PAINTED_PX - max(h, w) + 1) // 2)
    top, left = max(0, y - margin), max(0, x - margin)
    return top, left, min(height, y + h + margin) - top, min(width, x + w + margin) - left


def square_with_context(box: Box, height: int, width: int) -> Box:
    """A square of twice the box's longer side (32 px more at least) around it, moved into the frame, or all of it.

    Tiles are small and many on a screen: of one shape they line up.
    """
    y, x, h, w = box
    side = max(h, w) + 2 * max(_LEAST_CONTEXT_PX, max(h, w) // 2)
    tall, wide = min(side, height), min(side, width)
    top = min(max(0, y + h // 2 - tall // 2), height - tall)
    left = min(max(0, x + w // 2 - wide // 2), width - wide)
    return top, left, tall, wide


def outlined(part: NDArray[np.uint8], inside: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The picture of a sample, of whose own pixels none is altered.

    part: (h, w, 3) uint8 RGB;  inside: (h, w) bool, the sample
    Around it a white line and a black one, so that one of them shows on any ground.
    """
    thick = max(1, round(max(inside.shape) / _OUTLINE))
    white = _grown(inside, thick)
    black = _grown(white, thick)
    picture = (part.astype(np.float32) * _DIMMED).astype(np.uint8)
    picture[black] = 0
    picture[white] = 255
    picture[inside] = part[inside]
    return picture


def _grown(member: NDArray[np.bool_], by_px: int) -> NDArray[np.bool_]:
    kernel = np.ones((2 * by_px + 1, 2 * by_px + 1), np.uint8)
    return np.asarray(cv2.dilate(member.view(np.uint8), kernel), bool)
