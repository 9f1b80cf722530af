"""A video that is paused, cancelled or failed stands still, and goes on from there to the same end."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from prefect.exceptions import ParameterTypeError

from connectors.memory import MemoryTool
from flows import machine
from flows.context import Context
from flows.machine import Outcome, advance, has_work
from flows.progress import project_rows, waiting_for
from flows.projects import create_project
from flows.steps import Step
from workspace.errors import ToolUnavailable, UserError
from workspace.facts import Facts, Lease
from workspace.states import MOST_FAILURES, Hold, Order, State
from workspace.video import Video

MakeContext = Callable[..., Context]
Truth = Callable[[int], np.ndarray]
CLIP = "clip-0123456789"


def test_paused_in_every_step_it_comes_to_the_same_end(make_context: MakeContext, truth: Truth) -> None:
    """Each step is ordered to pause just before it begins, so what it does is fenced off and done again."""
    tool = MemoryTool(answer=lambda question: truth(question.sample.frame))
    context = make_context(tool, stopping={"rounds": 1}, review={"before_training": True})
    context = replace(context, reviews=tool)
    paused: set[State] = set()

    def step(state: State, do: Step, context: Context, lease: Lease) -> bool:
        if state not in paused:
            paused.add(state)
            assert context.facts.order(CLIP, Order.PAUSE)
        return do(context, lease)

    for _ in range(20):
        outcome = advance(context, CLIP, step)
        if outcome is Outcome.DONE:
            break
        row = context.facts.video(CLIP)
        assert (outcome, row.hold) == (Outcome.HELD, Hold.PAUSED)
        assert not has_work(context, row)
        assert f"paused ({row.state}). `fewclicks resume DIR {CLIP}`" in waiting_for(context, row)
        assert project_rows(context.facts, 1)[0][2] == f"paused ({row.state})"
        assert advance(context, CLIP) is Outcome.HELD
        assert context.facts.video(CLIP).seq == row.seq
        context.facts.order(CLIP, Order.RESUME)
    context.facts.order(CLIP, Order.RESUME)
    assert advance(context, CLIP) is Outcome.DONE
    assert paused == set(State)
    assert set(tool.times_asked().values()) == {1}


def breaking(error: Exception, at: State) -> machine.RunStep:
    def step(state: State, do: Step, context: Context, lease: Lease) -> bool:
        if state is at:
            raise error
        return do(context, lease)

    return step


def test_a_step_that_keeps_failing_is_given_up_with_its_reason(make_context: MakeContext) -> None:
    context = make_context(MemoryTool())
    for _ in range(MOST_FAILURES):
        assert has_work(context, context.facts.video(CLIP))
        with pytest.raises(RuntimeError):
            advance(context, CLIP, breaking(RuntimeError("a\nbug"), State.SELECTING))
    row = context.facts.video(CLIP)
    assert (row.hold, row.state) == (Hold.FAILED, State.SELECTING)
    assert not has_work(context, row)
    assert "failed (selecting), last with: RuntimeError: a bug. `fewclicks retry DIR" in waiting_for(context, row)
    context.facts.order(CLIP, Order.RETRY)
    assert advance(context, CLIP) is Outcome.WAITING


@pytest.mark.parametrize(
    ("error", "at"),
    [
        (ToolUnavailable("it is down"), State.PUSHING),
        (UserError("the project is gone"), State.WAITING),
        (OSError(errno.ENOSPC, "No space left on device"), State.SELECTING),
    ],
)
def test_trouble_that_is_not_the_videos_is_not_counted(make_context: MakeContext, error: Exception, at: State) -> None:
    context = make_context(MemoryTool())
    for _ in range(MOST_FAILURES + 1):
        with pytest.raises(type(error)):
            advance(context, CLIP, breaking(error, at))
    assert context.facts.video(CLIP).hold is None
    assert not list(context.facts.events(CLIP, "failed"))


def test_orders_from_the_page_of_prefect_are_those_of_the_command_line(tmp_path: Path) -> None:
    from flows.advance import steer

    layout = create_project(tmp_path / "street", "street", ["road"], None)
    with Facts.of(layout) as facts:
        facts.add_video(Video(CLIP, "clip", "a" * 64, 4, 48, 32, 10.0, ".png"))
        with pytest.raises(UserError, match="no video 'clap'"):
            steer.fn(str(layout.root), [CLIP, "clap"], "pause")
        assert facts.video(CLIP).hold is None  # none was touched
        assert steer.fn(str(layout.root), [CLIP], "pause") == {CLIP: "paused (ready)"}
        with pytest.raises(UserError, match="is paused, so it cannot retry"):
            steer.fn(str(layout.root), [CLIP], "retry")
        assert steer.fn(str(layout.root), [CLIP], "resume") == {CLIP: "ready"}
    with pytest.raises(ParameterTypeError, match="'pause', 'resume', 'cancel' or 'retry'"):
        steer.validate_parameters({"workspace": "street", "videos": [CLIP], "order": "stop"})
