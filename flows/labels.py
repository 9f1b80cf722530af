"""The labels of a video as the loop uses them: one mask per labeled frame, made from every annotation in the log."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Lock

import numpy as np

from quality.consolidation import majority
from workspace.facts import Event
from workspace.files import read_mask
from workspace.label import Label
from workspace.mask import UNKNOWN, MaskArray
from workspace.sample import Sample

IMPORTED = "imported"  # the annotator, and the source, of labels that were made elsewhere
_REMEMBERED_BYTES = 128 * 2**20


def label_payload(label: Label) -> dict[str, object]:
    """A label as the payload of a `label` event."""
    return {
        "sample": label.sample.key,
        "annotation": label.annotation,
        "annotator": label.annotator,
        "file": label.file,
        "skipped": label.skipped,
        "seconds": round(label.seconds, 3),
        "known_pixels": label.known_pixels,
    }


def is_imported(event: Event) -> bool:
    """Whether a `label` event came with `fewclicks import`: nobody was asked, and it cost no click."""
    return event.payload.get("source") == IMPORTED


def latest_versions(events: Iterable[Event]) -> list[Event]:
    """Of `label` events, the last version of every annotation, in the order in which the annotations first came."""
    latest: dict[tuple[int, str, str], Event] = {}
    for event in events:
        latest[event.round, event.payload["sample"], event.payload["annotation"]] = event
    return list(latest.values())


def labels_from_events(events: Iterable[Event]) -> list[Label]:
    """The labels that count: of an annotation that was corrected the last version, and none that a review replaced."""
    latest = latest_versions(events)
    replaced = {
        (event.round, event.payload["sample"], annotation)
        for event in latest
        for annotation in event.payload.get("review", {}).get("replaces", ())
    }
    return [
        Label(
            sample=Sample.parse(event.payload["sample"]),
            round=event.round,
            annotation=event.payload["annotation"],
            annotator=event.payload["annotator"],
            file=event.payload["file"],
            skipped=event.payload["skipped"],
            seconds=event.payload["seconds"],
            known_pixels=event.payload["known_pixels"],
        )
        for event in latest
        if (event.round, event.payload["sample"], event.payload["annotation"]) not in replaced
    ]


def by_majority(labels: Sequence[Label], masks: Sequence[MaskArray]) -> MaskArray:
    """One mask from those of one sample, pixel by pixel; `labels` (whose they are) does not matter."""
    return majority(masks)


class LabelSet(Mapping[int, MaskArray]):
    """Frame index -> (H, W) uint8, 255 where nobody labeled. Annotations that know no pixel leave their frame out.

    Several annotations of one sample are consolidated by `consolidate`; later rounds win where they know more.
    """

    def __init__(
        self,
        folder: Path,
        labels: Iterable[Label],
        consolidate: Callable[[Sequence[Label], Sequence[MaskArray]], MaskArray] = by_majority,
    ) -> None:
        self._folder = folder
        self._consolidate = consolidate
        self._of_frame: dict[int, dict[tuple[int, str], list[Label]]] = {}
        for label in labels:
            if label.file is not None and label.known_pixels > 0:
                samples = self._of_frame.setdefault(label.sample.frame, {})
                samples.setdefault((label.round, label.sample.key), []).append(label)
        self._recent: OrderedDict[int, MaskArray] = OrderedDict()
        self._lock = Lock()  # several frames may be propagated at a time

    def __len__(self) -> int:
        return len(self._of_frame)

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._of_frame))

    def __getitem__(self, frame: int) -> MaskArray:
        with self._lock:
            return self._merged(frame)

    def _merged(self, frame: int) -> MaskArray:
        samples = self._of_frame[frame]
        if frame not in self._recent:
            merged: MaskArray | None = None
            for key in sorted(samples):
                masks = [read_mask(self._folder / str(label.file)) for label in samples[key]]
                mask = self._consolidate(samples[key], masks) if len(masks) > 1 else masks[0]
                merged = mask if merged is None else np.where(mask == UNKNOWN, merged, mask).astype(np.uint8)
            assert merged is not None
            self._recent[frame] = merged
            # hundreds of patches may make one mask, and a fit asks for each mask several times
            while len(self._recent) > 1 and sum(mask.nbytes for mask in self._recent.values()) > _REMEMBERED_BYTES:
                self._recent.popitem(last=False)
        self._recent.move_to_end(frame)
        return self._recent[frame]

    def of_frame(self, frame: int) -> list[Label]:
        """The labels that a frame's mask is made of."""
        return [label for _, labels in sorted(self._of_frame[frame].items()) for label in labels]

    @property
    def files(self) -> list[tuple[int, str, str]]:
        """(round, sample key, file) of everything that counts: what a fit depends on."""
        return [
            (number, key, str(label.file))
            for frame in self
            for (number, key), labels in sorted(self._of_frame[frame].items())
            for label in labels
        ]
