"""Label sets of other people: a COCO JSON file, a CVAT XML file, or a folder of index masks, as instances."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from zipfile import is_zipfile

from connectors.coco_instances import Images, read_coco
from connectors.cvat_images import read_cvat
from connectors.image_folder import list_images
from connectors.measured_folder import read_meta, to_indices
from workspace.errors import UserError
from workspace.files import read_mask
from workspace.instance import Instance, regions
from workspace.mask import UNKNOWN, MaskArray


@dataclass(frozen=True, slots=True)
class LabeledImage:
    """instances: class ids are indices of the label set's `classes`"""

    height: int
    width: int
    instances: tuple[Instance, ...]


@dataclass(frozen=True, slots=True)
class LabelSet:
    """name: to show;  classes: their names;  images: by name without ending, read when they are asked for"""

    name: str
    classes: tuple[str, ...]
    images: Mapping[str, Callable[[], LabeledImage]]


def open_label_set(path: Path, without: tuple[str, ...] = ()) -> LabelSet:
    """Read a COCO JSON file, a CVAT XML file or a folder of masks.

    path: a `.json` file, an `.xml` file (or the folder of an annotations.xml), a folder with masks/ and meta.json, or
    a folder of index PNGs (with or without meta.json)
    without: names of classes that are no objects (a background); in masks, each 8-connected region of another class
    is an instance. UserError for whatever cannot be read.
    """
    if (path / "annotations.xml").is_file():
        path = path / "annotations.xml"
    if path.is_dir():
        return _masks(path, without)
    if path.is_file() and path.suffix.lower() == ".xml":
        return _drawn(path, *read_cvat(path, without), without)
    if path.is_file():
        return _drawn(path, *_read_json(path), without)
    raise UserError(
        f"There are no labels at {path}.", "Give a COCO JSON file, a CVAT XML file or a folder of index PNG masks."
    )


def mask_set(
    name: str, classes: tuple[str, ...], masks: Mapping[str, Callable[[], MaskArray]], without: tuple[str, ...] = ()
) -> LabelSet:
    """A label set of masks that somebody else reads; without: as for `open_label_set`."""
    left_out = frozenset(k for k, name in enumerate(classes) if name in without)
    return LabelSet(name, classes, {key: _lazily(read, left_out) for key, read in masks.items()})


def _read_json(path: Path) -> tuple[tuple[str, ...], Images]:
    if is_zipfile(path):  # what CVAT and others export
        raise UserError(f"{path} is a ZIP archive.", "Unpack it, and give what is in it.")
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"{path} cannot be read as JSON: {' '.join(str(error).split())[:200]}.", "Give a COCO JSON file."
        ) from None
    return read_coco(data, path)


def _drawn(path: Path, classes: tuple[str, ...], images: Images, without: tuple[str, ...]) -> LabelSet:
    left_out = {k for k, name in enumerate(classes) if name in without}

    def reading(file_name: str) -> Callable[[], LabeledImage]:
        def read() -> LabeledImage:
            height, width, make = images[file_name]
            return LabeledImage(height, width, tuple(one for one in make() if one.class_id not in left_out))

        return read

    return LabelSet(path.name, classes, {key: reading(name) for key, name in _keys(list(images), path).items()})


def _masks(path: Path, without: tuple[str, ...]) -> LabelSet:
    files, meta = mask_files(path)
    if meta is not None:
        classes, ids, ignore = read_meta(meta)
    else:
        highest = max((int(m[m != UNKNOWN].max(initial=0)) for m in map(read_mask, files)), default=0)
        classes, ids, ignore = tuple(map(str, range(highest + 1))), tuple(range(highest + 1)), UNKNOWN
    left_out = frozenset(k for k, name in enumerate(classes) if name in without)

    def reading(file: Path) -> Callable[[], LabeledImage]:
        return _lazily(lambda: to_indices(read_mask(file), file, ids, ignore), left_out)

    return LabelSet(path.name or str(path.resolve().name), classes, {file.stem: reading(file) for file in files})


def mask_files(path: Path) -> tuple[list[Path], Path | None]:
    """The PNG files of a folder or of its masks/, in the order of their numbers, and its meta.json if there is one."""
    folder = path / "masks" if (path / "masks").is_dir() else path
    files = [file for file in list_images(folder) if file.suffix.lower() == ".png"]
    if not files:
        raise UserError(f"{folder} holds no PNG files.", "Masks are single-channel PNG files of class ids.")
    return files, next((m for m in (path / "meta.json", folder / "meta.json") if m.exists()), None)


def _lazily(read: Callable[[], MaskArray], left_out: frozenset[int]) -> Callable[[], LabeledImage]:
    def image() -> LabeledImage:
        mask = read()
        height, width = mask.shape
        return LabeledImage(height, width, tuple(regions(mask, left_out)))

    return image


def _keys(names: list[str], path: Path) -> dict[str, str]:
    """File names without folders and endings, so that sets with differing ones meet; with folders if need be."""
    for key in (lambda p: p.stem, lambda p: str(p.with_suffix(""))):
        keys = {key(PurePosixPath(name)): name for name in names}
        if len(keys) == len(names):
            return keys
    raise UserError(f"{path} has several images of one name.", "Each image needs a file_name of its own.")
