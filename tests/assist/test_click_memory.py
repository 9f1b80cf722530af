"""Clicks as they are made, kept until the annotation is submitted, and written down with it."""

from __future__ import annotations

import json
import stat

import numpy as np

from assist.click_memory import ClickMemory
from connectors.label_studio.click_log import ClickLog, annotation_of, record_clicks
from connectors.label_studio.smart_tools import Point
from workspace.click_sequence import SequenceClick

CREATED = "2026-01-02T03:04:05.678901Z"
ONE, TWO, OTHER = Point(0.1, 0.2, True), Point(0.3, 0.4, False), Point(0.9, 0.9, True)


def mask(pixels: int) -> np.ndarray:
    return np.arange(100).reshape(10, 10) < pixels


def test_a_mask_s_clicks_are_one_sequence_and_repeated_requests_count_once() -> None:
    memory = ClickMemory()
    memory.note(7, "thing", [ONE], mask(20), now=10.0)
    memory.note(7, "thing", [ONE], mask(20), now=10.5)
    memory.note(7, "thing", [ONE, TWO], mask(15), now=12.0)
    memory.note(7, "ground", [OTHER], mask(50), now=13.0)
    memory.note(7, "thing", [OTHER], mask(30), now=20.0)  # the first was accepted: a new mask
    memory.note(8, "thing", [ONE], mask(1), now=30.0)
    assert memory.take(7) == [
        (SequenceClick(0.0, 0.2, 0.1, True, 0.2, 0.2), SequenceClick(2.0, 0.4, 0.3, False, 0.05, 0.15)),
        (SequenceClick(0.0, 0.9, 0.9, True, 0.5, 0.5),),
        (SequenceClick(0.0, 0.9, 0.9, True, 0.3, 0.3),),
    ]
    assert memory.take(7) == []
    assert len(memory.take(8)) == 1


def test_tasks_that_are_never_submitted_are_forgotten() -> None:
    memory = ClickMemory()
    for task in range(1005):
        memory.note(task, "thing", [ONE], mask(1))
    assert memory.take(0) == []
    assert len(memory.take(1004)) == 1


def test_what_is_written_is_read_by_annotation(tmp_path) -> None:
    file = tmp_path / "new" / "clicks.jsonl"
    call = {"action": "ANNOTATION_CREATED", "annotation": {"id": 3, "task": 7, "created_at": CREATED, "result": []}}
    annotation = annotation_of(call)
    assert annotation is not None
    sequence = (SequenceClick(0.0, 0.2, 0.1, True, 0.2, 0.2),)
    record_clicks(file, annotation, [sequence])
    record_clicks(file, annotation, [sequence, sequence])  # an update
    file.write_bytes(file.read_bytes() + b'{"annotation": 3, "task": 7, "cre')
    log = ClickLog(file)
    # the SDK writes the same moment in another way
    assert log.of(7, {"id": 3, "created_at": "2026-01-02T03:04:05.678901+00:00"}) == (sequence,) * 3
    assert log.of(8, {"id": 3, "created_at": CREATED}) == ()
    assert log.of(7, {"id": 3, "created_at": "yesterday"}) == ()
    assert ClickLog(tmp_path / "none").of(7, {"id": 3, "created_at": CREATED}) == ()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(json.loads(file.read_text().splitlines()[1])["clicks"]) == 2


def test_calls_that_are_about_no_annotation_say_nothing() -> None:
    made = {"id": 1, "task": 1, "created_at": CREATED}
    calls = [None, [], {}, {"action": "TASKS_CREATED", "annotation": made}]
    calls += [{"action": "ANNOTATION_CREATED", "annotation": made | {name: "x"}} for name in made]
    for call in calls:
        assert annotation_of(call) is None
