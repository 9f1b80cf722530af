"""Two label sets side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A COCO JSON file, a folder of masks, or DIR@ANNOTATOR.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The same, to compare it with.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where report.html and report.json go.")] = Path("report"),
    reference: Annotated[
        bool, typer.Option("--reference", help="B is right: grade A by the rubric (docs/quality.md).")
    ] = False,
    project: Annotated[Path | None, typer.Option(metavar="DIR", help="A project whose rubric counts.")] = None,
    without: Annotated[
        list[str] | None, typer.Option("--without", metavar="CLASS", help="No objects, like a background; repeatable.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Images to draw the largest differences on.")
    ] = None,
    confident_iou: Annotated[float, typer.Option(min=0.51, max=1.0, help="From here on a match is sure.")] = 0.95,
) -> None:
    """Compare two label sets: matches, contours, classes, mAP, and pictures of the largest differences.

    Example: fewclicks compare anna.json ben.json --out report
    """
    from rich.console import Console

    from connectors.image_folder import list_images, read_upright
    from dashboard.label_report import label_report
    from fewclicks.progress_bars import progress_bars
    from flows.comparing import compare_sets, open_sources
    from quality.comparison import Thresholds
    from workspace.config import RubricConfig
    from workspace.files import check_folder_writable, write_bytes, write_json
    from workspace.layout import Layout

    rubric = Layout(project.resolve()).config().rubric if project else RubricConfig()
    thresholds = Thresholds(confident_iou, ignore_below_px=rubric.ignore_below_px, crowd_above=rubric.crowd_above)
    sets = open_sources((first, second), tuple(without or ()))
    pictures = {path.stem: path for path in list_images(images)} if images else {}
    check_folder_writable(out)
    with progress_bars(Console(stderr=True)) as show:
        found = compare_sets(
            sets[0], sets[1], thresholds, rubric, reference, lambda fraction: show("comparing", fraction)
        )
    page = label_report(
        found.names, found.classes, found.comparison, found.summary,
        lambda name: read_upright(pictures[name])[0] if name in pictures else None,
    )  # fmt: skip
    write_json(out / "report.json", found.summary)
    write_bytes(out / "report.html", page.encode())
    matches, distance = found.summary["matches"], found.summary["contour_distance_px"]["all"]
    print(
        f"{found.summary['images']['both']} images:"
        f" {matches['confident']} confident, {matches['ambiguous']} ambiguous, {matches['multiple']} multiple,"
        f" {matches['none']} none; {matches['second_unmatched']} in {found.names[1]} alone."
    )
    if distance["instances"]:
        print(f"Contours lie {distance['mean']:.2f} px apart on average, {distance['p95']:.2f} px at 95 %.")
    if reference:
        mark = found.summary["rubric"]["all"]
        print(f"{found.names[0]}: {mark['verdict']}, mark {mark['score']:.1%}. {mark['reason']}".strip())
    print(out / "report.html")
