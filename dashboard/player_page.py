"""What the player of one video is told: its rounds with their masks, and how sure each frame is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dashboard.pictures import MODEL, WIDTHS, expected_errors
from dashboard.video_page import rounds_of
from workspace.colors import class_colors, hex_color
from workspace.facts import VideoState

if TYPE_CHECKING:
    from dashboard.project import Project


def player_values(where: Project, state: VideoState, now: float) -> dict[str, Any]:
    """Everything that player.html needs."""
    video = state.video
    rounds = rounds_of(where, video.id)
    made = [one for one in rounds if MODEL.fullmatch(one.model)]
    newest = made[-1].model if made else ""
    errors = expected_errors(where.layout, video, newest) if newest else None
    classes = where.config.project.classes
    data = {
        "base": f"/p/{where.slug}/{video.id}",
        "frames": video.frames,
        "width": video.width,
        "height": video.height,
        "fps": video.fps,
        "widths": list(WIDTHS),
        "rounds": [{"number": one.number, "model": one.model} for one in made],
        "asked": [[frame, one.number] for one in rounds for frame in one.frames if frame < video.frames],
        "errors": None if errors is None else [round(float(error), 5) for error in errors],
        "heat": bool(newest) and where.layout.probabilities(video.id, newest).is_dir(),
    }
    colors = class_colors(classes)
    return {
        "slug": where.slug,
        "video": video,
        "player": data,
        "legend": [(one.name, hex_color(color)) for one, color in zip(classes, colors, strict=True)],
    }
