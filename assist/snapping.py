"""A roughly drawn box snaps to the object in it, edge by edge, each with a confidence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assist.box_network import POSITIONS, BoxNetwork, box_of_edges, crop_around, cut, place_maps
from assist.clicks import Box
from assist.encoder import encoded, encoder
from assist.model_files import load_into, load_record
from propagation.segmenters import Features

_AROUND = 3  # positions on both sides of the likeliest one that share in an edge's place
SURE_ABOVE = 0.5  # an edge with less of its probability near its place is to be looked at


@dataclass(frozen=True, slots=True)
class Snapped:
    """confidence: of left, right, top, bottom: how much of an edge's probability lies near where it was put."""

    box: Box
    confidence: tuple[float, float, float, float]


class BoxSnapper(Protocol):
    """Safe from one thread at a time; deterministic.  version: its name, for the annotation tool"""

    @property
    def version(self) -> str: ...

    def snap(self, image: NDArray[np.uint8], box: Box) -> Snapped:
        """image: (H, W, 3) uint8 RGB;  box: at least partly inside it. The result is inside."""
        ...


class Snapper:
    """What the box network has learned."""

    def __init__(self, encoder: Features, network: BoxNetwork, version: str) -> None:
        self._encoder, self._network, self.version = encoder, network, version

    @classmethod
    def of(cls, folder: Path) -> Snapper:
        """A model with box.pt, made by `fewclicks assist train`; UserError if there is none."""
        record = load_record(folder)
        maps = encoder(record.encoder, record.weights)
        network = BoxNetwork(maps.channels)
        return cls(maps, network, f"snap-{record.encoder}-{load_into(network, folder / 'box.pt')}")

    def snap(self, image: NDArray[np.uint8], box: Box) -> Snapped:
        """image: (H, W, 3) uint8 RGB;  box: at least partly inside it. The result is inside."""
        crop = crop_around(box)
        levels, _, _ = encoded(self._encoder, cut(image, crop), 32)
        with torch.no_grad():
            chances = torch.softmax(self._network(levels, place_maps(box, crop))[0], dim=1)
        places, confidence = located(chances)
        found = box_of_edges(places, crop)
        height, width = image.shape[:2]
        left, right = _ordered(found.left, found.right, box.left, box.right, width)
        top, bottom = _ordered(found.top, found.bottom, box.top, box.bottom, height)
        a, b, c, d = (float(value) for value in confidence)
        return Snapped(Box(left, top, right, bottom), (a, b, c, d))


def located(chances: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(4, POSITIONS) to where each edge is, 0 to POSITIONS, and how much of its probability lies there.

    Position i stands for i + 0.5. An edge lies at the mean of the positions around the likeliest one.
    """
    values = chances.double().numpy()
    places, confidence = np.zeros(len(values)), np.zeros(len(values))
    for number, row in enumerate(values):
        peak = int(row.argmax())
        low, high = max(peak - _AROUND, 0), min(peak + _AROUND + 1, POSITIONS)
        near = row[low:high]
        confidence[number] = near.sum()
        places[number] = (near * (np.arange(low, high) + 0.5)).sum() / near.sum()
    return places, confidence


def _ordered(low: float, high: float, drawn_low: float, drawn_high: float, most: int) -> tuple[float, float]:
    """Inside 0 to `most`; what was drawn where the two edges met."""
    low, high = min(max(low, 0.0), most), min(max(high, 0.0), most)
    if high - low < 1:
        low, high = min(max(drawn_low, 0.0), most), min(max(drawn_high, 0.0), most)
    return low, high
