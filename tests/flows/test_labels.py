"""Labels of a video out of the event log."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flows.labels import LabelSet, label_payload, labels_from_events
from workspace.facts import Event
from workspace.files import write_image
from workspace.label import Label
from workspace.sample import Sample


def make(folder: Path, name: str, rows: list[list[int]], **changes: object) -> Label:
    mask = np.array(rows, np.uint8)
    write_image(folder / f"{name}.png", mask)
    values = {"sample": Sample(2), "round": 1, "annotation": name, "annotator": "ann", "skipped": False, "seconds": 1.0}
    values |= {"file": f"{name}.png", "known_pixels": int((mask != 255).sum())}
    return Label(**(values | changes))


def test_payloads_and_events_are_inverse(tmp_path: Path) -> None:
    label = make(tmp_path, "a", [[0, 1]])
    events = [Event(1, 0.0, "v", 1, "label", label_payload(label))]
    assert labels_from_events(events) == [label]


def test_a_corrected_annotation_replaces_its_first_version(tmp_path: Path) -> None:
    first, second = make(tmp_path, "a", [[0, 1]]), make(tmp_path, "b", [[1, 1]], annotation="a")
    events = [Event(n, 0.0, "v", 1, "label", label_payload(label)) for n, label in enumerate((first, second))]
    assert labels_from_events(events) == [second]


def test_skipped_and_empty_answers_label_nothing(tmp_path: Path) -> None:
    skipped = make(tmp_path, "a", [[0, 1]], skipped=True, file=None, known_pixels=0)
    empty = make(tmp_path, "b", [[255, 255]])
    assert dict(LabelSet(tmp_path, [skipped, empty])) == {}


def test_several_annotators_are_consolidated_and_rounds_are_merged(tmp_path: Path) -> None:
    labels = [
        make(tmp_path, "a", [[0, 0, 0, 255]]),
        make(tmp_path, "b", [[0, 1, 0, 255]]),
        make(tmp_path, "c", [[1, 1, 0, 255]]),
        make(tmp_path, "d", [[255, 255, 1, 1]], round=2, sample=Sample(2, box=(0, 2, 1, 2))),
        make(tmp_path, "e", [[1, 1, 1, 1]], sample=Sample(0)),
    ]
    merged = LabelSet(tmp_path, labels)
    assert list(merged) == [0, 2]
    assert merged[2].tolist() == [[0, 1, 1, 1]]
    assert [name for _, _, name in merged.files] == ["e.png", "a.png", "b.png", "c.png", "d.png"]
