"""Making a project and putting videos into it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the new project.")],
    classes: Annotated[
        list[str] | None, typer.Option("--class", metavar="NAME", help="A class; give the option once per class.")
    ] = None,
    background: Annotated[
        str | None, typer.Option(metavar="NAME", help="The class of everything that annotators leave unpainted.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Title in Label Studio; the folder's name by default.")] = None,
) -> None:
    """Make a project: a folder with fewclicks.yaml, where every setting is explained.

    Example: fewclicks init street --class road --class car --class sky
    """
    from flows.projects import create_project

    layout = create_project(folder, name, classes, background)
    print(f"Made {layout.config_file}. Next: fewclicks add {folder} VIDEO...")


def add(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The project.")],
    videos: Annotated[list[Path], typer.Argument(metavar="VIDEO...", help="Video files or folders of images.")],
) -> None:
    """Add videos (mp4, mov, mkv, avi, webm, or a folder of numbered images); frames are decoded once.

    Example: fewclicks add street clip1.mp4 clip2.mov frames/
    """
    from rich.console import Console

    from fewclicks.progress_bars import progress_bars
    from flows.adding import add_video
    from flows.keeping import facts_of
    from workspace.errors import UserError
    from workspace.layout import Layout

    layout = Layout(folder.resolve())
    config = layout.config()
    console = Console(stderr=True)
    failures: list[UserError] = []
    with facts_of(layout) as facts:
        for path in videos:
            try:
                with progress_bars(console) as show:
                    added = add_video(layout, facts, config.frames, path, show)
            except UserError as failure:
                failures.append(failure)
                continue
            video = added.video
            size = f"{video.frames} frames of {video.width}x{video.height}"
            print(f"{video.id}: {size}" if added.new else f"{video.id}: is in the project already ({size})")
    for error in failures[:-1]:
        print(f"Error: {error}")
    if failures:
        raise failures[-1]


def settings() -> None:
    """Print every setting with its values, its default and what it does, as Markdown.

    Example: fewclicks settings
    """
    from fewclicks.settings_reference import settings_reference

    print(settings_reference(), end="")
