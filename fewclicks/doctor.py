"""Is everything here that the product needs?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def doctor(
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Also check this project.")] = None,
) -> None:
    """Check versions, OpenCV, Label Studio, disk and GPU; exit code 1 if something must be mended.

    Example: fewclicks doctor street
    """
    from rich.console import Console
    from rich.table import Table

    from flows.checkup import Health, checkup

    marks = {Health.GOOD: "[green]good[/]", Health.NOTE: "[yellow]note[/]", Health.BAD: "[red]bad[/]"}
    table = Table()
    for heading in ("", "what", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    findings = checkup(folder)
    for finding in findings:
        table.add_row(marks[finding.health], finding.what, finding.found, finding.remedy)
    Console().print(table)
    if any(finding.health is Health.BAD for finding in findings):
        raise typer.Exit(1)
