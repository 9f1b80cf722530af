"""What the masks were worth where somebody looked: at later labels, and at a truth from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashboard.round_summary import Round
from quality.scores import confusion
from workspace.errors import UserError
from workspace.facts import Event
from workspace.files import read_mask
from workspace.layout import Layout
from workspace.mask import UNKNOWN, MaskArray
from workspace.sample import Sample
from workspace.video import Video

_LABEL_FILE = re.compile(r"labels/[A-Za-z0-9][A-Za-z0-9._-]*\.png")  # the names that the product gives
_IMPORTED = "imported"


@dataclass(frozen=True, slots=True, eq=False)
class Witnesses:
    """Labels of one round against the masks of the round before, which had not seen them.

    tables: (N, K, K + 1) confusion of each of `frames`, only where people said something
    """

    round: int
    judged: int
    strategy: str
    frames: tuple[int, ...]
    tables: NDArray[np.int64]


def witnesses(
    layout: Layout, video: Video, rounds: Sequence[Round], labels: Iterable[Event], classes: int
) -> list[Witnesses]:
    """One per round whose labels came after masks were there, oldest first.

    labels: the `label` events of the video, in the order of the log; of a corrected annotation the last counts
    """
    latest: dict[tuple[int, str, str], Event] = {}
    for event in labels:
        if event.payload.get("source") != _IMPORTED:
            latest[event.round, event.payload["sample"], event.payload["annotation"]] = event
    found = []
    before: Round | None = None
    for one in rounds:
        if before is not None:
            of_round = [event for event in latest.values() if event.round == one.number]
            tables = _tables(layout, video, before.model, of_round, classes)
            if tables:
                frames = tuple(sorted(tables))
                stacked = np.stack([tables[frame] for frame in frames])
                found.append(Witnesses(one.number, before.number, one.strategy, frames, stacked))
        before = one if one.model else before
    return found


def truth_tables(
    layout: Layout, video: Video, model: str, truth: dict[int, Callable[[], MaskArray | None]], classes: int
) -> NDArray[np.int64]:
    """(N, K, K + 1) confusion of the masks of `model` on the frames of which the truth is known, in their order."""
    tables = []
    for frame in sorted(truth):
        known = truth[frame]()
        if known is not None:
            if known.shape != (video.height, video.width):
                size = f"{known.shape[1]}x{known.shape[0]}"
                raise UserError(f"The true mask of frame {frame} is {size}, the video {video.width}x{video.height}.")
            mask = read_mask(layout.masks(video.id, model) / f"{frame:06d}.png")
            tables.append(confusion(known, mask, classes))
    return np.array(tables, np.int64).reshape(-1, classes, classes + 1)


def _tables(
    layout: Layout, video: Video, model: str, labels: Iterable[Event], classes: int
) -> dict[int, NDArray[np.int64]]:
    tables: dict[int, NDArray[np.int64]] = {}
    for event in labels:
        file = str(event.payload.get("file") or "")
        if not _LABEL_FILE.fullmatch(file) or not event.payload.get("known_pixels"):
            continue
        frame = Sample.parse(event.payload["sample"]).frame
        label = read_mask(layout.video(video.id) / file)
        if not (label != UNKNOWN).any():
            continue
        shown = read_mask(layout.masks(video.id, model) / f"{frame:06d}.png")
        table = confusion(label, shown, classes)
        tables[frame] = tables[frame] + table if frame in tables else table
    return tables
