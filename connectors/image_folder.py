"""A folder of numbered images, read as a video."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from workspace.errors import UserError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
_ORIENTATION = 0x0112  # the EXIF tag


def list_images(folder: Path) -> list[Path]:
    """The images of `folder` in playing order: by the numbers in their names (img2 before img10), else by name.

    Hidden files, subfolders and files that are no images by their ending are left out. UserError if none remain, or if
    two images have one name but for the ending (which of them is the frame?).
    """
    try:
        entries = sorted(folder.iterdir(), key=lambda p: _natural(p.name))
    except OSError as error:
        raise UserError(f"The folder {folder} cannot be read: {error.strerror}.") from None
    images = [p for p in entries if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".") and p.is_file()]
    if not images:
        raise UserError(
            f"The folder {folder} holds no images.", f"Put them there as {', '.join(IMAGE_SUFFIXES)} files."
        )
    seen: dict[str, Path] = {}
    for image in images:
        twin = seen.setdefault(image.stem, image)
        if twin is not image:
            raise UserError(f"{folder} holds both {twin.name} and {image.name}.", "Keep one image per frame.")
    return images


def numbering_gap(images: list[Path]) -> str | None:
    """A sentence if images whose names differ in their last number only leave numbers out, else None."""
    matches = [re.fullmatch(r"(.*?)(\d+)(\D*)", p.stem) for p in images]
    if not all(matches) or len({(m[1], m[3]) for m in matches if m}) != 1:
        return None
    numbers = [int(m[2]) for m in matches if m]
    missing = numbers[-1] - numbers[0] + 1 - len(numbers)
    if missing <= 0:
        return None
    return f"the images are numbered {numbers[0]} to {numbers[-1]} and {missing} of these numbers are missing"


def read_upright(path: Path) -> tuple[NDArray[np.uint8], bool]:
    """(H, W, 3) uint8 RGB, turned as its EXIF orientation says, and whether the file itself holds just that.

    Grey, palette and 16-bit images (their upper 8 bits) become RGB; an alpha channel is dropped. True means 8-bit RGB,
    upright: the file may stand for the array as it is. UserError for anything that cannot be read to its end.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about size and odd metadata; what matters is raised
            with Image.open(path) as image:
                image.load()
                plain = image.mode == "RGB" and image.getexif().get(_ORIENTATION, 1) == 1
                turned = ImageOps.exif_transpose(image)
                return _rgb(turned), plain
    except FileNotFoundError:
        raise UserError(f"{path} is missing.") from None
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(
            f"{path} cannot be read as an image: {' '.join(str(error).split())}.", "Remove it or write it anew."
        ) from None


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith("I"):  # 16-bit grey, under several names
        grey = (np.clip(np.asarray(image).astype(np.int64), 0, 65535) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode == "F":
        raise ValueError("it holds floating-point values, whose white is unknown")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return np.array(image.convert("RGB"), dtype=np.uint8)


def _natural(name: str) -> tuple[tuple[str | int, ...], str]:
    parts = re.split(r"(\d+)", name.casefold())
    return tuple(int(part) if i % 2 else part for i, part in enumerate(parts)), name
