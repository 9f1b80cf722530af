"""Clicks to a mask by a network on a pretrained encoder, trained by `fewclicks assist train`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assist.backends.cells import Cells
from assist.backends.classic import LONGEST_PX, Classic
from assist.click_network import PADDED_TO, STRIDE, ClickNetwork, Maps, click_maps, compare
from assist.clicks import Box, Click
from assist.encoder import encoded, encoder, smaller
from assist.model_files import load_into, load_record
from propagation.segmenters import Features


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A picture as the network sees it; `image_maps`: of the network, None while it learns."""

    cells: Cells
    maps: Maps
    image_maps: tuple[Tensor, ...] | None


class Learned:
    """The random walk with the network's opinion of every cell in it: its borders are those of the colours."""

    def __init__(self, folder: Path) -> None:
        record = load_record(folder)
        self._encoder = encoder(record.encoder, record.weights)
        self._network = ClickNetwork(self._encoder.channels)
        self.version = f"learned-{record.encoder}-{load_into(self._network, folder / 'click.pt')}"
        self._classic = Classic()

    def look(self, image: NDArray[np.uint8]) -> Seen:
        cells, maps = looked(self._encoder, self._classic, image)
        with torch.no_grad():
            return Seen(cells, maps, self._network.image_maps(maps))

    def segment(
        self, looked: Seen, clicks: Sequence[Click], box: Box | None, previous: NDArray[np.bool_] | None
    ) -> NDArray[np.bool_]:
        cells = looked.cells
        walked = self._classic.walked(cells, clicks, box, previous)
        maps = click_maps(looked.maps, clicks, box, previous, walked[cells.ids].astype(np.float32))
        assert looked.image_maps is not None
        with torch.no_grad():
            logits = self._network(looked.image_maps, maps)[0]
        thought = small_probability(logits, looked.maps)
        again = self._classic.walked(cells, clicks, box, previous, cells.means(thought))
        return self._classic.enlarged(cells, again) > 0.5


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
