"""PostgreSQL dies with -9 in the middle of the loop, and comes back: the video ends as with a quiet database."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sqlalchemy.exc import DBAPIError

from connectors.memory import MemoryTool
from flows import machine
from flows.context import Context
from workspace.facts import Facts, Lease
from workspace.layout import Layout
from workspace.states import State

CLIP = "clip-0123456789"


def result(context: Context) -> tuple[Any, ...]:
    model = context.facts.last_event(CLIP, "propagated")
    assert model is not None
    masks = sorted(context.layout.masks(CLIP, model.payload["model"]).glob("*.png"))
    return (
        [event.payload["samples"] for event in context.facts.events(CLIP, "selected")],
        sorted((e.round, e.payload["sample"]) for e in context.facts.events(CLIP, "label")),
        hashlib.sha256(b"".join(path.read_bytes() for path in masks)).hexdigest(),
    )


@pytest.mark.slow
def test_killed_before_and_after_steps_it_loses_nothing(
    make_context: Callable[..., Context], truth: Callable[[int], np.ndarray], own_postgres: Any
) -> None:
    quiet = make_context(MemoryTool(answer=lambda q: truth(q.sample.frame)), lease={"seconds": 1.0})
    machine.advance(quiet, CLIP)
    wanted = result(quiet)

    layout = Layout(quiet.layout.root / "other")
    (layout.video(CLIP)).mkdir(parents=True)
    (layout.video(CLIP) / "frames").symlink_to(quiet.layout.video(CLIP) / "frames")
    tool = MemoryTool(answer=lambda q: truth(q.sample.frame))
    with Facts.connect(own_postgres.address, "killed") as facts:
        facts.add_video(quiet.facts.video(CLIP).video)
        context = replace(quiet, layout=layout, facts=facts, tool=tool)
        # before a step whose first read then fails, and after one whose commit was the last thing that worked
        kills = [
            (State.PUSHING, "before"),
            (State.PULLING, "after"),
            (State.FITTING, "before"),
            (State.WAITING, "after"),
        ]
        starting: list[threading.Thread] = []

        def step(state: State, do: Callable[[Context, Lease], bool], context: Context, lease: Lease) -> bool:
            def kill_if(when: str) -> None:
                if kills and kills[0] == (state, when):
                    kills.pop(0)
                    own_postgres.kill()
                    starting.append(threading.Thread(target=own_postgres.start))
                    starting[-1].start()

            kill_if("before")
            moved = do(context, lease)
            kill_if("after")
            return moved

        deaths = 0
        while True:
            try:
                outcome = machine.advance(context, CLIP, step)
                if outcome is not machine.Outcome.BUSY:
                    break
                time.sleep(0.2)  # the lease that could not be given back runs out
            except DBAPIError:  # what a tick would end with; the next one goes on
                deaths += 1
                starting[-1].join()
        assert (outcome, kills) == (machine.Outcome.DONE, [])
        assert deaths >= 3
        assert result(context) == wanted
        assert set(tool.times_asked().values()) == {1}
        assert facts.tally(CLIP).failed == 0
