"""A project on several machines without a common disk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def share(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The project.")],
    anew: Annotated[bool, typer.Option("--anew", help="Store all files once more: some were lost there.")] = False,
) -> None:
    """Make the settings here the project's, and put what is not yet there into workspace.remote.

    Example: fewclicks share street
    """
    from flows.joining import share as share_project
    from workspace.layout import Layout

    for line in share_project(Layout(folder.resolve()), anew):
        print(line)


def join(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where this machine works on the project.")],
    database: Annotated[str, typer.Option(metavar="URL", help="facts.database of the project.")],
    schema: Annotated[str, typer.Option(metavar="NAME", help="Of the project; `fewclicks share` prints it.")],
) -> None:
    """Make a working copy of a shared project, or bring its settings up to date; files come when they are needed.

    Example: fewclicks join street --database postgresql://fewclicks@db.example/facts --schema fewclicks_street
    """
    from flows.joining import join as join_project

    layout = join_project(folder, database, schema)
    print(f"Joined. Next: fewclicks run {folder} --watch, or a Prefect worker for {layout.root}")


def fetch(folder: Annotated[Path, typer.Argument(metavar="DIR", help="The project.")]) -> None:
    """Bring the files of every video here from workspace.remote, to export them or to look at them.

    Example: fewclicks fetch street
    """
    from rich.console import Console

    from fewclicks.progress_bars import progress_bars
    from flows.joining import fetch as fetch_files
    from workspace.layout import Layout

    with progress_bars(Console(stderr=True)) as show:
        videos = fetch_files(Layout(folder.resolve()), show)
    print(f"{folder}: the files of {videos} video(s) are here.")


def prune(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The project.")],
    older_than: Annotated[
        float, typer.Option(min=0, metavar="DAYS", help="What was written later stays, whatever it is.")
    ] = 7.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")] = False,
) -> None:
    """Remove from workspace.remote what nobody reads again: probabilities of earlier rounds, and what no fact names.

    Example: fewclicks prune street --older-than 30 --dry-run
    """
    from flows.pruning import DAY_S
    from flows.pruning import prune as prune_store
    from workspace.layout import Layout

    for pruned in prune_store(Layout(folder.resolve()), older_than * DAY_S, really=not dry_run):
        place = pruned.place or "of no video"
        if pruned.skipped:
            print(f"{place}: another process is at it, or it is held; prune it another time")
        elif pruned.objects:
            verb = "would be removed" if dry_run else "removed"
            print(f"{place}: {pruned.objects} object(s) {verb}, {pruned.bytes / 2**20:.1f} MB")
