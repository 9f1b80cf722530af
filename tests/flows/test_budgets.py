"""One budget for all videos of a project: kept, shared by expected gain, and priorities come first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from connectors.memory import MemoryTool
from flows import budgets, machine
from flows.budgets import allowance, by_turn, turns
from flows.context import Context
from flows.machine import Outcome, has_work
from flows.progress import waiting_for
from workspace.facts import NewEvent
from workspace.states import State

CLIP, OTHER = "clip-0123456789", "other-0123456789"
Make = Callable[..., Context]
Truth = Callable[[int], np.ndarray]


def second_video(context: Context) -> None:
    """The same frames under another name."""
    video = replace(context.facts.video(CLIP).video, id=OTHER, name="other", sha256="f" * 64)
    context.facts.add_video(video)
    context.layout.video(OTHER).mkdir()
    (context.layout.video(OTHER) / "frames").symlink_to(context.layout.video(CLIP) / "frames")


def play(context: Context) -> None:
    """What a tick does, without Prefect."""
    for video, select in turns(context):
        machine.advance(replace(context, may_select=select), video)


def tool(truth: Truth) -> MemoryTool:
    return MemoryTool(answer=lambda question: truth(question.sample.frame))


def asked(context: Context) -> dict[str, int]:
    return {video: tally.asked for video, tally in context.facts.tallies().items()}


def test_tasks_in_all_are_never_more_than_allowed(make_context: Make, truth: Truth) -> None:
    context = make_context(tool(truth), budget={"tasks": 5}, stopping={"rounds": 9, "quality": None})
    second_video(context)
    for _ in range(6):
        play(context)
    assert sum(asked(context).values()) == 5
    assert set(asked(context)) == {CLIP, OTHER}  # one that nobody has seen comes before a second round
    assert allowance(context) == 0
    rows = context.facts.videos()
    assert {row.state for row in rows} == {State.SELECTING}
    assert not any(has_work(context, row) for row in rows)
    assert "budget" in waiting_for(context, rows[0])
    assert machine.advance(context, CLIP) is Outcome.WAITING  # by hand neither
    assert sum(asked(context).values()) == 5


def test_a_video_that_another_process_is_at_gets_no_run(make_context: Make, truth: Truth) -> None:
    context = make_context(tool(truth))
    assert [video for video, _ in turns(context)] == [CLIP]
    lease = context.facts.claim(CLIP, 60)
    assert lease is not None
    assert list(turns(context)) == []
    lease.release()
    assert [video for video, _ in turns(context)] == [CLIP]


def test_a_tick_looks_at_the_videos_that_it_is_for(make_context: Make, truth: Truth) -> None:
    second_video(make_context(tool(truth)))
    for budget in ({}, {"tasks": 9}):
        context = make_context(tool(truth), budget=budget, stopping={"rounds": 1, "quality": None})
        context.facts.schedule(OTHER, "0 6 * * *")
        with_project = list(turns(context, lambda row: row.cron is None))
        assert [video for video, _ in with_project] == [CLIP]
        assert [video for video, _ in turns(context, lambda row: row.cron is not None)] == [OTHER]
        assert [video for video, _ in turns(context)] == [CLIP, OTHER]  # by hand: all


def test_a_day_later_the_budget_of_a_day_is_there_again(
    make_context: Make, truth: Truth, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = make_context(tool(truth), budget={"tasks_per_day": 2}, stopping={"rounds": 2, "quality": None})
    play(context)
    play(context)
    assert asked(context) == {CLIP: 2}

    class Tomorrow(budgets.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return budgets.datetime.fromtimestamp(super().now(tz).timestamp() + 86400, tz)

    monkeypatch.setattr(budgets, "datetime", Tomorrow)
    play(context)
    assert asked(context) == {CLIP: 4}


def test_clicks_are_kept_by_what_a_sample_costs(make_context: Make, truth: Truth) -> None:
    context = make_context(tool(truth), budget={"clicks": 20}, stopping={"rounds": 9, "quality": None})
    for _ in range(6):
        play(context)
    tally = context.facts.tally(CLIP)
    mean = tally.clicks / tally.asked
    assert tally.clicks <= 20 + 2 * mean  # the first round is asked before anybody knows what a sample costs
    assert allowance(context) == 0


def test_the_next_click_goes_where_it_brings_most(make_context: Make, truth: Truth) -> None:
    context = make_context(tool(truth), budget={"tasks": 100})
    second_video(context)
    for video, reached in ((CLIP, (0.5, 0.52)), (OTHER, (0.5, 0.6))):
        for number, value in enumerate(reached, start=1):
            lease = context.facts.claim(video, 60)
            assert lease is not None
            payload = {"model": "m", "seconds": 1.0, "estimated_miou": value}
            lease.record(
                [
                    NewEvent("moved", {"from": "ready", "to": "selecting", "round": number}, round=number),
                    NewEvent("selected", {"samples": [f"f00000{number}"]}, round=number),
                    NewEvent("propagated", payload, round=number),
                ]
            )
            lease.release()
    assert [row.video.id for row in by_turn(context, context.facts.videos())] == [OTHER, CLIP]
    assert context.facts.prioritize(CLIP, 1)
    assert not context.facts.prioritize(CLIP, 1)
    assert [row.video.id for row in by_turn(context, context.facts.videos())] == [CLIP, OTHER]
    unlimited = make_context(tool(truth))
    assert [row.video.id for row in by_turn(unlimited, unlimited.facts.videos())] == [CLIP, OTHER]
    assert allowance(unlimited) is None
