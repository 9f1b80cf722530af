"""A look at many videos that wait: one request to the tool, no torch, and nobody's answers mixed up."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import numpy as np

from connectors.labeling_tool import Progress
from connectors.memory import MemoryTool
from flows import machine
from flows.budgets import turns
from flows.context import Context
from flows.waiting import Waiting, answers_of
from workspace.states import Order

ROOT = Path(__file__).parents[2]
CLIP, OTHERS = "clip-0123456789", ["other1-0123456789", "other2-0123456789"]


class Counted(MemoryTool):
    looks = 0

    def progress(self, keys: Collection[str]) -> Progress:
        self.looks += 1
        return super().progress(keys)


def test_all_videos_are_looked_at_in_one_request(make_context: Callable[..., Context]) -> None:
    tool = Counted()
    context = make_context(tool)
    for number, name in enumerate(OTHERS, start=1):
        context.facts.add_video(replace(context.facts.video(CLIP).video, id=name, name=name, sha256=f"{number:064x}"))
        context.layout.video(name).mkdir()
        (context.layout.video(name) / "frames").symlink_to(context.layout.video(CLIP) / "frames")
    for video in (CLIP, *OTHERS):
        machine.advance(context, video)
    questions = {question.key: question for question in tool.open_questions()}
    assert len(questions) == 6  # two of each video
    first, second = (key for key in questions if key.startswith(OTHERS[0]))
    tool.annotate(first, np.zeros((32, 48), np.uint8))
    tool.annotate(next(key for key in questions if key.startswith(OTHERS[1])), np.zeros((32, 48), np.uint8))

    tool.looks = 0
    assert list(turns(context)) == []  # nobody's round is complete
    assert tool.looks == 1
    tool.annotate(second, np.zeros((32, 48), np.uint8))
    context.facts.order(OTHERS[1], Order.PAUSE)
    assert list(turns(context)) == [(OTHERS[0], True)]
    assert tool.looks == 2

    together = Waiting(context)
    for row in context.facts.videos():
        alone = answers_of(context, row)
        assert together.of(row) == alone
        assert len(alone.answered) + alone.open == 2


def test_what_only_looks_does_without_torch() -> None:
    code = "import sys, flows.advance; print(*({'torch', 'torchvision', 'sklearn'} & set(sys.modules)))"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PREFECT_LOGGING_LEVEL": "CRITICAL"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
