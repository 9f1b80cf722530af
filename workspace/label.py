"""A human's answer about one sample."""

from __future__ import annotations

from dataclasses import dataclass

from workspace.sample import Sample


@dataclass(frozen=True, slots=True)
class Label:
    """Where the mask of one annotation lies, and who gave it. The mask is a PNG of the whole frame, 255 = not labeled.

    `file` is relative to the video's folder. `skipped` answers carry no mask. `seconds`: wall time with the task open.
    """

    sample: Sample
    round: int
    annotation: str
    annotator: str
    file: str | None
    skipped: bool
    seconds: float
    known_pixels: int
