"""Takes masks that were made elsewhere into a video: as labels, or as predictions to be shown and corrected."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from connectors.imported_masks import Read, frame_numbers, open_masks
from flows.labels import IMPORTED, label_payload, labels_from_events
from flows.rounds import IMPORTED_MODEL, imported_model
from workspace.config import Config
from workspace.errors import UserError
from workspace.facts import Facts, Lease, NewEvent
from workspace.files import fingerprint, write_image, writing_folder
from workspace.label import Label
from workspace.layout import Layout
from workspace.mask import UNKNOWN, MaskArray
from workspace.sample import Sample
from workspace.video import Video

BEFORE_ALL = 0  # the round of what is imported: people's labels are of later rounds, and later rounds win


@dataclass(frozen=True, slots=True)
class Imported:
    """frames: that have a mask now;  new: of them, how many were not there already;  empty: images without any shape"""

    frames: tuple[int, ...]
    new: int
    empty: int


def find_video(facts: Facts, text: str) -> Video:
    """A video by its id, or by its name if only one is called so."""
    named = [row.video for row in facts.videos() if row.video.name == text]
    return named[0] if len(named) == 1 else facts.video(text).video


def import_labels(
    layout: Layout, config: Config, facts: Facts, video: Video, source: Path, first: int, without: Sequence[str],
    beat: Callable[[float], None],
) -> Imported:  # fmt: skip
    """Every mask of `source` becomes a label that cost no click; where people label a pixel too, theirs counts.

    first: the number that frame 0 has in the names.  All masks are read and checked before anything is written; a
    second import of a frame takes the place of the first, and of the very same mask does nothing. UserError for
    whatever does not fit.
    """
    masks, known, empty = _checked(config, video, source, first, without, lambda part: beat(part / 2))
    folder = layout.video(video.id)
    events: list[NewEvent] = []
    with _held(facts, config, video) as lease:
        before = {
            label.sample.frame: label.file
            for label in labels_from_events(facts.events(video.id, "label"))
            if label.annotator == IMPORTED and label.round == BEFORE_ALL
        }
        for done, (name, index) in enumerate(known.items(), start=1):
            mask = _mask(masks[name], name, video)
            assert mask is not None
            sample = Sample(index)
            file = f"labels/{IMPORTED}.{sample.key}.{fingerprint(mask)[:8]}.png"
            lease.beat()
            if before.get(index) != file:
                write_image(folder / file, mask)
                pixels = int((mask != UNKNOWN).sum())
                label = Label(sample, BEFORE_ALL, IMPORTED, IMPORTED, file, False, 0.0, pixels)
                payload = label_payload(label) | {
                    "source": IMPORTED,
                    "from": f"{source.name}/{name}",
                    "clicks": {"drawing": 0, "correcting": 0},
                    "changed_regions": None,
                    "finished_at": None,
                }
                events.append(NewEvent("label", payload, round=BEFORE_ALL))
            beat(0.5 + done / len(known) / 2)
        new = lease.record(events)
    return Imported(tuple(sorted(known.values())), new, empty)


def import_predictions(
    layout: Layout, config: Config, facts: Facts, video: Video, source: Path, first: int, without: Sequence[str],
    beat: Callable[[float], None],
) -> Imported:  # fmt: skip
    """Every mask of `source` is shown to people in the first round, to be corrected; it teaches nothing by itself.

    first, without: as for `import_labels`.  A second import takes the place of the first. UserError for whatever does
    not fit, and once the first round has been selected: from then on our own predictions are shown.
    """
    masks, known, empty = _checked(config, video, source, first, without, lambda part: beat(part / 2))
    with _held(facts, config, video) as lease:
        if facts.last_event(video.id, "selected") is not None:
            raise UserError(
                f"{video.id} is past the selection of its first round.",
                "Import predictions before the first `fewclicks run`, or import the masks as labels.",
            )
        digest = []
        draft = layout.masks(video.id, f".importing-{os.getpid()}")
        with writing_folder(draft) as folder:
            for done, (name, index) in enumerate(known.items(), start=1):
                mask = _mask(masks[name], name, video)
                assert mask is not None
                lease.beat()
                digest.append((index, fingerprint(mask)))
                write_image(folder / f"{index:06d}.png", mask)
                beat(0.5 + done / len(known) / 2)
        model = IMPORTED_MODEL + fingerprint(sorted(digest))
        target = layout.masks(video.id, model)
        if target.exists():  # the name is the content
            shutil.rmtree(draft)
        else:
            os.replace(draft, target)
        new = imported_model(facts, video.id) != model
        if new:
            payload = {"model": model, "frames": sorted(known.values()), "from": source.name}
            lease.record([NewEvent("imported", payload, round=BEFORE_ALL)])
    return Imported(tuple(sorted(known.values())), len(known) if new else 0, empty)


def _checked(
    config: Config, video: Video, source: Path, first: int, without: Sequence[str], beat: Callable[[float], None]
) -> tuple[Mapping[str, Read], dict[str, int], int]:
    """What reads the masks, the frame of each one that is there, and how many images had no shape. UserError for a
    single mask that does not fit."""
    project = config.project
    background = None if project.background is None else project.class_names.index(project.background)
    masks = open_masks(source, project.class_names, background, without)
    numbers = frame_numbers(list(masks), first, video.frames)
    known = {}
    for done, (name, index) in enumerate(sorted(numbers.items(), key=lambda item: item[1]), start=1):
        if _mask(masks[name], name, video) is not None:
            known[name] = index
        beat(done / len(numbers))
    if not known:
        raise UserError(f"{source} holds no shapes.", "There is nothing to import.")
    return masks, known, len(numbers) - len(known)


def _mask(read: Read, name: str, video: Video) -> MaskArray | None:
    mask = read()
    if mask is not None and mask.shape != (video.height, video.width):
        raise UserError(
            f"The mask of {name!r} is {mask.shape[1]}x{mask.shape[0]}, the video is {video.width}x{video.height}.",
            "Masks must have the size of the frames.",
        )
    return mask


@contextmanager
def _held(facts: Facts, config: Config, video: Video) -> Iterator[Lease]:
    lease = facts.claim(video.id, config.lease.seconds)
    if lease is None:
        raise UserError(f"Another process is working on {video.id}.", "Import when it waits or has ended.")
    try:
        yield lease
    finally:
        lease.release()
