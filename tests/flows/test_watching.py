"""The labeling tool is away for an hour: nothing is lost, nobody is asked twice, and the waiting has no end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from connectors.memory import MemoryTool
from flows.context import Context
from flows.machine import Outcome, advance
from flows.tools import label_studio_address
from flows.watching import LONGEST_PAUSE_S, watch
from workspace.config import parse_config
from workspace.errors import ToolUnavailable, UserError
from workspace.layout import Layout

HOUR_S = 3600.0
CLIP = "clip-0123456789"


class Clock:
    """Sleeping takes no time and is written down."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)


def test_pauses_double_up_to_a_limit_and_begin_anew_once_the_tool_is_back() -> None:
    clock, said = Clock(), list[str]()

    def look() -> bool:
        if clock.now < HOUR_S:
            raise ToolUnavailable("It is down.")
        return clock.now > HOUR_S + 1000

    watch(look, clock.sleep, 15, said.append)
    away, back = clock.pauses[: len(said)], clock.pauses[len(said) :]
    assert away[:4] == [15, 30, 60, 120]
    assert all(after == min(2 * before, LONGEST_PAUSE_S) for before, after in pairwise(away))
    assert len(said) < 40  # and not one line per 15 s
    assert said[1] == "It is down. Trying again in 30 s."
    assert HOUR_S <= sum(away) <= HOUR_S + LONGEST_PAUSE_S  # noticed within the longest pause
    assert set(back) == {15}


def test_an_error_that_does_not_pass_ends_it() -> None:
    def look() -> bool:
        raise UserError("The project is gone.")

    with pytest.raises(UserError, match="gone"):
        watch(look, lambda seconds: None, 15, lambda text: None)


class AwayTool(MemoryTool):
    """Away for the hour after `from_s`, whatever it is asked; an import is cut off in the middle by that."""

    def __init__(self, path: Path, clock: Clock, answer: Callable[..., np.ndarray], at_call: int) -> None:
        self._clock, self._at_call, self._calls, self.back_at = clock, at_call, 0, 0.0
        super().__init__(path, answer)

    def _check(self) -> None:
        self._calls += 1
        if self._calls == self._at_call:
            self.back_at = self._clock.now + HOUR_S
        if self._clock.now < self.back_at:
            raise ToolUnavailable("It is down.")

    def push(self, questions, before_write):
        def one_by_one():
            for question in questions:
                self._check()
                yield question

        return super().push(one_by_one(), before_write)

    def progress(self, keys):
        self._check()
        return super().progress(keys)

    def pull(self, keys):
        for answer in super().pull(keys):
            self._check()
            yield answer


@pytest.mark.parametrize("at_call", [2, 3, 5])
def test_away_for_an_hour_at_any_moment_of_a_round(
    make_context: Callable[..., Context], truth: Callable[[int], np.ndarray], tmp_path: Path, at_call: int
) -> None:
    """Calls 1 and 2 push a question each, 3 looks, 4 and 5 pull an answer each."""
    clock = Clock()
    tool = AwayTool(tmp_path / "tool.db", clock, lambda question: truth(question.sample.frame), at_call)
    context = make_context(tool, stopping={"rounds": 1, "quality": None})
    watch(lambda: advance(context, CLIP) is Outcome.DONE, clock.sleep, 15, lambda text: None)
    assert tool.back_at > 0
    assert HOUR_S <= clock.now <= HOUR_S + 2 * LONGEST_PAUSE_S
    assert set(tool.times_asked().values()) == {1}
    labels = Counter((event.round, event.payload["sample"]) for event in context.facts.events(CLIP, "label"))
    assert len(labels) == 2
    assert set(labels.values()) == {1}
    assert context.facts.video(CLIP).hold is None


def test_a_server_of_ours_that_is_not_running_passes_and_a_missing_token_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LABEL_STUDIO_API_KEY", raising=False)
    values = {"project": {"classes": ["ground", "box"]}}
    with pytest.raises(ToolUnavailable, match="No Label Studio is running"):
        label_studio_address(Layout(tmp_path), parse_config(values, "test"))
    elsewhere = parse_config(values | {"label_studio": {"url": "http://127.0.0.1:9"}}, "test")
    with pytest.raises(UserError, match="No Label Studio token is set") as raised:
        label_studio_address(Layout(tmp_path), elsewhere)
    assert not isinstance(raised.value, ToolUnavailable)
