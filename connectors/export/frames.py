"""What every export of a whole data set starts from: frames with their masks and images, and what the classes are."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workspace.files import read_rgb, write_image
from workspace.mask import MaskArray


@dataclass(frozen=True, slots=True, eq=False)
class LabeledFrame:
    """index: from 0;  mask: (H, W) uint8 class ids, 255 = unknown;  image: the frame's .jpg or .png file"""

    index: int
    mask: MaskArray
    image: Path


@dataclass(frozen=True, slots=True, eq=False)
class Legend:
    """classes: K names;  colors: (K, 3) uint8 RGB;  background: the class that is no object, if there is one"""

    classes: tuple[str, ...]
    colors: NDArray[np.uint8]
    background: int | None = None

    def from_background(self) -> tuple[tuple[str, ...], NDArray[np.uint8]]:
        """The classes in formats where 0 is the background: their names by value, and what turns a mask into values.

        returns: names, with the background's first, and (256,) uint8, the value of each class id; 255 stays 255.
        A legend without a background gets one that no pixel has, so every class moves up by one.
        """
        first = self.background if self.background is not None else _named(self.classes, "background")
        others = [k for k in range(len(self.classes)) if k != first]
        table = np.full(256, 255, np.uint8)
        table[others] = np.arange(1, len(others) + 1, dtype=np.uint8)
        if first is not None:
            table[first] = 0
        return ("background" if first is None else self.classes[first], *(self.classes[k] for k in others)), table


def place_image(frame: LabeledFrame, path: Path) -> None:
    """The frame's image at `path`: the same bytes if the endings agree, else encoded anew (JPEG at quality 95)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if frame.image.suffix == path.suffix:
        shutil.copyfile(frame.image, path)
    else:
        write_image(path, read_rgb(frame.image))


def place_bytes(path: Path, data: bytes) -> None:
    """A file in a folder that is still being made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _named(classes: tuple[str, ...], name: str) -> int | None:
    return next((k for k, one in enumerate(classes) if one.casefold() == name), None)
