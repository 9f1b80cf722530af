"""The whole loop with a simulated annotator: mIoU over clicks.

python -m benchmarks.loop FOLDER... --strategy default --budget 5 --rounds 6 --out loop.json

python -m benchmarks.loop FOLDER --granularity patch:32 --budget 300 --strategies gain_per_click,random --plot loop.png

A name in --strategies may carry a granularity of its own and a budget, NAME@GRANULARITY@BUDGET: so whole frames and
patches come side by side. Each run is a process of its own, so that its peak memory is its own. Clicks, shares and
samples in `curve` are sums over the rounds so far. One folder writes one object, several folders write a list, which
is written after each of them; of several the mean is printed too, over the shares that all of them reach.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.memory import peak_rss_mb
from benchmarks.options import benchmark_parser, check_writable, run_benchmark, settings_of, write_result
from connectors.measured_folder import open_measured_folder
from dashboard.comparison_figure import draw_comparison, mean_share_at
from flows.simulation import RoundScore, Simulation, share_at, simulate
from selection.strategies import STRATEGIES, default_strategy, strategy
from workspace.config import Config
from workspace.errors import UserError

QUALITIES = ("0.80", "0.85", "0.90", "0.95")


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    names = options.strategies.split(",") if options.strategies else [options.strategy]
    check_writable(options.plot)
    console = Console(stderr=True)
    results = []
    # all folders and words are checked before the long work begins
    folders = [open_measured_folder(path) for path in options.folders]
    configs = [[_config(folder.classes, name, options) for name in names] for folder in folders]
    for path, folder, wanted in zip(options.folders, folders, configs, strict=True):
        runs = []
        for config in wanted:
            chosen = config.selection
            console.print(
                f"{folder.name}: {chosen.strategy}, {chosen.granularity}, {options.rounds} rounds of {chosen.budget}"
            )
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                measured = pool.submit(_run, path, config).result()
            runs.append(measured["run"])
        results.append(
            {"data": folder.name, "frames": folder.n_masks, "full_clicks": measured["full_clicks"], "runs": runs}
        )
        _print(results[-1])
        write_result(options.out, results[0] if len(folders) == 1 else results)
    if len(results) > 1:
        _print_mean(results)
    if options.plot is not None:
        draw_comparison(options.plot, results)


def _run(path: Path, config: Config) -> dict[str, Any]:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fewclicks-loop-") as root:
        simulation = simulate(open_measured_folder(path), Path(root), config, on_round=_tell)
        simulation.context.facts.close()
    return {"full_clicks": simulation.full_clicks, "run": _result(simulation, config, time.monotonic() - began)}


def _tell(score: RoundScore) -> None:
    """A long run shows how far it is."""
    shares = f"{score.share:.1%} of the clicks, {score.share_corrected:.1%} if corrected"
    Console(stderr=True).print(f"  round {score.round}: mIoU {100 * score.miou:.1f} at {shares}; {score.seconds:.0f} s")


def _result(simulation: Simulation, config: Config, seconds: float) -> dict[str, Any]:
    return {
        "strategy": config.selection.strategy,
        "granularity": config.selection.granularity,
        "curve": [asdict(score) for score in simulation.curve],
        "share_at": {q: share_at(simulation.curve, float(q), corrected=False) for q in QUALITIES},
        "share_at_corrected": {q: share_at(simulation.curve, float(q), corrected=True) for q in QUALITIES},
        "seconds_total": round(seconds, 3),
        "peak_rss_mb": round(peak_rss_mb(), 1),
    }


def _config(classes: tuple[str, ...], name: str, options: argparse.Namespace) -> Config:
    chosen, *own = name.split("@")
    if len(own) > 2 or any(not part for part in (chosen, *own)):
        raise UserError(f"{name!r} is no strategy.", "Write NAME, NAME@GRANULARITY or NAME@GRANULARITY@BUDGET.")
    granularity = own[0] if own else options.granularity
    chosen = default_strategy(granularity) if chosen == "default" else chosen
    strategy(chosen)
    budget = own[1] if len(own) > 1 else options.budget
    return settings_of(
        options,
        classes,
        selection={"granularity": granularity, "strategy": chosen, "budget": budget},
        stopping={"rounds": options.rounds, "quality": None},
    )


def _print(result: dict[str, Any]) -> None:
    table = Table(title=f"{result['data']}: {result['frames']} frames, {result['full_clicks']} clicks to draw them all")
    for heading in ("strategy", "round", "samples", "clicks", "share", "corrected", "share", "mIoU", "seconds"):
        table.add_column(heading, justify="left" if heading == "strategy" else "right")
    for run in result["runs"]:
        for row in run["curve"]:
            shares = f"{row['share']:.1%}", str(row["clicks_corrected"]), f"{row['share_corrected']:.1%}"
            counts = str(row["round"]), str(row["samples"]), str(row["clicks"])
            table.add_row(
                f"{run['strategy']}, {run['granularity']}",
                *counts,
                *shares,
                f"{100 * row['miou']:.1f}",
                f"{row['seconds']:.0f}",
            )
        table.add_section()
    Console().print(table)


def _print_mean(results: list[dict[str, Any]]) -> None:
    """Where the mean curve of all videos crosses each quality, on straight lines between the rounds."""
    table = Table(title=f"Mean of {len(results)} videos: share of the clicks, drawing (correcting)")
    for heading in ("strategy", *(f"{100 * float(q):.0f} %" for q in QUALITIES)):
        table.add_column(heading, justify="left" if heading == "strategy" else "right")
    for runs in zip(*(result["runs"] for result in results), strict=True):
        drawing, correcting = (
            [mean_share_at([run["curve"] for run in runs], key, float(q)) for q in QUALITIES]
            for key in ("share", "share_corrected")
        )
        cells = [f"{_share(drawn)} ({_share(shown)})" for drawn, shown in zip(drawing, correcting, strict=True)]
        table.add_row(f"{runs[0]['strategy']}, {runs[0]['granularity']}", *cells)
    Console().print(table)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _parser() -> argparse.ArgumentParser:
    parser = benchmark_parser("loop", __doc__)
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="video.mp4 or frames/, masks/, meta.json"
    )
    parser.add_argument(
        "--granularity",
        default="frame",
        metavar="NAME",
        help="frame, patch:32, patch:HEIGHTxWIDTH, superpixel or mixed",
    )
    parser.add_argument("--strategy", default="default", choices=["default", *STRATEGIES], metavar="NAME")
    parser.add_argument("--strategies", metavar="A,B,C", help="several side by side instead of --strategy")
    parser.add_argument("--budget", type=int, default=5, help="samples per round; mixed: frames' worth of clicks")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw mIoU over the share of clicks, as a PNG")
    return parser


if __name__ == "__main__":
    sys.exit(run_benchmark(main))
