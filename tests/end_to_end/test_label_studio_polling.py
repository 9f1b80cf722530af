"""A poll of a long round reads only what is new, and sees everything that a full look would see."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from connectors.label_studio import listings
from connectors.label_studio.annotator import corrected_regions
from connectors.label_studio.client import connected, delete_task, list_tasks
from connectors.label_studio.server import LabelStudioServer
from connectors.label_studio.tool import LabelStudioTool
from connectors.labeling_tool import Question
from workspace.sample import Sample, question_key

pytestmark = [pytest.mark.label_studio, pytest.mark.slow, pytest.mark.xdist_group("label_studio")]
H, W, TASKS = 20, 30, 105  # fewer than listings.LEAST_TASKS are not remembered


def test_a_poll_reads_what_is_new_and_misses_nothing(
    make_label_studio_tool: Callable[..., LabelStudioTool],
    label_studio_server: LabelStudioServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = label_studio_server.workspace_root / "videos" / "polling" / "0.png"
    image.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(image), np.zeros((H, W, 3), np.uint8))
    video = f"polling-{uuid.uuid4().hex[:10]}"
    samples = [Sample(frame) for frame in range(TASKS)]
    keys = [question_key(video, 1, sample) for sample in samples]
    tool = make_label_studio_tool()
    questions = (Question(k, video, "P", 1, s, image, H, W, opinions=2) for k, s in zip(keys, samples, strict=True))
    assert tool.push(questions, lambda: None) == TASKS

    read: list[tuple[bool, int]] = []

    def watched(client: Any, project: int, prefix: str | None = None, since: str | None = None) -> Any:
        rows = list_tasks(client, project, prefix, since)
        read.append((since is None, len(rows)))
        return iter(rows)

    monkeypatch.setattr(listings, "each_task", watched)
    monkeypatch.setattr(listings, "OVERLAP", timedelta(0))
    assert len(tool.progress(keys).open) == TASKS
    assert read == [(True, TASKS)]

    def look() -> tuple[Any, bool, int]:
        """What a poll says, and whether it read everything and how much."""
        read.clear()
        found = tool.progress(keys)
        (everything, rows), *_ = reversed(read)
        return found, everything, rows

    with connected(label_studio_server.url, label_studio_server.token) as client:
        project = tool.project_id()
        rows = list_tasks(client, project)
        result = corrected_regions(None, np.zeros((H, W), np.uint8), ("road",), None)
        me = int(client.users.whoami().id)
        first = client.annotations.create(id=rows[0].id, result=result, completed_by=me)
        found, everything, count = look()
        assert (len(found.answered), everything) == (0, False)  # one of two opinions
        assert count < 10

        client.tasks.update(id=str(rows[0].id), overlap=1)
        found, everything, count = look()
        assert (found.answered, everything) == (frozenset({keys[0]}), False)
        assert count < 10

        client.annotations.update(id=first.id, result=[])
        found, everything, count = look()
        assert (found.answered, everything) == (frozenset({keys[0]}), False)

        client.annotations.delete(id=first.id)
        assert look()[0].answered == frozenset()

        delete_task(client, rows[1].id)
        found, everything, _ = look()
        assert (found.gone, everything) == (frozenset({keys[1]}), True)  # seen by the count
        assert len(found.open) == TASKS - 1

    (kept,) = list(Path(tool._listings._folder).glob("*.jsonl"))
    kept.write_text('{"at": 1e12')  # truncated: everything is read again
    found, everything, _ = look()
    assert (len(found.open), everything) == (TASKS - 1, True)
