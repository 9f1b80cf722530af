"""What a project's own labels teach the help for annotators: every human label, and propagated masks that are good."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flows.labels import LabelSet, labels_from_events
from flows.rounds import newest_model
from workspace.config import Config
from workspace.errors import UserError
from workspace.facts import Facts
from workspace.files import fingerprint, read_array, read_mask
from workspace.layout import Layout
from workspace.mask import MaskArray
from workspace.video import Video

_FIRST_HELD_OUT, _HELD_OUT_EVERY = (
    1,
    4,
)  # of each video's frames in the order in which they were labeled, which only grows
_GOOD = 0.03  # of a frame's pixels are expected to be wrong, at most
_PROPAGATED = 3  # frames for each labeled one, at most


@dataclass(frozen=True, slots=True)
class LabeledFrame:
    """read: (H, W) uint8 class ids, 255 where nobody knows"""

    image: Path
    read: Callable[[], MaskArray]


@dataclass(frozen=True, slots=True)
class OwnFootage:
    """human, propagated: to learn from;  held_out: human labels to judge by, from which nothing else here was made

    classes: their names, "background" for what is not drawn;  fingerprint: changes whenever the masks do
    """

    human: tuple[LabeledFrame, ...]
    propagated: tuple[LabeledFrame, ...]
    held_out: tuple[LabeledFrame, ...]
    classes: tuple[str, ...]
    fingerprint: str


def own_footage(layout: Layout, config: Config, facts: Facts) -> OwnFootage:
    """Of all videos of a project; UserError unless one of them has two labeled frames."""
    human: list[LabeledFrame] = []
    propagated: list[LabeledFrame] = []
    held_out: list[LabeledFrame] = []
    depends: list[object] = []
    labeled = 0
    for row in facts.videos():
        video = row.video
        every = labels_from_events(facts.events(video.id, "label"))
        labels = LabelSet(layout.video(video.id), every)
        order = list(dict.fromkeys(label.sample.frame for label in every if label.sample.frame in labels))
        apart = set(order[_FIRST_HELD_OUT::_HELD_OUT_EVERY])
        labeled += len(order)
        for frame in labels:
            one = LabeledFrame(layout.frame(video, frame), _human(labels, frame))
            (held_out if frame in apart else human).append(one)
        model = newest_model(facts, video.id)
        good = _good_frames(layout, video, model, order, apart)
        masks = layout.masks(video.id, model) if model else None
        for index in good:
            assert masks is not None
            propagated.append(LabeledFrame(layout.frame(video, index), _propagated(masks / f"{index:06d}.png")))
        depends.append([video.id, labels.files, model, good])
    if not held_out or not human:
        raise UserError(
            f"{layout.root} has {labeled} labeled frame(s), and no video of it two.",
            "Two are needed: one to learn from, and one to judge what was learned. Run a round first: `fewclicks run`.",
        )
    names = config.project.class_names
    classes = tuple("background" if name == config.project.background else name for name in names)
    return OwnFootage(tuple(human), tuple(propagated), tuple(held_out), classes, fingerprint(depends))


def good_to_learn_from(errors: NDArray[np.float32], labeled: Sequence[int], held_out: set[int]) -> list[int]:
    """Frames without a label whose propagated masks may teach, evenly spaced.

    errors: (N,) share of each frame's pixels that are expected to be wrong, NaN where nobody knows
    A frame whose nearest label is held out is left to it: its mask is that label, carried along.
    """
    if not labeled:
        return []
    places = np.array(sorted(labeled))
    apart = np.isin(places, sorted(held_out))
    away = np.abs(np.arange(len(errors))[:, None] - places[None])
    nearest = away == away.min(axis=1, keepdims=True)
    taken = (nearest & apart).any(axis=1) | (away == 0).any(axis=1)
    with np.errstate(invalid="ignore"):
        good = np.flatnonzero((errors <= _GOOD) & ~taken)
    most = _PROPAGATED * int((~apart).sum())
    if len(good) <= most:
        return [int(index) for index in good]
    return [int(good[place]) for place in np.linspace(0, len(good) - 1, most).round().astype(int)]


def _good_frames(layout: Layout, video: Video, model: str, labeled: Sequence[int], held_out: set[int]) -> list[int]:
    file = layout.frame_errors(video.id, model) if model else None
    if file is None or not file.exists():
        return []
    errors = read_array(file).astype(np.float32)
    return good_to_learn_from(errors, labeled, held_out)


def _human(labels: LabelSet, frame: int) -> Callable[[], MaskArray]:
    return lambda: labels[frame]


def _propagated(path: Path) -> Callable[[], MaskArray]:
    return lambda: read_mask(path)
