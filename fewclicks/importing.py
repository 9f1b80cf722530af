"""Taking in masks that were made elsewhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Use(StrEnum):
    LABELS = "labels"
    PREDICTIONS = "predictions"


def import_masks(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The project.")],
    video: Annotated[str, typer.Argument(metavar="VIDEO", help="The video's id, or its name.")],
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="A folder of index PNGs, a COCO JSON file, or a CVAT images XML.")
    ],
    use: Annotated[
        Use, typer.Option("--as", help="labels: right, learned from; predictions: shown in the first round.")
    ],
    first: Annotated[int, typer.Option(min=0, metavar="N", help="The number of the first frame in file names.")] = 0,
    without: Annotated[
        list[str] | None, typer.Option("--without", metavar="CLASS", help="Its pixels become unknown; repeatable.")
    ] = None,
) -> None:
    """Import masks as labels, or as predictions to be corrected. People's own labels always count more.

    Example: fewclicks import street clip-0123456789 annotations.xml --as labels
    """
    from functools import partial

    from rich.console import Console

    from fewclicks.progress_bars import progress_bars
    from flows.importing import find_video, import_labels, import_predictions
    from flows.keeping import facts_of
    from workspace.layout import Layout

    layout = Layout(folder.resolve())
    config = layout.config()
    act = import_labels if use is Use.LABELS else import_predictions
    with facts_of(layout) as facts:
        found = find_video(facts, video)
        with progress_bars(Console(stderr=True)) as show:
            beat = partial(show, f"importing {source.name}")
            done = act(layout, config, facts, found, source, first, without or (), beat)
    frames = f"frames {done.frames[0]} to {done.frames[-1]}" if len(done.frames) > 1 else f"frame {done.frames[0]}"
    print(f"{found.id}: {len(done.frames)} masks for {frames} as {use.value}, {done.new} of them new.")
    if done.empty:
        print(f"{done.empty} images without any shape were left out.")
