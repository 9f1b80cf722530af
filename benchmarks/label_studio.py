"""The product as a user runs it: Label Studio, Prefect's embedded mode, a simulated annotator over the API.

python -m benchmarks.label_studio FOLDER --rounds 4 --budget 3 --workspace run --out run.json

Prints a table per round, the wall time of each step, and peak memory; the workspace stays, to be looked at.
Killed and started again with the same options it goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.memory import peak_rss_mb
from benchmarks.options import benchmark_parser, run_benchmark, settings_of, write_result
from connectors.label_studio.annotator import LabelStudioAnnotator
from connectors.label_studio.server import serve
from connectors.measured_folder import MeasuredFolder, open_measured_folder
from connectors.simulated_annotator import simulated_annotator
from fewclicks.progress_bars import progress_bars
from flows.adding import add_video
from flows.context import Context, open_context
from flows.embedded import use_embedded
from flows.exporting import export_video
from flows.simulation import RoundScore, score_round
from flows.tools import label_studio_tool
from selection.clicks import frame_clicks
from workspace.errors import UserError
from workspace.facts import Facts
from workspace.files import write_bytes
from workspace.layout import Layout
from workspace.video import Video


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    folder = open_measured_folder(options.folder)
    layout = Layout(options.workspace.resolve())
    began = time.monotonic()
    video = _prepare(layout, folder, options, console)
    use_embedded(layout.prefect_home)
    server = serve(layout.root, 0, lambda text: console.print(text))
    try:
        context = open_context(layout.root, label_studio_tool(layout, layout.config()))
        answering = _label(context, folder, video, console)
    finally:
        server.stop()
    with progress_bars(console) as show:
        paths = export_video(
            layout, context.config, context.facts, video, ["png", "coco", "overlay"], layout.exports, show
        )
    full = sum(frame_clicks(folder.truth(i), len(folder.classes)) for i in range(folder.n_masks))
    rounds = [e.round for e in context.facts.events(video.id, "propagated")]
    result = {
        "data": folder.name,
        "frames": folder.n_masks,
        "full_clicks": full,
        "curve": [asdict(score_round(context, folder, video, full, number)) for number in rounds],
        "step_seconds": _step_seconds(context, video) | {"people (simulated)": round(answering, 1)},
        "seconds_total": round(time.monotonic() - began, 1),
        "peak_rss_mb": round(peak_rss_mb(), 1),
        "exports": [str(path.relative_to(layout.root)) for path in paths],
    }
    _print(result)
    write_result(options.out, result)


def _prepare(layout: Layout, folder: MeasuredFolder, options: argparse.Namespace, console: Console) -> Video:
    config = settings_of(
        options,
        folder.classes,
        project={"name": f"measured {folder.name}"[:50]},
        selection={"budget": options.budget},
        stopping={"rounds": options.rounds},
    )
    if layout.config_file.exists() and layout.config() != config:
        raise UserError(f"{layout.root} holds another project.", "Give --workspace a new folder.")
    write_bytes(layout.config_file, yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False).encode())
    layout.videos.mkdir(parents=True, exist_ok=True)
    facts = Facts.open(layout.database_file)
    with progress_bars(console) as show:
        video = add_video(layout, facts, config.frames, folder.video_path, show).video
    folder.check_video(video.frames, video.width, video.height)
    facts.close()
    return video


def _label(context: Context, folder: MeasuredFolder, video: Video, console: Console) -> float:
    """Advance and answer in turn until done; returns the seconds that answering took."""
    from flows.advance import advance_video, progress_display

    answer = simulated_annotator(lambda _, frame: folder.truth(frame))
    answering = 0.0
    while True:
        with progress_bars(console) as show:
            progress_display.set(show)
            outcome = advance_video(str(context.layout.root), video.id)
        if outcome != "waiting":
            return answering
        tool = label_studio_tool(context.layout, context.config)
        project = tool.project_id()
        assert project is not None, "a waiting video has been pushed"
        began = time.monotonic()
        annotator = LabelStudioAnnotator(tool.url, _token(context.layout), project, context.config.project.classes)
        count = annotator.play(answer)
        answering += time.monotonic() - began
        console.print(f"the simulated annotator answered {count} tasks through the API")


def _token(layout: Layout) -> str:
    from flows.tools import label_studio_address

    return label_studio_address(layout, layout.config())[1]


def _step_seconds(context: Context, video: Video) -> dict[str, float]:
    """Wall time spent in each state, summed over the rounds."""
    seconds: dict[str, float] = {}
    before: tuple[str, float] | None = None
    for event in context.facts.events(video.id, "moved"):
        if before is not None:
            seconds[before[0]] = seconds.get(before[0], 0.0) + event.at - before[1]
        before = event.payload["to"], event.at
    return {name: round(value, 1) for name, value in seconds.items()}


def _print(result: dict[str, Any]) -> None:
    console = Console()
    table = Table(title=f"{result['data']} through Label Studio: {result['full_clicks']} clicks to draw every frame")
    for heading in ("round", "labels", "clicks", "share", "corrected", "share", "mIoU", "seconds"):
        table.add_column(heading, justify="right")
    for score in (RoundScore(**row) for row in result["curve"]):
        shares = f"{score.share:.1%}", str(score.clicks_corrected), f"{score.share_corrected:.1%}"
        end = f"{100 * score.miou:.1f}", f"{score.seconds:.0f}"
        table.add_row(str(score.round), str(score.samples), str(score.clicks), *shares, *end)
    console.print(table)
    steps = Table("step", "seconds in all", title="Wall time")
    for name, seconds in result["step_seconds"].items():
        steps.add_row(name, f"{seconds:.1f}")
    console.print(steps)
    console.print(f"total {result['seconds_total']} s, peak memory {result['peak_rss_mb']} MB")


def _parser() -> argparse.ArgumentParser:
    parser = benchmark_parser("label_studio", __doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="video.mp4 or frames/, masks/, meta.json")
    parser.add_argument("--workspace", type=Path, required=True, metavar="DIR", help="a new folder")
    parser.add_argument("--budget", type=int, default=3, help="frames per round")
    parser.add_argument("--rounds", type=int, default=4)
    return parser


if __name__ == "__main__":
    sys.exit(run_benchmark(main))
