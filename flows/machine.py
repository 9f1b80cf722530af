"""Moves a video on, one idempotent step at a time, under its lease. No Prefect here; `advance.py` wraps it."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

from flows import asking, review_tasks
from flows.budgets import is_limited, may_ask
from flows.context import Context
from flows.healing import heal
from flows.rounds import stop_reason
from flows.steps import STEPS, Step
from flows.waiting import Waiting, answers_of
from workspace.damage import DamagedFile
from workspace.errors import LeaseLost, ToolUnavailable, UserError
from workspace.facts import Lease, VideoState
from workspace.states import State

RunStep = Callable[[State, Step, Context, Lease], bool]

_SPEAKING = {State.PUSHING, State.WAITING, State.PULLING, State.REVIEWING}
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


class Outcome(StrEnum):
    WAITING = "waiting"  # for people
    DONE = "done"
    BUSY = "busy"  # another process has the lease
    HELD = "held"  # paused, cancelled, or failed too often


def plain(state: State, step: Step, context: Context, lease: Lease) -> bool:
    """Runs a step as it is."""
    return step(context, lease)


def advance(context: Context, video: str, run: RunStep = plain) -> Outcome:
    """Move `video` on until people must answer, it is done, another process has it, or somebody holds it.

    Killed at any instant it is called again and goes on: a step that had not committed is repeated, and every step
    leaves the outside as it was or as it should be. `run` wraps each step (Prefect makes a task of it).
    """
    lease = context.facts.claim(video, context.config.lease.seconds)
    if lease is None:
        return _not_ours(context, video)
    healed: set[Path] = set()
    try:
        while True:
            state = lease.state
            if not _moved(context, lease, run, healed):
                break
            if state is State.SELECTING and is_limited(context.config.budget):
                context = replace(context, may_select=False)  # one round, then it is another video's turn
        return Outcome.DONE if lease.state is State.DONE else Outcome.WAITING
    except LeaseLost:
        return _not_ours(context, video)  # we were frozen, and another process has gone on; or it was paused
    finally:
        lease.release()


def _moved(context: Context, lease: Lease, run: RunStep, healed: set[Path]) -> bool:
    """Whether the state has changed. healed: files made again so far, each once: then it is the disk's last word."""
    state = lease.state
    try:
        return run(state, STEPS[state], context, lease)
    except LeaseLost:
        raise
    except Exception as error:
        # whoever took over also cleans up: what we stumble over then is no error of its own
        lease.check()
        if isinstance(error, DamagedFile) and _healed(context, lease, error.path, healed):
            return _moved(context, lease, run, healed)
        if _is_of_the_video(error, state):
            lease.fail(_one_line(error))
        raise


def _healed(context: Context, lease: Lease, path: Path, before: set[Path]) -> bool:
    """Whether the file is made again, each once; what it is made of may be damaged as well, and comes first then."""
    if path in before:
        return False
    before.add(path)
    while True:
        try:
            return heal(context, lease, path)
        except DamagedFile as other:
            if not _healed(context, lease, other.path, before):
                return False


def _not_ours(context: Context, video: str) -> Outcome:
    return Outcome.BUSY if context.facts.video(video).hold is None else Outcome.HELD


def _is_of_the_video(error: Exception, state: State) -> bool:
    """Not if the labeling tool or the disk is in trouble: that hits every video alike, and passes."""
    if isinstance(error, UserError) and state in _SPEAKING:
        return False
    return not (isinstance(error, ToolUnavailable) or (isinstance(error, OSError) and error.errno in _DISK))


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return (text if isinstance(error, UserError) else f"{type(error).__name__}: {text}")[:500]


def has_work(context: Context, row: VideoState, waiting: Waiting | None = None) -> bool:
    """Whether `advance` would do anything now, found out without taking the lease.

    waiting: what is known of many videos at once; None: the tool is asked about this one
    """
    if row.hold is not None:
        return False
    if row.state is State.DONE:
        return stop_reason(context.facts, row.video, row.round, context.config.stopping) is None
    if row.state is State.SELECTING and not may_ask(context):
        return stop_reason(context.facts, row.video, row.round - 1, context.config.stopping) is not None
    if row.state is State.REVIEWING:
        return review_tasks.has_news(context, row.video.id, row.round)
    if row.state is not State.WAITING:
        return True
    answers = answers_of(context, row) if waiting is None else waiting.of(row)
    return not answers.open or bool(asking.to_be_judged(context, row.video.id, row.round, answers.answered))
