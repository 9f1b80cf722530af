"""A project into one file, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The project.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The archive to write; it must not exist yet.")],
) -> None:
    """Write facts, frames, labels, models and masks to one file; the project may be worked on meanwhile.

    Example: fewclicks backup street street-monday.zip
    """
    from rich.console import Console

    from fewclicks.progress_bars import progress_bars
    from flows.backup import back_up
    from workspace.layout import Layout

    with progress_bars(Console(stderr=True)) as show:
        made = back_up(Layout(folder.resolve()), file, show)
    print(f"{file}: {made.videos} video(s), {made.files} files, {made.bytes / 2**20:.1f} MB")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `fewclicks backup` wrote.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the project goes; must be new or empty.")],
) -> None:
    """Make a project from a backup; a damaged one, or one of a newer version, is refused before anything is written.

    Example: fewclicks restore street-monday.zip street-again
    """
    from rich.console import Console

    from fewclicks.progress_bars import progress_bars
    from flows.restoring import restore as restore_project

    with progress_bars(Console(stderr=True)) as show:
        videos = restore_project(file, folder, show)
    print(f"{folder}: {videos} video(s) restored. Next: fewclicks status {folder}")
