"""How far contours may lie off."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from flows.noise_experiment import Noise

_NOISES = "none,dilation:1,dilation:3,dilation:5,dilation:10,random:5,mixed:5"
_POINTS = (1.0, 5.0)  # hundredths of IoU that may be lost


def tolerance(
    labels: Annotated[
        str,
        typer.Argument(
            metavar="LABELS", help="A COCO file, a folder of masks, or DIR@ANNOTATOR; with --learn footage with masks."
        ),
    ],
    iou: Annotated[
        list[float] | None, typer.Option("--iou", metavar="IOU", help="Overlap demanded; repeatable.")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option("--without", metavar="CLASS", help="No objects, like a background; repeatable.")
    ] = None,
    learn: Annotated[
        bool,
        typer.Option(
            "--learn",
            help="By experiment: learn from distorted labels. LABELS holds video.mp4 or frames/, masks/, meta.json.",
        ),
    ] = False,
    noise: Annotated[
        str, typer.Option(metavar="NAME:PX,...", help="With --learn: how labels are distorted.")
    ] = _NOISES,
    labeled: Annotated[int, typer.Option(min=2, help="With --learn: labeled frames, evenly spaced.")] = 5,
    judged: Annotated[int, typer.Option(min=1, help="With --learn: other frames to score on, about so many.")] = 15,
    steps: Annotated[int, typer.Option(min=1, help="With --learn: steps of learning; fewer are quicker.")] = 60,
    weights: Annotated[
        str | None, typer.Option(help="With --learn: mobilenet_v2 from this file or torchvision name, else compact.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the table as JSON.")] = None,
) -> None:
    """Say how many pixels a contour may lie off, for the shapes in a label set, per size and overlap demanded.

    With --learn: say what a segmenter makes of labels that lie off, per size of object.

    Example: fewclicks tolerance anna.json --iou 0.9 --iou 0.95
    """
    from rich.console import Console

    from flows.noise_experiment import read_noise
    from workspace.files import check_writable, write_json

    check_writable(out)
    demands = _demands(iou)
    console = Console()
    if learn:
        noises = [read_noise(text) for text in noise.split(",")]
        result: Any = _by_experiment(Path(labels), noises, labeled, judged, steps, weights, console)
    else:
        result = _in_theory(labels, tuple(without or ()), demands, console)
    if out is not None:
        write_json(out, result)


def _demands(iou: Sequence[float] | None) -> list[float]:
    from workspace.errors import UserError

    demands = sorted(set(iou or (0.8, 0.9, 0.95)))
    wrong = next((demand for demand in demands if not 0 < demand < 1), None)
    if wrong is not None:
        raise UserError(f"--iou {wrong:g} is no overlap to demand.", "Give a number between 0 and 1, such as 0.9.")
    return demands


def _in_theory(
    labels: str, without: tuple[str, ...], demands: Sequence[float], console: Console
) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from fewclicks.progress_bars import progress_bars
    from flows.comparing import open_sources
    from quality.tolerance import tolerances
    from workspace.errors import UserError

    (found,) = open_sources((labels,), without)
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
    console.print(table)
    return [asdict(row) for row in rows]


def _by_experiment(
    path: Path,
    noises: Sequence[Noise],
    labeled: int,
    judged: int,
    steps: int,
    weights: str | None,
    console: Console,
) -> dict[str, Any]:
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from connectors.measured_folder import open_measured_folder
    from fewclicks.progress_bars import progress_bars
    from flows.noise_experiment import kept_px, learn_from_noise
    from quality.comparison import SIZES
    from workspace.config import PropagationConfig, SegmenterConfig

    segmenter = SegmenterConfig(name="compact" if weights is None else "mobilenet_v2", weights=weights)
    settings = PropagationConfig(decoder_steps=steps, tuning_steps=steps)
    folder = open_measured_folder(path)
    with progress_bars(Console(stderr=True)) as show:
        learned = list(
            learn_from_noise(
                folder, noises, segmenter, settings, labeled, judged, beat=lambda done: show("learning", done)
            )
        )
    title = f"{folder.name}: IoU learned from {labeled} labels"
    table = Table("noise", "the labels' own mIoU", "mIoU", *SIZES, title=title)
    for one in learned:
        shares = (one.labels_miou, one.miou, *(one.by_size[size] for size in SIZES))
        table.add_row(str(one.noise), *("-" if share is None else f"{100 * share:.1f}" for share in shares))
    console.print(table)
    kept = {size: {f"{points:g}": kept_px(learned, size, points) for points in _POINTS} for size in SIZES}
    widest = max((one.noise.strength for one in learned if one.noise.name == "dilation"), default=0.0)
    for size, widths in kept.items():
        told = [
            f"{px:.1f} px{' or more' if px >= widest else ''} cost {points} points"
            for points, px in widths.items()
            if px is not None
        ]
        if told and widest:
            console.print(f"{size}: too wide by {', by '.join(told)} of IoU.", highlight=False)
    return {"runs": [asdict(one) | {"noise": str(one.noise)} for one in learned], "kept_px": kept}
