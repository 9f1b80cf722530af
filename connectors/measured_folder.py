"""A video with the truth for every frame: `video.mp4` or `frames/`, `masks/` and `meta.json`, for measuring."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from connectors.image_folder import list_images
from connectors.video_files import probe
from workspace.errors import UserError
from workspace.files import read_mask
from workspace.mask import MAX_CLASSES, UNKNOWN, MaskArray

_FORM = 'It must look like {"classes": {"0": "road", "1": "car"}, "ignore": 255}; "ignore" may be null.'


@dataclass(frozen=True, slots=True)
class MeasuredFolder:
    """`ids[k]` is the value that stands for class k in the mask files; `ignore` the one for pixels nobody judged."""

    name: str
    video_path: Path  # video.mp4 or the folder frames/; `connectors.video_files.decode` takes both
    classes: tuple[str, ...]
    ids: tuple[int, ...]
    ignore: int | None
    width: int
    height: int
    mask_paths: tuple[Path, ...]

    @property
    def n_masks(self) -> int:
        return len(self.mask_paths)

    def truth(self, index: int) -> MaskArray:
        """(H, W) uint8 of frame `index`: class indices 0 to K - 1, and 255 where the truth says nothing."""
        path = self.mask_paths[index]
        mask = read_mask(path)
        if mask.shape != (self.height, self.width):
            raise UserError(
                f"{path} is {mask.shape[1]}x{mask.shape[0]} but the video is {self.width}x{self.height}.",
                "Every mask must have the size of the frames.",
            )
        return to_indices(mask, path, self.ids, self.ignore)

    def check_video(self, frames: int, width: int, height: int) -> None:
        """UserError unless the decoded video has one mask per frame, of its size (a container may claim anything)."""
        if frames != self.n_masks:
            raise UserError(
                f"{self.video_path} has {frames} frames but {self.mask_paths[0].parent} holds {self.n_masks} masks.",
                "There must be one mask per frame, in the same order.",
            )
        if (width, height) != (self.width, self.height):
            raise UserError(
                f"{self.video_path} is {width}x{height} but its masks are {self.width}x{self.height}.",
                "Every mask must have the size of the frames.",
            )


def open_measured_folder(path: Path) -> MeasuredFolder:
    """Read and check everything but the frames themselves; every mask is opened once.

    UserError for whatever is missing, unreadable or does not fit together.
    """
    if not path.is_dir():
        raise UserError(f"There is no folder {path}.", "Give a folder with video.mp4 or frames/, masks/ and meta.json.")
    classes, ids, ignore = read_meta(path / "meta.json")
    video = next((p for p in (path / "video.mp4", path / "frames") if p.exists()), None)
    if video is None:
        raise UserError(f"{path} holds neither video.mp4 nor frames/.", "Put the video there under one of these names.")
    if not (path / "masks").is_dir():
        raise UserError(f"{path} has no folder masks/.", "Put one index PNG per frame there, in the frames' order.")
    masks = tuple(p for p in list_images(path / "masks") if p.suffix.lower() == ".png")
    if not masks:
        raise UserError(f"{path / 'masks'} holds no PNG files.", "Masks are single-channel PNG files of class ids.")
    info = probe(video)
    folder = MeasuredFolder(path.resolve().name, video, classes, ids, ignore, *_size(masks[0]), mask_paths=masks)
    # A video file's count is a claim until it is decoded (an edit list may hide frames), a folder's is a fact.
    folder.check_video(info.frames if video.is_dir() and info.frames else folder.n_masks, info.width, info.height)
    for index in range(folder.n_masks):
        folder.truth(index)
    return folder


def read_meta(path: Path) -> tuple[tuple[str, ...], tuple[int, ...], int | None]:
    """The names, the mask values and the void value of a meta.json; UserError for anything else."""
    try:
        meta = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path} is missing.", _FORM) from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {' '.join(str(error).split())}.", _FORM) from None
    if not isinstance(meta, dict):
        raise UserError(f"{path} holds no mapping.", _FORM)
    ignore = meta.get("ignore")
    if ignore is not None and not _is_value(ignore):
        raise UserError(
            f"{path}: ignore is {ignore!r}.", "It must be the mask value of void pixels, 0 to 255, or null."
        )
    named = _named_values(meta.get("classes"))
    if not named:
        raise UserError(f"{path} names no classes that can be read.", _FORM)
    if ignore is not None:
        named.pop(ignore, None)  # void listed among the classes is still void
    names = tuple(named[value] for value in sorted(named))
    if not 1 <= len(names) <= MAX_CLASSES - 1 or len(set(names)) != len(names):
        raise UserError(
            f"{path} has {len(names)} classes, {len(set(names))} of them different.",
            "Name each class once, at least one.",
        )
    return names, tuple(sorted(named)), ignore


def _named_values(classes: Any) -> dict[int, str]:
    """Mask value -> class name; empty if it is not of a form that we know."""
    pairs = classes.items() if isinstance(classes, dict) else enumerate(classes) if isinstance(classes, list) else ()
    named: dict[int, str] = {}
    for key, name in pairs:
        value = int(key) if isinstance(key, int) or (key.isascii() and key.isdigit()) else -1
        if not _is_value(value) or not isinstance(name, str) or not name.strip() or value in named:
            return {}
        named[value] = name
    return named


def _is_value(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255


def _size(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as image:
            return image.size
    except OSError as error:
        raise UserError(f"{path} cannot be read as an image: {error}.") from None


def to_indices(mask: NDArray[np.uint8], path: Path, ids: tuple[int, ...], ignore: int | None) -> MaskArray:
    """Mask values as class indices, 255 for void; UserError, naming `path`, for a value that meta.json does not."""
    table = np.full(256, UNKNOWN, np.uint8)
    known = np.zeros(256, bool)
    table[list(ids)] = np.arange(len(ids), dtype=np.uint8)
    known[list(ids)] = True
    if ignore is not None:
        known[ignore] = True
    wrong = np.flatnonzero((np.bincount(mask.ravel(), minlength=256) > 0) & ~known)
    if wrong.size:
        raise UserError(
            f"{path} holds the value {int(wrong[0])}, which is neither a class nor the void index of meta.json.",
            f"Classes are {', '.join(map(str, ids))}; void is {'null' if ignore is None else ignore}.",
        )
    return table[mask]
