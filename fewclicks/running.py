"""Moving videos on, and saying where they stand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from flows.context import Context

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The project.")]

_LINES_SHOWN = 10  # of a kind


def run(
    folder: Folder,
    watch: Annotated[bool, typer.Option("--watch", help="Keep going: look again until every video is done.")] = False,
    every: Annotated[float, typer.Option(min=1, metavar="SECONDS", help="With --watch: pause between looks.")] = 15.0,
    new_project: Annotated[
        bool,
        typer.Option(
            "--new-project", help="The Label Studio project was deleted: make a new one, ask what is open again."
        ),
    ] = False,
) -> None:
    """Move every video on until people must answer; says what it waits for and where to click.

    Example: fewclicks run street --watch --every 30
    """
    import contextlib
    import time
    from dataclasses import replace

    from rich.console import Console

    from flows.asking import ask_again
    from flows.context import open_context
    from flows.embedded import use_embedded
    from flows.tools import label_studio_tool, listen_to_label_studio, webhook_alarm
    from flows.watching import watch as keep_looking
    from workspace.errors import UserError
    from workspace.layout import Layout

    layout = Layout(folder.resolve())
    config = layout.config()
    console = Console()
    tool = label_studio_tool(layout, config)
    reviews = label_studio_tool(layout, config, review=True)
    context = open_context(layout.root, tool, reviews=reviews)
    if not context.facts.videos():
        raise UserError(f"{layout.root} has no videos.", f"Add one with `fewclicks add {folder} VIDEO`.")
    if new_project:
        tool.forget_project()
        reviews.forget_project()
        for line in ask_again(context):
            console.print(line, highlight=False, markup=False)
    use_embedded(layout.prefect_home)
    with contextlib.ExitStack() as stack:
        alarm = stack.enter_context(webhook_alarm(layout, config)) if watch and config.label_studio.webhook else None

        def look() -> bool:
            # a Label Studio of ours that was started again may have another address
            tool = label_studio_tool(layout, config)
            reviews = label_studio_tool(layout, config, review=True)
            finished = _advance_all(replace(context, tool=tool, reviews=reviews), console)
            if alarm is not None:
                listen_to_label_studio(layout, config, tool)
                listen_to_label_studio(layout, config, reviews)
            return finished

        if watch:
            wait = time.sleep if alarm is None else alarm.wait
            keep_looking(look, wait, every, lambda text: console.print(text, style="yellow", markup=False))
        else:
            look()


def _advance_all(context: Context, console: object) -> bool:
    """One pass over all videos; True once all are done or given up."""
    from rich.console import Console

    from fewclicks.progress_bars import progress_bars
    from flows.advance import advance_video, progress_display
    from flows.budgets import turns
    from flows.progress import waiting_for

    assert isinstance(console, Console)
    for video, select in turns(context):
        with progress_bars(console) as show:
            progress_display.set(show)
            advance_video(str(context.layout.root), video, select)
    rows = context.facts.videos()
    for row in rows:
        console.print(waiting_for(context, row), highlight=False, markup=False)
    # a paused video may be resumed while we watch
    return all(row.state == "done" or row.hold in ("cancelled", "failed") for row in rows)


def status(folder: Folder) -> None:
    """Show where every video stands, from the project's own log; needs no Label Studio.

    Example: fewclicks status street
    """
    from rich.console import Console

    from fewclicks.status_table import print_table, summary
    from flows.progress import held_because, project_rows
    from workspace.facts import Facts
    from workspace.layout import Layout

    layout = Layout(folder.resolve())
    config = layout.config()
    rows, states = [], []
    with Facts.of(layout) as facts:
        for video, frames, state, turn, asked, answered, skipped, withdrawn, clicks, quality in project_rows(
            facts, config.stopping.rounds
        ):
            answers = f"{answered} of {asked}"
            answers += f", {skipped} skipped" if skipped else ""
            answers += f", {withdrawn} withdrawn" if withdrawn else ""
            estimate = f"{100 * quality:.1f} %" if isinstance(quality, float) else "-"
            rows.append((str(video), str(frames), str(state), str(turn), answers, str(clicks), estimate))
            states.append(str(state))
        found = facts.videos()
        held = [held_because(facts, row) for row in found if row.hold is not None]
        apart = [f"{row.video.id}: looked at when {row.cron} comes (UTC)" for row in found if row.cron is not None]
    console = Console()
    print_table(console, config.project.name, rows)
    console.print(summary(states), highlight=False)
    for lines, what, style in ((held, "are held", "yellow"), (apart, "have schedules of their own", "")):
        for line in lines[:_LINES_SHOWN]:
            console.print(line, highlight=False, markup=False, style=style)
        if len(lines) > _LINES_SHOWN:
            console.print(f"... and {len(lines) - _LINES_SHOWN} more that {what}")
    console.print("* modelled: what correcting the shown prediction costs (docs/clicks.md)", style="dim")
    console.print("** estimated, there is no truth to compare with (docs/propagation.md)", style="dim")


def pull(folder: Folder) -> None:
    """Store the answers that people have finished so far, without waiting for the rest of the round.

    Example: fewclicks pull street
    """
    from itertools import chain

    from flows.asking import pull_early
    from flows.context import open_context
    from flows.review_tasks import pull_reviews
    from flows.tools import label_studio_tool
    from workspace.layout import Layout

    layout = Layout(folder.resolve())
    config = layout.config()
    reviews = label_studio_tool(layout, config, review=True)
    context = open_context(layout.root, label_studio_tool(layout, config), reviews=reviews)
    for line in chain(pull_early(context), pull_reviews(context)):
        print(line)
