"""The report for whoever ordered the labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The project.")],
    video: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The video's id; not needed if there is one.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="DIR/reports/ID.html by default.")] = None,
    truth: Annotated[
        Path | None, typer.Option(metavar="MASKS", help="True masks to measure against, as for import.")
    ] = None,
    pdf: Annotated[
        bool | None, typer.Option("--pdf/--no-pdf", help="A PDF beside it; by default where Chromium is there.")
    ] = None,
) -> None:
    """Write what was labeled, how, clicks saved, and quality with intervals as one HTML file, and as PDF.

    Example: fewclicks report street --truth masks/
    """
    import time

    from rich.console import Console

    from connectors.imported_masks import frame_numbers, open_masks
    from dashboard.printing import browser, print_pdf
    from dashboard.report import report as report_page
    from fewclicks.progress_bars import progress_bars
    from workspace.errors import UserError
    from workspace.facts import Facts
    from workspace.files import write_bytes
    from workspace.layout import Layout

    layout = Layout(folder.resolve())
    config = layout.config()
    with Facts.of(layout) as facts, progress_bars(Console(stderr=True)) as show:
        rows = facts.videos()
        if not rows and video is None:
            raise UserError(f"{layout.root} has no videos.", f"Add one with `fewclicks add {folder} VIDEO`.")
        if video is None and len(rows) != 1:
            raise UserError(
                f"{layout.root} has {len(rows)} videos.", "Say which by its id; `fewclicks status` lists them."
            )
        of = rows[0].video if video is None else facts.video(video).video
        known = None
        if truth is not None:
            background = config.project.background
            names = config.project.class_names
            masks = open_masks(truth, names, None if background is None else names.index(background))
            known = {index: masks[name] for name, index in frame_numbers(sorted(masks), 0, of.frames).items()}
        text = report_page(layout, config, facts, of, known, lambda done: show("reporting", done), time.time())
    target = out if out is not None else layout.root / "reports" / f"{of.id}.html"
    if target.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"{target} is no name for an HTML page.", "Let it end in .html; the PDF is put beside it.")
    write_bytes(target, text.encode("utf-8"))
    print(target)
    if pdf or (pdf is None and browser() is not None):
        print_pdf(target, target.with_suffix(".pdf"))
        print(target.with_suffix(".pdf"))
