"""How far contours may lie off."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def tolerance(
    labels: Annotated[str, typer.Argument(metavar="LABELS", help="A COCO file, a folder of masks, or DIR@ANNOTATOR.")],
    iou: Annotated[
        list[float] | None, typer.Option("--iou", metavar="IOU", help="Overlap demanded; repeatable.")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option("--without", metavar="CLASS", help="No objects, like a background; repeatable.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the table as JSON.")] = None,
) -> None:
    """Say how many pixels a contour may lie off, for the shapes in a label set, per size and overlap demanded.

    Example: fewclicks tolerance anna.json --iou 0.9 --iou 0.95
    """
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from fewclicks.progress_bars import progress_bars
    from flows.comparing import open_sources
    from quality.tolerance import tolerances
    from workspace.errors import UserError
    from workspace.files import write_json

    demands = sorted(set(iou or (0.8, 0.9, 0.95)))
    wrong = next((demand for demand in demands if not 0 < demand < 1), None)
    if wrong is not None:
        raise UserError(f"--iou {wrong:g} is no overlap to demand.", "Give a number between 0 and 1, such as 0.9.")
    (found,) = open_sources((labels,), tuple(without or ()))
    objects = []
    with progress_bars(Console(stderr=True)) as show:
        for number, read in enumerate(found.images.values(), start=1):
            objects += [one for one in read().instances if not one.crowd and one.area >= 10]
            show("reading", number / len(found.images))
    if not objects:
        raise UserError(f"{labels} holds no object of at least 10 pixels.", "Give a label set with something in it.")
    rows = tolerances(objects, demands)
    table = Table("size", "objects", "IoU", "half stand", "nine of ten stand", "of sqrt(area)", title=found.name)
    for row in rows:
        table.add_row(
            row.size, str(row.objects), f"{row.iou:g}", f"{row.median_px:.2f} px", f"{row.strict_px:.2f} px",
            f"{row.per_size:.3f}",
        )  # fmt: skip
    Console().print(table)
    if out is not None:
        write_json(out, [asdict(row) for row in rows])
