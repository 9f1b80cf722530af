"""What Prefect shows of a run: the rounds as a table; a page with a picture of the newest masks, and links.

Artifacts are for the eye: nothing is ever read from them.
"""

from __future__ import annotations

import base64
import os
import re
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from connectors.export.overlay import legend, overlay
from flows.context import Context
from flows.progress import place_of, round_rows
from flows.rounds import asked_in, newest_model
from flows.stack import DASHBOARD_VARIABLE
from workspace.colors import class_colors
from workspace.config import Config
from workspace.errors import UserError
from workspace.facts import VideoState
from workspace.files import read_array, read_mask, read_rgb
from workspace.layout import Layout
from workspace.sample import question_key
from workspace.states import State
from workspace.video import Video

_USUAL_DASHBOARD = "http://127.0.0.1:8090"
_FRAMES_SHOWN = 4
_TILE_PX = 320  # wide; the picture lies in Prefect's database, once per run
_QUALITY = 75
_ADDRESS = re.compile(r"https?://[^\s()<>\[\]]+")


def rounds_table(context: Context, video: str) -> list[dict[str, Any]]:
    """One row per round, what matters most first; clicks are modelled, of correcting what was shown."""
    return [
        {
            "round": row["round"],
            "estimated mIoU": None if row["estimated_miou"] is None else f"{100 * row['estimated_miou']:.1f} %",
            "clicks": row["clicks_corrected"],
            "asked": row["samples"],
            "answers": row["answers"],
            "skipped": row["skipped"],
            "seconds": round(row["seconds"]),
            "fitting s": None if row["fit_s"] is None else round(row["fit_s"]),
            "propagating s": None if row["propagate_s"] is None else round(row["propagate_s"]),
            "model": row["model"],
        }
        for row in round_rows(context.facts, video)
    ]


def video_page(context: Context, row: VideoState) -> str:
    """Markdown: where the video stands, links to Label Studio, its page and the player, and a picture of its masks."""
    return "\n".join(
        [
            f"**{row.video.id}**: {place_of(row)}, round {row.round}",
            "",
            *_links(context, row),
            "",
            *_shown(context, row.video),
        ]
    )


def _links(context: Context, row: VideoState) -> list[str]:
    video, lines = row.video.id, []
    keys = [question_key(video, row.round, sample) for sample in asked_in(context.facts, video, row.round)]
    tool = context.reviews if row.state is State.REVIEWING and context.reviews is not None else context.tool
    if keys:
        lines += [f"- [Label Studio]({address})" for address in _ADDRESS.findall(tool.link(keys))]
    page = f"{dashboard_address(context.config)}/p/{context.layout.slug}/{video}"
    lines += [f"- [Dashboard: this video]({page})", f"- [Player]({page}/player)"]
    worst = _worst_frame(context.layout, row.video, newest_model(context.facts, video))
    if worst is not None:
        lines.append(f"- [Player at frame {worst}, where most errors are expected]({page}/player#{worst})")
    return lines


def dashboard_address(config: Config) -> str:
    """Without a slash at its end: `dashboard.url`, what `fewclicks up` told, or where the command usually is."""
    return (config.dashboard.url or os.environ.get(DASHBOARD_VARIABLE) or _USUAL_DASHBOARD).rstrip("/")


def _shown(context: Context, video: Video) -> list[str]:
    """Frames spread over the video with their newest masks; nothing before there are any.

    The picture is part of the text, so that it is seen wherever Prefect's pages are.
    """
    model = newest_model(context.facts, video.id)
    if not model:
        return []
    config, layout = context.config, context.layout
    colors = class_colors(config.project.classes)
    frames = np.unique(((np.arange(_FRAMES_SHOWN) + 0.5) / _FRAMES_SHOWN * video.frames).astype(int)).tolist()
    try:
        tiles = [_tile(layout, video, model, index, colors) for index in frames]
    except (OSError, UserError):
        return []  # they lie on another machine, or were cleared away: the links are still of use
    sheet = contact_sheet(tiles)
    sheet = np.concatenate([sheet, legend(config.project.class_names, colors, sheet.shape[1])])
    done, data = cv2.imencode(".jpg", sheet[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert done
    told = f"Frames {', '.join(map(str, frames))} of {video.frames} with their masks"
    return [f"{told}:", "", f"![{told}](data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode('ascii')})"]


def _tile(layout: Layout, video: Video, model: str, index: int, colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A frame with its mask, (h, w, 3) uint8, at most as wide as a picture for Prefect may be."""
    rgb, mask = read_rgb(layout.frame(video, index)), read_mask(layout.masks(video.id, model) / f"{index:06d}.png")
    width = min(video.width, _TILE_PX)
    size = width, max(1, round(video.height * width / video.width))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    return overlay(
        np.asarray(small, np.uint8),
        np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST), np.uint8),
        colors,
    )


def contact_sheet(tiles: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Pictures of one size, (h, w, 3) uint8, two to a row from the top left; black where none is left."""
    columns = min(2, len(tiles))
    blank = [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    full = tiles + blank
    rows = [np.concatenate(full[n : n + columns], axis=1) for n in range(0, len(full), columns)]
    return np.concatenate(rows)


def _worst_frame(layout: Layout, video: Video, model: str) -> int | None:
    try:
        errors = read_array(layout.frame_errors(video.id, model)) if model else np.zeros(0)
    except OSError:
        return None
    return int(errors.argmax()) if len(errors) and errors.max() > 0 else None
