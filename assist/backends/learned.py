"""Clicks to a mask by a network on a pretrained encoder, trained by `fewclicks assist train`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assist.backends.cells import Cells
from assist.backends.classic import LONGEST_PX, Classic
from assist.backends.part import Part, part_around
from assist.click_network import PADDED_TO, STRIDE, ClickNetwork, Maps, click_maps, compare
from assist.clicks import Box, Click
from assist.encoder import encoded, encoder, smaller
from assist.looked import Recent
from assist.mending import near
from assist.model_files import load_into, load_record
from propagation.segmenters import Features

_CLOSER_FROM = 3  # clicks: the first ones are about how far the object reaches
_ENLARGED = 2.0  # a part around an object is enlarged at most so much
_PARTS = 4  # of an image are kept
_MENDED_LONGEST_PX = 352  # of the picture that is made of the part around a click that mends a mask,
_MENDED_ENLARGED = 3.0  # which is enlarged at most so much


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A picture as the network sees it."""

    cells: Cells
    maps: Maps
    image_maps: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """An image as a whole, and the parts of it at which somebody looked closely."""

    image: NDArray[np.uint8]
    whole: View
    parts: Recent[Part, View]


class Learned:
    """The network's opinion, and the same drawn to the borders of colour by the random walk; their mean decides.

    From the third click on it looks closely at the part of the image that the clicks are about.
    """

    def __init__(self, encoder: Features, network: ClickNetwork, version: str) -> None:
        self._encoder, self._network, self.version = encoder, network, version
        self._classic = Classic()

    @classmethod
    def of(cls, folder: Path) -> Learned:
        """A model made by `fewclicks assist train`; UserError if there is none."""
        record = load_record(folder)
        maps = encoder(record.encoder, record.weights)
        network = ClickNetwork(maps.channels)
        return cls(maps, network, f"learned-{record.encoder}-{load_into(network, folder / 'click.pt')}")

    def look(self, image: NDArray[np.uint8]) -> Seen:
        return Seen(image, self._view(image), Recent(_PARTS))

    def segment(
        self, looked: Seen, clicks: Sequence[Click], box: Box | None, previous: NDArray[np.bool_] | None
    ) -> NDArray[np.bool_]:
        height, width = shape = looked.image.shape[:2]
        part = part_around(height, width, clicks, previous) if box is None and len(clicks) >= _CLOSER_FROM else None
        if part is None:
            return self._answer(looked.whole, shape, clicks, box, previous)
        mask = np.zeros(shape, bool)  # all of the mask so far lies in the part
        mask[part.top : part.bottom, part.left : part.right] = self._in_part(
            looked, part, clicks, previous, LONGEST_PX, _ENLARGED
        )
        return mask

    def mend(self, looked: Seen, clicks: Sequence[Click], previous: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Only the square around the last click is seen, closely: there a thin mistake has some pixels, and the network
        cannot make another mask of all the rest."""
        part = near(previous.shape[0], previous.shape[1], clicks[-1])
        if part is None:
            return self._answer(looked.whole, previous.shape, clicks, None, previous)
        mask = previous.copy()
        mask[part.top : part.bottom, part.left : part.right] = self._in_part(
            looked, part, clicks, previous, _MENDED_LONGEST_PX, _MENDED_ENLARGED
        )
        return mask

    def _in_part(
        self,
        looked: Seen,
        part: Part,
        clicks: Sequence[Click],
        previous: NDArray[np.bool_] | None,
        longest_px: int,
        largest: float,
    ) -> NDArray[np.bool_]:
        """(h, w) of the part, from the clicks in it and the mask so far."""
        rows, columns = slice(part.top, part.bottom), slice(part.left, part.right)
        view = looked.parts.get_or_make(
            part, lambda: self._view(_enlarged(looked.image[rows, columns], longest_px, largest))
        )
        moved = [Click(click.y - part.top, click.x - part.left, click.positive) for click in clicks]
        shape = (part.bottom - part.top, part.right - part.left)
        inside = [click for click in moved if 0 <= click.y < shape[0] and 0 <= click.x < shape[1]]
        return self._answer(view, shape, inside, None, None if previous is None else previous[rows, columns])

    def _view(self, image: NDArray[np.uint8]) -> View:
        cells, maps = looked(self._encoder, self._classic, image)
        with torch.no_grad():
            image_maps = self._network.image_maps(maps)
        return View(cells, replace(maps, levels=()), image_maps)  # which nothing needs any more

    def _answer(
        self,
        view: View,
        shape: tuple[int, ...],
        clicks: Sequence[Click],
        box: Box | None,
        previous: NDArray[np.bool_] | None,
    ) -> NDArray[np.bool_]:
        """(H, W) of `shape`, in whose pixels clicks, box and mask are; the view may have been enlarged."""
        cells = view.cells
        size = (cells.width, cells.height)
        down, right = cells.height / shape[0], cells.width / shape[1]
        there = [Click(int((c.y + 0.5) * down), int((c.x + 0.5) * right), c.positive) for c in clicks]
        if previous is not None and previous.shape != (cells.height, cells.width):
            previous = cv2.resize(previous.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        walked = self._classic.walked(cells, there, box, previous)
        maps = click_maps(view.maps, there, box, previous, walked[cells.ids].astype(np.float32))
        with torch.no_grad():
            logits = self._network(view.image_maps, maps)[0]
        thought = small_probability(logits, view.maps)
        again = self._classic.walked(cells, there, box, previous, cells.means(thought))
        both = self._classic.enlarged(cells, again) + cv2.resize(thought, size, interpolation=cv2.INTER_LINEAR)
        if both.shape != tuple(shape):
            both = cv2.resize(both, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
        return np.asarray(both > 1.0)


def _enlarged(part: NDArray[np.uint8], longest_px: int, largest: float) -> NDArray[np.uint8]:
    """A small part, at most `largest` times, so that its longer side is at most `longest_px`."""
    scale = min(longest_px / max(part.shape[:2]), largest)
    if scale <= 1:
        return part
    size = (round(part.shape[1] * scale), round(part.shape[0] * scale))
    return np.asarray(cv2.resize(np.ascontiguousarray(part), size, interpolation=cv2.INTER_LINEAR), np.uint8)


def looked(network: Features, classic: Classic, image: NDArray[np.uint8]) -> tuple[Cells, Maps]:
    """Cells and the encoder's maps of an image, both of the picture with the longer side LONGEST_PX."""
    cells = classic.look(image)
    small = smaller(image, LONGEST_PX)
    levels, rows, columns = encoded(network, small, PADDED_TO)
    height, width = small.shape[:2]
    return cells, Maps(tuple(levels), compare(levels), rows, columns, height, width, cells.scale)


def small_probability(logits: Tensor, maps: Maps) -> NDArray[np.float32]:
    """(height, width) of the small picture from (rows / 4, columns / 4) logits."""
    chances = torch.sigmoid(logits).numpy()
    size = (maps.columns, maps.rows)
    assert chances.shape == (maps.rows // STRIDE, maps.columns // STRIDE)
    return np.asarray(cv2.resize(chances, size, interpolation=cv2.INTER_LINEAR)[: maps.height, : maps.width])
