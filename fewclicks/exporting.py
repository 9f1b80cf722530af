"""Writing the masks out."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    PNG = "png"
    COCO = "coco"
    OVERLAY = "overlay"
    COCO_POLYGONS = "coco_polygons"
    YOLO = "yolo"
    VOC = "voc"
    CITYSCAPES = "cityscapes"
    CVAT = "cvat"
    DATUMARO = "datumaro"
    DAVIS = "davis"
    HUGGINGFACE = "huggingface"


BY_DEFAULT = (Format.PNG, Format.COCO, Format.OVERLAY)  # the others copy every image


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The project.")],
    formats: Annotated[
        list[Format] | None,
        typer.Option("--format", help="Give it once per format; png, coco and overlay by default."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every format; most hold a copy of all images.")] = False,
    video: Annotated[str | None, typer.Option(help="One video's id; all by default.")] = None,
    out: Annotated[Path | None, typer.Option(help="Target folder; DIR/exports by default.")] = None,
) -> None:
    """Write the newest masks of every frame: index PNG, COCO, YOLO, Pascal VOC, Cityscapes, CVAT and others.

    Example: fewclicks export street --format yolo --format overlay
    """
    from rich.console import Console

    from fewclicks.progress_bars import progress_bars
    from flows.exporting import export_video
    from flows.joining import fetch_video
    from flows.keeping import keeping_of
    from workspace.errors import UserError
    from workspace.facts import Facts
    from workspace.layout import Layout

    layout = Layout(folder.resolve())
    config = layout.config()
    wanted = [item.value for item in (Format if every else dict.fromkeys(formats or BY_DEFAULT))]
    with Facts.of(layout) as facts:
        rows = [facts.video(video)] if video else facts.videos()
        if not rows:
            raise UserError(f"{layout.root} has no videos.", f"Add one with `fewclicks add {folder} VIDEO`.")
        keeping = keeping_of(layout)
        for row in rows:
            if keeping is not None:
                fetch_video(keeping, facts, row.video)
            with progress_bars(Console(stderr=True)) as show:
                paths = export_video(layout, config, facts, row.video, wanted, out or layout.exports, show)
            for path in paths:
                print(path)
