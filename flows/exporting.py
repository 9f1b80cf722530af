"""Writes the newest masks of a video in the formats people use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from connectors.export.cityscapes import export_cityscapes
from connectors.export.coco import export_coco
from connectors.export.cvat import export_cvat
from connectors.export.datumaro import export_datumaro
from connectors.export.davis import export_davis
from connectors.export.frames import LabeledFrame, Legend
from connectors.export.huggingface import export_huggingface
from connectors.export.overlay import overlay_video
from connectors.export.png import export_png
from connectors.export.voc import export_voc
from connectors.export.yolo import export_yolo
from flows.context import ShowProgress
from flows.frame_files import FrameFiles
from flows.rounds import newest_model
from workspace.colors import class_colors
from workspace.config import Config
from workspace.errors import UserError
from workspace.facts import Facts
from workspace.files import read_mask
from workspace.layout import Layout
from workspace.mask import MaskArray
from workspace.video import Video


@dataclass(frozen=True, slots=True, eq=False)
class Export:
    """The masks of one video, to be written under `folder`; beat: called with the number of frames done."""

    layout: Layout
    video: Video
    model: str
    legend: Legend
    folder: Path
    beat: Callable[[int], None]

    def masks(self) -> Iterator[tuple[int, MaskArray]]:
        for index in range(self.video.frames):
            yield index, read_mask(self.layout.masks(self.video.id, self.model) / f"{index:06d}.png")

    def frames(self) -> Iterator[LabeledFrame]:
        for index, mask in self.masks():
            yield LabeledFrame(index, mask, self.layout.frame(self.video, index))

    def rgb(self) -> Iterator[tuple[NDArray[np.uint8], MaskArray]]:
        frames = FrameFiles(self.layout, self.video)
        return ((frames[index], mask) for index, mask in self.masks())


def _png(it: Export) -> Path:
    export_png(it.masks(), it.folder, it.legend.classes, it.legend.colors, it.beat)
    return it.folder / "masks"


def _coco(it: Export, name: str = "coco.json", polygons: bool = False) -> Path:
    path, legend = it.folder / name, it.legend

    def image(index: int) -> str:
        return it.layout.frame(it.video, index).name

    export_coco(it.masks(), path, legend.classes, legend.colors, image, it.beat, polygons)
    return path


def _coco_polygons(it: Export) -> Path:
    return _coco(it, "coco_polygons.json", polygons=True)


def _overlay(it: Export) -> Path:
    overlay_video(it.rgb(), it.folder / "overlay.mp4", it.video.fps, it.legend.colors, it.beat, it.legend.classes)
    return it.folder / "overlay.mp4"


def _yolo(it: Export) -> Path:
    export_yolo(it.frames(), it.folder / "yolo", it.legend, it.beat)
    return it.folder / "yolo"


def _voc(it: Export) -> Path:
    export_voc(it.frames(), it.folder / "voc", it.legend, it.beat)
    return it.folder / "voc"


def _cityscapes(it: Export) -> Path:
    export_cityscapes(it.frames(), it.folder / "cityscapes", it.legend, it.video.id, it.beat)
    return it.folder / "cityscapes"


def _cvat(it: Export) -> Path:
    export_cvat(it.frames(), it.video.frames, it.folder / "cvat", it.legend, it.video.name, it.beat)
    return it.folder / "cvat"


def _datumaro(it: Export) -> Path:
    export_datumaro(it.frames(), it.folder / "datumaro", it.legend, it.beat)
    return it.folder / "datumaro"


def _davis(it: Export) -> Path:
    export_davis(it.frames(), it.folder / "davis", it.legend, it.video.id, it.beat)
    return it.folder / "davis"


def _huggingface(it: Export) -> Path:
    export_huggingface(it.frames(), it.folder / "huggingface", it.legend, it.video.id, it.beat)
    return it.folder / "huggingface"


FORMATS: Mapping[str, Callable[[Export], Path]] = {
    "png": _png,
    "coco": _coco,
    "overlay": _overlay,
    "coco_polygons": _coco_polygons,
    "yolo": _yolo,
    "voc": _voc,
    "cityscapes": _cityscapes,
    "cvat": _cvat,
    "datumaro": _datumaro,
    "davis": _davis,
    "huggingface": _huggingface,
}


def export_video(
    layout: Layout, config: Config, facts: Facts, video: Video, formats: Sequence[str], out: Path, show: ShowProgress
) -> list[Path]:
    """Each format (keys of FORMATS) into out/VIDEO; returns what was written. UserError before the first round is
    through."""
    model = newest_model(facts, video.id)
    if not model:
        raise UserError(f"{video.id} has no masks yet.", "They come after the first round: `fewclicks run`.")
    project = config.project
    background = None if project.background is None else project.class_names.index(project.background)
    legend = Legend(project.class_names, class_colors(project.classes), background)

    def beat(name: str) -> Callable[[int], None]:
        return lambda done: show(f"exporting {name}", done / video.frames)

    return [FORMATS[name](Export(layout, video, model, legend, out / video.id, beat(name))) for name in formats]
