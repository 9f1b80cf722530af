"""Folders of images with masks, as objects to click on: for measuring and for training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from connectors.image_folder import list_images
from connectors.measured_folder import read_meta, to_indices
from workspace.errors import UserError
from workspace.files import read_mask, read_rgb
from workspace.mask import UNKNOWN

_FORM = "It must hold frames/, masks/ (one index PNG per frame, of the same name) and meta.json."
_NOT_OBJECTS = ("background", "unlabeled", "void")


@dataclass(frozen=True, slots=True)
class Example:
    """One image and its mask, not yet read. `classes`, `values`, `ignore`: as in meta.json."""

    image_path: Path
    mask_path: Path
    classes: tuple[str, ...]
    values: tuple[int, ...]
    ignore: int | None

    def image(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB."""
        return read_rgb(self.image_path)

    def mask(self) -> NDArray[np.uint8]:
        """(H, W) uint8 class indices, 255 where nobody knows."""
        return to_indices(read_mask(self.mask_path), self.mask_path, self.values, self.ignore)

    def read(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Image and mask; UserError unless they have the same size."""
        image, mask = self.image(), self.mask()
        if image.shape[:2] != mask.shape:
            size = f"{image.shape[1]}x{image.shape[0]}"
            raise UserError(f"{self.image_path} is {size}, but its mask is {mask.shape[1]}x{mask.shape[0]}.", _FORM)
        return image, mask


def examples_of(folder: Path) -> list[Example]:
    """Every image of `folder`, or of each folder in it, in the order of the names. Sizes may differ.

    UserError for a folder that has no frames/ and masks/, or an image without a mask.
    """
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}.", _FORM)
    if not (folder / "frames").is_dir():
        inner = sorted(child for child in folder.iterdir() if (child / "frames").is_dir())
        if not inner:
            raise UserError(f"{folder} holds no frames/.", _FORM)
        return [example for child in inner for example in examples_of(child)]
    if not (folder / "masks").is_dir():
        raise UserError(f"{folder} holds no masks/.", _FORM)
    classes, values, ignore = read_meta(folder / "meta.json")
    masks = {path.stem: path for path in list_images(folder / "masks") if path.suffix.lower() == ".png"}
    images = list_images(folder / "frames")
    for path in images:
        if path.stem not in masks:
            raise UserError(f"{path} has no mask in {folder / 'masks'}.", _FORM)
    return [Example(path, masks[path.stem], classes, values, ignore) for path in images]


def objects_of(mask: NDArray[np.uint8], classes: tuple[str, ...], smallest_px: int = 100) -> list[NDArray[np.uint8]]:
    """What somebody might click on in a mask: each (H, W) uint8, 1 the object, 0 not, 255 nobody knows.

    A mask of a background and one class is one object; of more classes each 8-connected part is one.
    """
    named = [k for k, name in enumerate(classes) if name.lower() not in _NOT_OBJECTS]
    unknown = mask == UNKNOWN
    if len(named) == 1:
        parts = [mask == named[0]]
    else:
        parts = []
        for k in named:
            count, ids = cv2.connectedComponents((mask == k).astype(np.uint8), connectivity=8)
            parts += [ids == number for number in range(1, count)]
    return [np.where(unknown, np.uint8(UNKNOWN), part.astype(np.uint8)) for part in parts if part.sum() >= smallest_px]
