"""The demo: a rendered or given clip through the real loop, then a video and a picture to look at."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.export.overlay import overlay_video
from connectors.measured_folder import MeasuredFolder, open_measured_folder
from connectors.street_scene import write_street
from flows.context import ShowProgress
from flows.frame_files import FrameFiles
from flows.rounds import newest_model
from flows.simulation import RoundScore, Simulation, simulate
from selection.strategies import strategy as check_strategy
from workspace.colors import class_colors
from workspace.config import Config, parse_config
from workspace.errors import UserError
from workspace.files import fingerprint, read_json, read_mask, write_json
from workspace.mask import MaskArray

CLIP: dict[str, int] = {"frames": 72, "width": 480, "height": 270}


Example = tuple[str, NDArray[np.uint8], MaskArray, MaskArray]
"""Title, frame (H, W, 3) RGB, truth and mask (H, W)."""


@dataclass(frozen=True, slots=True)
class DemoResult:
    name: str
    frames: int
    simulation: Simulation
    overlay: Path
    examples: list[Example]
    colors: NDArray[np.uint8]


def run_demo(
    data: Path | None,
    out: Path,
    settings: dict[str, Any],
    show: ShowProgress,
    on_round: Callable[[RoundScore], None],
) -> DemoResult:
    """Label `data` (rendered if None) under `out`; the same call again goes on where a killed one stopped."""
    check_strategy(settings["selection"]["strategy"])  # before anything is rendered
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file.", "Give --out the name of a folder.")
    folder = open_measured_folder(data if data is not None else _clip(out, settings["selection"]["seed"], show))
    config = parse_config(settings | {"project": {"name": "demo", "classes": list(folder.classes)}}, "The command line")
    root = _workspace(out, folder, config)
    simulation = simulate(folder, root, config, show, on_round)
    overlay = _overlay(out / "overlay.mp4", simulation, config, show)
    colors = class_colors(config.project.classes)
    return DemoResult(folder.name, folder.n_masks, simulation, overlay, _examples(folder, simulation), colors)


def _clip(out: Path, seed: int, show: ShowProgress) -> Path:
    folder = out / "street"
    mark = {"seed": seed, **CLIP}
    if not (folder / "meta.json").exists() or not (out / "clip.json").exists() or read_json(out / "clip.json") != mark:
        shutil.rmtree(folder, ignore_errors=True)
        write_street(
            folder,
            CLIP["frames"],
            CLIP["width"],
            CLIP["height"],
            seed,
            beat=lambda done, total: show("rendering the clip", done / total),
        )
        write_json(out / "clip.json", mark)
    return folder


def _workspace(out: Path, folder: MeasuredFolder, config: Config) -> Path:
    """A folder per clip and settings: an unfinished demo is gone on with, another one never mixed in."""
    name = fingerprint(str(folder.video_path.resolve()), config.model_dump())
    return (out / "workspaces" / name[:8]).resolve()


def _overlay(path: Path, simulation: Simulation, config: Config, show: ShowProgress) -> Path:
    context, video = simulation.context, simulation.video
    frames = FrameFiles(context.layout, video)

    pairs = ((frames[index], _mask(simulation, index)) for index in range(video.frames))
    names, colors = config.project.class_names, class_colors(config.project.classes)
    overlay_video(pairs, path, video.fps, colors, lambda done: show("writing the overlay", done / video.frames), names)
    return path


def _examples(folder: MeasuredFolder, simulation: Simulation) -> list[Example]:
    frames = FrameFiles(simulation.context.layout, simulation.video)
    count = simulation.video.frames
    shown = sorted({count // 6, count // 2, min(5 * count // 6, count - 1)})
    return [(f"frame {i}", frames[i], folder.truth(i), _mask(simulation, i)) for i in shown]


def _mask(simulation: Simulation, index: int) -> MaskArray:
    model = newest_model(simulation.context.facts, simulation.video.id)
    return read_mask(simulation.context.layout.masks(simulation.video.id, model) / f"{index:06d}.png")
