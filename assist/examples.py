"""Images with objects to click on, from folders of masks, COCO files and anything else: for measuring and training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from connectors.image_folder import IMAGE_SUFFIXES, list_images
from connectors.label_sets import LabeledImage, open_label_set
from connectors.measured_folder import read_meta, to_indices
from workspace.errors import UserError
from workspace.files import read_mask, read_rgb
from workspace.mask import UNKNOWN, MaskArray

_FORM = "It must hold frames/, masks/ (one index PNG per frame, of the same name) and meta.json."
_COCO_FORM = "The images of a COCO file lie beside it, in images/ or in frames/, under the names in the file."
_NOT_OBJECTS = ("background", "unlabeled", "void")
_SMALLEST_PX = 100

Objects = Callable[[int], list[NDArray[np.uint8]]]


@dataclass(frozen=True, slots=True)
class Example:
    """One image and its objects, not yet read.

    objects: from the fewest pixels that an object may have to the masks of the objects, as `objects_of` gives them
    """

    image_path: Path
    objects: Objects

    def image(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB."""
        return read_rgb(self.image_path)

    def read(self, smallest_px: int = _SMALLEST_PX) -> tuple[NDArray[np.uint8], list[NDArray[np.uint8]]]:
        """The image, and each object's (H, W) uint8; UserError unless they have the same size."""
        image, objects = self.image(), self.objects(smallest_px)
        for mask in objects:
            if image.shape[:2] != mask.shape:
                size = f"{image.shape[1]}x{image.shape[0]}"
                raise UserError(f"{self.image_path} is {size}, but its mask is {mask.shape[1]}x{mask.shape[0]}.", _FORM)
        return image, objects


def masked_example(image_path: Path, classes: tuple[str, ...], mask: Callable[[], MaskArray]) -> Example:
    """mask: reads (H, W) uint8 indices of `classes`, 255 where nobody knows."""
    return Example(image_path, lambda smallest_px: objects_of(mask(), classes, smallest_px))


def examples_of(source: Path) -> list[Example]:
    """Every image of a folder, or of each folder in it, or of a COCO file, in the order of the names.

    Sizes may differ. UserError for a folder that has no frames/ and masks/, an image without a mask, or a COCO file
    whose images are not there.
    """
    if source.is_file():
        return _coco_examples(source)
    if not source.is_dir():
        raise UserError(f"There is no folder {source}.", _FORM)
    if not (source / "frames").is_dir():
        inner = sorted(child for child in source.iterdir() if (child / "frames").is_dir())
        if not inner:
            raise UserError(f"{source} holds no frames/.", _FORM)
        return [example for child in inner for example in examples_of(child)]
    if not (source / "masks").is_dir():
        raise UserError(f"{source} holds no masks/.", _FORM)
    classes, values, ignore = read_meta(source / "meta.json")
    masks = {path.stem: path for path in list_images(source / "masks") if path.suffix.lower() == ".png"}
    images = list_images(source / "frames")
    for path in images:
        if path.stem not in masks:
            raise UserError(f"{path} has no mask in {source / 'masks'}.", _FORM)

    def reading(path: Path) -> Callable[[], MaskArray]:
        return lambda: to_indices(read_mask(path), path, values, ignore)

    return [masked_example(path, classes, reading(masks[path.stem])) for path in images]


def _coco_examples(path: Path) -> list[Example]:
    """Each annotation that is no crowd is an object, whatever else covers it."""
    found = open_label_set(path, _NOT_OBJECTS)
    files: dict[str, Path] = {}
    for folder in (path.parent, path.parent / "images", path.parent / "frames"):  # what is listed, and nothing else
        inside = sorted(folder.iterdir()) if folder.is_dir() else []
        files |= {file.stem: file for file in inside if file.suffix.lower() in IMAGE_SUFFIXES}
    for name in found.images:
        if name not in files:
            raise UserError(f"{path} names the image {name!r}, which is not there.", _COCO_FORM)
    return [Example(files[name], _instances_of(read)) for name, read in sorted(found.images.items())]


def _instances_of(read: Callable[[], LabeledImage]) -> Objects:
    def objects(smallest_px: int) -> list[NDArray[np.uint8]]:
        labeled = read()
        wanted = [one for one in labeled.instances if not one.crowd and one.area >= smallest_px]
        return [one.on(labeled.height, labeled.width).astype(np.uint8) for one in wanted]

    return objects


def objects_of(
    mask: NDArray[np.uint8], classes: tuple[str, ...], smallest_px: int = _SMALLEST_PX
) -> list[NDArray[np.uint8]]:
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
