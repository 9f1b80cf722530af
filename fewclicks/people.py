"""Who has labeled, how reliably, and at what cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def people(folder: Annotated[Path, typer.Argument(metavar="DIR", help="The project.")]) -> None:
    """Show every annotator: answers, estimated reliability, and what their answers cost; needs no Label Studio.

    Example: fewclicks people street
    """
    from rich.console import Console
    from rich.table import Table

    from flows.people import people_rows
    from workspace.facts import Facts
    from workspace.layout import Layout

    layout = Layout(folder.resolve())
    config = layout.config()
    table = Table(title=config.project.name)
    table.add_column("annotator", overflow="fold")
    for heading in ("answers", "skipped", "right*", "choices right*", "seconds open", "clicks**", "active seconds**"):
        table.add_column(heading, justify="right")
    with Facts.of(layout) as facts:
        for row in people_rows(layout.videos, facts, len(config.project.classes)):
            table.add_row(
                row["annotator"],
                str(row["answers"]),
                str(row["skipped"]),
                _share(row["accuracy_pixels"]),
                _share(row["accuracy_choices"]),
                f"{row['seconds']:.0f}",
                _counted(row, "measured_clicks"),
                _counted(row, "measured_active_seconds"),
            )
    console = Console()
    console.print(table)
    console.print("* estimated from samples that at least three people shared; - where there are none", style="dim")
    console.print("** counted in the browser, per counted answer; - where nobody counted (docs/people.md)", style="dim")


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _counted(row: dict[str, Any], name: str) -> str:
    return f"{row[name] / row['measured']:.1f}" if row["measured"] else "-"
