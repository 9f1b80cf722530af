"""Takes videos into the workspace: decoded once, whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil

from connectors.video_files import content_sha256, decode
from flows.context import ShowProgress, silent
from workspace.config import FramesConfig
from workspace.errors import UserError
from workspace.facts import Facts
from workspace.layout import Layout
from workspace.video import Video, video_id


@dataclass(frozen=True, slots=True)
class Added:
    video: Video
    new: bool  # False: its content was in the workspace already


def add_video(layout: Layout, facts: Facts, settings: FramesConfig, path: Path, show: ShowProgress = silent) -> Added:
    """Decode `path` into the workspace. Until the last moment it lies in a temporary folder, so a kill leaves no half.

    UserError if the file cannot be decoded to the end; nothing is left behind then.
    """
    _remove_abandoned(layout)
    show(f"reading {path.name}", 0.0)
    known = facts.find_sha256(content_sha256(path))
    if known is not None:
        return Added(known, new=False)
    draft = layout.videos / f".adding-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        frames = draft / "frames"
        frames.mkdir(parents=True)
        decoded = decode(
            path,
            frames,
            settings.format,
            settings.quality,
            lambda done, total: show(f"decoding {path.name}", _part(done, total)),
        )
        name = path.name if path.is_dir() else path.stem
        video = Video(
            id=video_id(name, decoded.sha256),
            name=name,
            sha256=decoded.sha256,
            frames=decoded.frames,
            width=decoded.width,
            height=decoded.height,
            fps=decoded.fps,
            suffix=decoded.suffix,
        )
        target = layout.video(video.id)
        if target.exists() and facts.find_sha256(video.sha256) is None:
            shutil.rmtree(target)  # a run was killed between the two lines below
        os.replace(draft, target)
        if not facts.add_video(video):
            raise UserError(f"{path} was added by another process at the same time.")
    except OSError as error:
        raise UserError(
            f"{path} could not be added: {error.strerror or error}.", "Check the disk's space and permissions."
        ) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Added(video, new=True)


def _part(done: int, total: int | None) -> float:
    return min(done / total, 1.0) if total else 0.0


def _remove_abandoned(layout: Layout) -> None:
    """Half-decoded folders of processes that are gone."""
    for draft in layout.videos.glob(".adding-*") if layout.videos.exists() else ():
        pid = draft.name.split("-")[1]
        if not (pid.isdigit() and psutil.pid_exists(int(pid))):
            shutil.rmtree(draft, ignore_errors=True)
