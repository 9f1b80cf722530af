"""The real loop on footage with known masks: the truth plays the annotator and scores, and is seen by nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from connectors.measured_folder import MeasuredFolder
from connectors.memory import MemoryTool
from connectors.simulated_annotator import simulated_annotator
from flows import machine
from flows.adding import add_video
from flows.context import Context, ShowProgress, silent
from flows.progress import round_rows
from flows.rounds import newest_model
from flows.steps import Step
from quality.scores import confusion, miou
from selection.clicks import frame_clicks
from workspace.config import Config
from workspace.facts import Facts, Lease, NewEvent
from workspace.files import read_mask
from workspace.layout import Layout
from workspace.states import State
from workspace.video import Video


@dataclass(frozen=True, slots=True)
class RoundScore:
    """After a round. Samples, clicks and shares are sums over all rounds so far; `seconds` is this round's wall time.

    `clicks`: drawing each asked sample from nothing; `clicks_corrected`: correcting the shown prediction; shares are of
    drawing every frame. `miou`: over all frames, human pixels included, void left out.
    """

    round: int
    samples: int
    clicks: int
    clicks_corrected: int
    share: float
    share_corrected: float
    miou: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Simulation:
    context: Context
    video: Video
    full_clicks: int
    curve: tuple[RoundScore, ...]


def simulate(
    folder: MeasuredFolder,
    root: Path,
    config: Config,
    show: ShowProgress = silent,
    on_round: Callable[[RoundScore], None] = lambda score: None,
) -> Simulation:
    """Label `folder`'s video in the workspace `root` until the stopping rule of `config`.

    Killed and called again with the same `root` it goes on from there.

    UserError if the video and its masks do not fit together.
    """
    layout = Layout(root)
    layout.videos.mkdir(parents=True, exist_ok=True)
    facts = Facts.open(layout.database_file)
    video = add_video(layout, facts, config.frames, folder.video_path, show).video
    folder.check_video(video.frames, video.width, video.height)
    annotator = simulated_annotator(lambda _, frame: folder.truth(frame))
    tool = MemoryTool(layout.root / "memory-tool.db", annotator)
    context = Context(layout, config, facts, tool, show)
    classes = len(folder.classes)
    full = sum(frame_clicks(folder.truth(index), classes) for index in range(folder.n_masks))
    curve: list[RoundScore] = []

    def run(state: State, step: Step, context: Context, lease: Lease) -> bool:
        number = lease.round
        done = step(context, lease)
        if state is State.PROPAGATING:
            curve.append(score_round(context, folder, video, full, number))
            _record_score(facts, video, curve[-1], full)
            on_round(curve[-1])
        return done

    # a resumed simulation scores the rounds that an earlier process had finished
    for row in round_rows(facts, video.id):
        if row["model"]:
            curve.append(score_round(context, folder, video, full, row["round"]))
            _record_score(facts, video, curve[-1], full)
            on_round(curve[-1])
    machine.advance(context, video.id, run)
    return Simulation(context, video, full, tuple(curve))


def _record_score(facts: Facts, video: Video, score: RoundScore, full: int) -> None:
    """The truth is known here: the dashboard shows it beside the estimate."""
    payload = {"miou": score.miou, "drawing_every_frame": full}
    facts.append(video.id, score.round, NewEvent("scored", payload, dedupe=f"scored/{video.id}/{score.round}"))


def score_masks(context: Context, folder: MeasuredFolder, video: Video, model: str) -> NDArray[np.int64]:
    """(K, K + 1) confusion of the masks that `model` made, over all frames."""
    classes = len(folder.classes)
    table = np.zeros((classes, classes + 1), np.int64)
    for index in range(video.frames):
        mask = read_mask(context.layout.masks(video.id, model) / f"{index:06d}.png")
        table += confusion(folder.truth(index), mask, classes)
    return table


def share_at(curve: tuple[RoundScore, ...], quality: float, corrected: bool) -> float | None:
    """The first share of clicks at which the mIoU is reached, or None."""
    for score in curve:
        if score.miou >= quality:
            return score.share_corrected if corrected else score.share
    return None


def score_round(context: Context, folder: MeasuredFolder, video: Video, full: int, number: int) -> RoundScore:
    """The score of the masks after round `number`, which must be through; `full`: clicks to draw every frame."""
    rows = [row for row in round_rows(context.facts, video.id) if row["round"] <= number]
    drawn, corrected = sum(row["clicks"] for row in rows), sum(row["clicks_corrected"] for row in rows)
    model = rows[-1]["model"] or newest_model(context.facts, video.id)
    return RoundScore(
        round=number,
        samples=sum(row["samples"] for row in rows),
        clicks=drawn,
        clicks_corrected=corrected,
        share=round(drawn / full, 6) if full else 0.0,
        share_corrected=round(corrected / full, 6) if full else 0.0,
        miou=round(miou(score_masks(context, folder, video, model)), 6),
        seconds=round(rows[-1]["seconds"], 3),
    )
