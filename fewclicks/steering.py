"""Telling videos to stand still or to go on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from workspace.states import Order

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The project.")]
Videos = Annotated[list[str], typer.Argument(metavar="ID...", help="Video ids, as `fewclicks status` shows them.")]


def pause(folder: Folder, videos: Videos) -> None:
    """Let videos stand still; a step that runs now stops at its next sign of life and is done again later.

    Example: fewclicks pause street clip-0123456789
    """
    from workspace.states import Order

    _give(folder, videos, Order.PAUSE)


def resume(folder: Folder, videos: Videos) -> None:
    """Let paused videos go on where they stood, at the next run or tick.

    Example: fewclicks resume street clip-0123456789
    """
    from workspace.states import Order

    _give(folder, videos, Order.RESUME)


def cancel(folder: Folder, videos: Videos) -> None:
    """Give videos up: what was labeled stays and can be exported; tasks that are open stay in Label Studio.

    Example: fewclicks cancel street clip-0123456789
    """
    from workspace.states import Order

    _give(folder, videos, Order.CANCEL)


def retry(folder: Folder, videos: Videos) -> None:
    """Let failed or cancelled videos go on where they stood, at the next run or tick.

    Example: fewclicks retry street clip-0123456789
    """
    from workspace.states import Order

    _give(folder, videos, Order.RETRY)


def prioritize(
    folder: Folder,
    videos: Videos,
    priority: Annotated[int, typer.Option(min=-1000, max=1000, help="Higher goes first; 0 is usual.")] = 1,
) -> None:
    """Let videos go first, or last, wherever they wait for their turn.

    Example: fewclicks prioritize street clip-0123456789 --priority 5
    """
    from workspace.facts import Facts
    from workspace.layout import Layout

    layout = Layout(folder.resolve())
    layout.config()
    with Facts.of(layout) as facts:
        for video in videos:
            facts.video(video)  # a misspelled id is told before any video is touched
        for video in videos:
            print(f"{video}: priority {priority}{'' if facts.prioritize(video, priority) else ' (as it was)'}")


def schedule(
    folder: Folder,
    videos: Videos,
    cron: Annotated[str | None, typer.Option(help="When to look at them: five cron fields, UTC.")] = None,
    with_project: Annotated[bool, typer.Option("--with-project", help="When all others are looked at, again.")] = False,
) -> None:
    """Let videos be looked at on a schedule of their own, instead of at every tick of the project.

    Example: fewclicks schedule street clip-0123456789 --cron "0 6 * * mon-fri"
    """
    from flows.deployments import renew_schedules, schedule_videos, use_server_of_up
    from workspace.errors import UserError
    from workspace.layout import Layout

    if (cron is None) != with_project:
        raise UserError("Say when, or --with-project.", 'For example --cron "0 6 * * mon-fri".')
    layout = Layout(folder.resolve())
    layout.config()
    use_server_of_up(layout)
    when = "with the project" if cron is None else f"{cron} (UTC)"
    for video, changed in zip(videos, schedule_videos(layout, videos, cron), strict=True):
        print(f"{video}: {when}{'' if changed else ' (as it was)'}")
    if not renew_schedules(layout):
        print("No Prefect server that has the project is reached: `fewclicks deploy` or `fewclicks up` tells the next.")


def _give(folder: Path, videos: list[str], order: Order) -> None:
    from flows.progress import place_of
    from workspace.facts import Facts
    from workspace.layout import Layout

    layout = Layout(folder.resolve())
    layout.config()
    with Facts.of(layout) as facts:
        for video in videos:
            facts.video(video)  # a misspelled id is told before any video is touched
        for video in videos:
            changed = facts.order(video, order)
            print(f"{video}: {place_of(facts.video(video))}{'' if changed else ' (as it was)'}")
