"""The people behind the labels: how reliable each is, and one mask from several opinions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flows.labels import labels_from_events, latest_versions
from quality.consolidation import majority
from quality.reliability import (
    LEAST_PEOPLE,
    Reliability,
    Votes,
    add_votes,
    count_votes,
    estimate_reliability,
    most_probable,
)
from workspace.config import LabelingConfig
from workspace.facts import Facts
from workspace.files import read_mask
from workspace.label import Label
from workspace.mask import UNKNOWN, MaskArray
from workspace.sample import Granularity


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """`names` in order; their reliability on pixels (frames and patches) and on choices (superpixels).

    None where fewer than three people shared samples: then nothing tells who of them is right.
    """

    names: tuple[str, ...]
    pixels: Reliability | None
    choices: Reliability | None

    def consolidate(self, labels: Sequence[Label], masks: Sequence[MaskArray]) -> MaskArray:
        """One mask from the masks of one sample, each with its label, earliest first."""
        latest = one_per_person(labels)
        kept = [mask for label, mask in zip(labels, masks, strict=True) if label in latest]
        reliability = self.choices if _is_choice(labels[0]) else self.pixels
        if reliability is None or len(kept) < 2:
            return majority(kept)
        return most_probable(kept, [self.names.index(label.annotator) for label in latest], reliability)


def uses_reliability(rules: LabelingConfig) -> bool:
    return rules.consolidation == "reliability"


def one_per_person(labels: Sequence[Label]) -> list[Label]:
    """Of the labels of one sample each person's last, in the order in which they came."""
    last = {label.annotator: label for label in labels}
    return [label for label in labels if last[label.annotator] is label]


def estimate_people(folder: Path, labels: Iterable[Label], classes: int) -> People:
    """Reliability from every sample of a video that several people labeled; the same labels give the same numbers.

    folder: the video's, where the label files lie
    """
    samples: dict[tuple[int, str], list[Label]] = {}
    for label in labels:
        if label.file is not None:
            samples.setdefault((label.round, label.sample.key), []).append(label)
    shared = [latest for of_sample in samples.values() if len(latest := one_per_person(of_sample)) > 1]
    names = tuple(sorted({label.annotator for of_sample in shared for label in of_sample}))
    pixels = [_votes(folder, of, names) for of in shared if not _is_choice(of[0])]
    choices = [_votes(folder, of, names) for of in shared if _is_choice(of[0])]
    return People(names, _reliability(pixels, classes, len(names)), _reliability(choices, classes, len(names)))


def people_rows(root: Path, facts: Facts, classes: int) -> list[dict[str, Any]]:
    """One row per annotator over all videos of a project, most answers first.

    `accuracy_pixels`, `accuracy_choices`: estimated probability of being right, averaged over the videos by how much
    was seen; None where it cannot be known. Clicks and seconds with `measured_` come from the proxy and count only the
    answers on which it counted (`measured`); `seconds` is the time with the task open, idle time included.
    """
    rows: dict[str, dict[str, Any]] = {}
    sums: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for video in facts.videos():
        for event in latest_versions(facts.events(video.video.id, "label")):
            payload = event.payload
            row = rows.setdefault(payload["annotator"], {"annotator": payload["annotator"]} | dict(_NOTHING))
            row["answers"] += not payload["skipped"]
            row["skipped"] += payload["skipped"]
            row["seconds"] += payload["seconds"]
            if payload.get("effort"):
                row["measured"] += 1
                row["measured_clicks"] += payload["effort"]["clicks"]
                row["measured_active_seconds"] += payload["effort"]["active_seconds"]
        for kind, reliabilities in reliability_of(root, facts, video.video.id, classes).items():
            for name, (accuracy, weight) in reliabilities.items():
                sums.setdefault((name, kind), []).append((accuracy, weight))
    for (name, kind), parts in sums.items():
        values, weights = zip(*parts, strict=True)
        rows[name][f"accuracy_{kind}"] = round(float(np.average(values, weights=weights)), 4)
    return sorted(rows.values(), key=lambda row: (-row["answers"], row["annotator"]))


def reliability_of(root: Path, facts: Facts, video: str, classes: int) -> dict[str, dict[str, tuple[float, float]]]:
    """For "pixels" and "choices": annotator -> (accuracy, pixels or choices that were shared with others)."""
    people = estimate_people(root / video, labels_from_events(facts.events(video, "label")), classes)
    return {
        kind: {
            name: (float(accuracy), float(weight))
            for name, accuracy, weight in zip(people.names, found.accuracy, found.weight, strict=True)
            if weight > 0
        }
        for kind, found in (("pixels", people.pixels), ("choices", people.choices))
        if found is not None
    }


_NOTHING = {
    "answers": 0,
    "skipped": 0,
    "seconds": 0.0,
    "measured": 0,
    "measured_clicks": 0,
    "measured_active_seconds": 0.0,
    "accuracy_pixels": None,
    "accuracy_choices": None,
}


def _is_choice(label: Label) -> bool:
    return label.sample.granularity is Granularity.SUPERPIXEL


def _votes(folder: Path, labels: Sequence[Label], names: tuple[str, ...]) -> Votes:
    masks = [read_mask(folder / str(label.file)) for label in labels]
    if _is_choice(labels[0]):
        masks = [_choice(mask) for mask in masks]
    return count_votes(masks, [names.index(label.annotator) for label in labels], len(names))


def _choice(mask: MaskArray) -> MaskArray:
    """The class of most of a superpixel's answer as a mask of one pixel: it is one vote, however large or painted."""
    known = mask[mask != UNKNOWN]
    return np.array([np.bincount(known).argmax() if known.size else UNKNOWN], np.uint8)


def _reliability(votes: Sequence[Votes], classes: int, people: int) -> Reliability | None:
    table = add_votes(votes, people)
    together = (table.cases != UNKNOWN).sum(axis=1) > 1
    met = int((table.cases[together] != UNKNOWN).any(axis=0).sum())
    return estimate_reliability(table, classes) if met >= LEAST_PEOPLE else None
