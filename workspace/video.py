"""A video and its frames."""

from __future__ import annotations

import re
from dataclasses import dataclass

VIDEO_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,79}")


@dataclass(frozen=True, slots=True)
class Video:
    """One video of the workspace; frames are numbered from 0 and all have one size.

    `id` is a slug of the name plus the first 10 hex digits of `sha256`, so it is safe in paths and keys; `name` is what
    the user called it and is only ever shown. `suffix` is the ending of its frame files (".jpg" or ".png").
    """

    id: str
    name: str
    sha256: str
    frames: int
    width: int
    height: int
    fps: float
    suffix: str

    def __post_init__(self) -> None:
        if not VIDEO_ID.fullmatch(self.id):
            raise ValueError(f"video id {self.id!r} is not a slug")
        if min(self.frames, self.width, self.height) < 1:
            raise ValueError(f"video {self.id!r} has {self.frames} frames of {self.width}x{self.height}")
        if self.suffix not in (".jpg", ".png"):
            raise ValueError(f"frame files end in .jpg or .png, not {self.suffix!r}")


def video_id(name: str, sha256: str) -> str:
    """A slug of `name` (at most 60 characters) and the first 10 digits of the content's hash."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60].strip("-")
    return f"{slug or 'video'}-{sha256[:10]}"
