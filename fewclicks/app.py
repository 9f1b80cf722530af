"""The application: which commands there are. Heavy imports happen inside the commands, so that --help is fast."""

from __future__ import annotations

from typing import Annotated

import typer

from fewclicks import (
    assisting,
    backing_up,
    comparing,
    demo,
    deploying,
    doctor,
    exporting,
    importing,
    labeling,
    people,
    projects,
    reporting,
    reviewing,
    running,
    sharing,
    stacking,
    steering,
    tolerating,
    watching,
)

app = typer.Typer(
    name="fewclicks",
    help="Labels every pixel of every frame of a video with the fewest human clicks.",
    epilog="First steps:  fewclicks init street --class road --class car  ·  fewclicks add street clip.mp4  ·"
    "  fewclicks serve street  ·  fewclicks run street --watch",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (
    projects.init,
    projects.add,
    running.run,
    running.status,
    running.pull,
    steering.pause,
    steering.resume,
    steering.cancel,
    steering.retry,
    steering.prioritize,
    steering.schedule,
    people.people,
    exporting.export,
    importing.import_masks,
    reviewing.review,
    comparing.compare,
    tolerating.tolerance,
    watching.dashboard,
    reporting.report,
    backing_up.backup,
    backing_up.restore,
    sharing.share,
    sharing.join,
    sharing.fetch,
    sharing.prune,
    labeling.serve,
    doctor.doctor,
    projects.settings,
    deploying.deploy,
    stacking.up,
    stacking.listen,
    demo.demo,
):
    app.command("import" if command is importing.import_masks else None)(command)  # a word that Python keeps
app.add_typer(assisting.assist, name="assist")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"fewclicks {version('fewclicks')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass
