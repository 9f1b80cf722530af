"""Writes the newest masks of a video in the formats people use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from connectors.export.coco import export_coco
from connectors.export.overlay import overlay_video
from connectors.export.png import export_png
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


def export_video(
    layout: Layout, config: Config, facts: Facts, video: Video, formats: Sequence[str], out: Path, show: ShowProgress
) -> list[Path]:
    """Each format into out/VIDEO; returns what was written. UserError before the first round is through."""
    model = newest_model(facts, video.id)
    if not model:
        raise UserError(f"{video.id} has no masks yet.", "They come after the first round: `fewclicks run`.")
    colors = class_colors(config.project.classes)
    names = config.project.class_names
    folder = out / video.id

    def beat(what: str) -> Callable[[int], None]:
        return lambda done: show(f"exporting {what}", done / video.frames)

    def png() -> Path:
        export_png(_masks(layout, video, model), folder, names, colors, beat("png"))
        return folder / "masks"

    def coco() -> Path:
        path = folder / "coco.json"
        export_coco(
            _masks(layout, video, model), path, names, colors, lambda i: layout.frame(video, i).name, beat("coco")
        )
        return path

    def overlay() -> Path:
        frames = FrameFiles(layout, video)
        pairs = ((frames[index], mask) for index, mask in _masks(layout, video, model))
        overlay_video(pairs, folder / "overlay.mp4", video.fps, colors, beat("overlay"), names)
        return folder / "overlay.mp4"

    writers: dict[str, Callable[[], Path]] = {"png": png, "coco": coco, "overlay": overlay}
    return [writers[name]() for name in formats]


def _masks(layout: Layout, video: Video, model: str) -> Iterator[tuple[int, MaskArray]]:
    for index in range(video.frames):
        yield index, read_mask(layout.masks(video.id, model) / f"{index:06d}.png")
