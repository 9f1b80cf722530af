"""The whole loop on one clip, with a simulated annotator in people's place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    data: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="video.mp4 or frames/, masks/ and meta.json; a rendered clip by default."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the results go.")] = Path("demo"),
    rounds: Annotated[int, typer.Option(min=1)] = 4,
    budget: Annotated[int, typer.Option(min=1, help="Frames per round.")] = 3,
    strategy: Annotated[str, typer.Option(help="How frames are chosen.")] = "uncertainty_centroids",
    segmenter: Annotated[
        str | None, typer.Option(help="compact, or a torchvision backbone such as mobilenet_v2.")
    ] = None,
    weights: Annotated[str | None, typer.Option(help="Weights name or path; from nothing by default.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Label a clip with a simulated annotator: a table per round, an overlay video, and one picture.

    Example: fewclicks demo --out demo

    Example: fewclicks demo --data street/ --rounds 5 --segmenter mobilenet_v2 --weights DEFAULT
    """
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from dashboard.curve_figure import draw_rounds
    from fewclicks.progress_bars import progress_bars
    from flows.demo import run_demo
    from flows.simulation import RoundScore
    from workspace.config import parse_config

    console = Console()

    def row(score: RoundScore) -> None:
        console.print(
            f"round {score.round}: {score.samples} frames labeled, {score.clicks} clicks"
            f" ({score.share:.1%} of labeling every frame), mIoU {100 * score.miou:.1f} %, {score.seconds:.0f} s",
            highlight=False,
        )

    settings = {
        "selection": {"strategy": strategy, "budget": budget, "seed": seed},
        "stopping": {"rounds": rounds, "quality": None},
        "segmenter": {"name": segmenter or ("mobilenet_v2" if weights else "compact"), "weights": weights},
        "propagation": {"seed": seed},
    }
    # wrong values are told before anything is rendered
    parse_config(settings | {"project": {"classes": ["any"]}}, "The command line")
    with progress_bars(console) as show:
        result = run_demo(data, out, settings, show, row)
    table = Table(
        title=f"{result.name}: {result.frames} frames, {result.simulation.full_clicks} clicks to draw them all"
    )
    for heading in ("round", "labels", "clicks", "share", "corrected*", "mIoU", "seconds"):
        table.add_column(heading, justify="right")
    for score in result.simulation.curve:
        counts = str(score.round), str(score.samples), str(score.clicks), f"{score.share:.1%}"
        table.add_row(*counts, f"{score.share_corrected:.1%}", f"{100 * score.miou:.1f} %", f"{score.seconds:.0f}")
    console.print(table)
    console.print("* share of clicks when annotators correct the shown prediction instead of drawing anew", style="dim")
    picture = out / "demo.png"
    draw_rounds(picture, [asdict(score) for score in result.simulation.curve], result.examples, result.colors)
    for path in (result.overlay, picture):
        console.print(str(path), highlight=False)
