"""The flows that Prefect runs: `advance` moves one video on, `tick` looks at all of a project, `steer` gives orders."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Literal

import httpx
from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from flows import artifacts, machine
from flows.budgets import turns
from flows.context import Context, ShowProgress, open_context, silent
from flows.progress import place_of
from flows.steps import Step
from flows.tools import label_studio_tool
from workspace.errors import ToolUnavailable, UserError
from workspace.facts import Facts, Lease
from workspace.layout import Layout
from workspace.redaction import redact_logs
from workspace.states import Order, State

# Prefect stores the parameters of a run, and a progress bar is none: the command line leaves it here instead.
progress_display: ContextVar[ShowProgress] = ContextVar("progress_display", default=silent)


@flow(name="advance", flow_run_name="advance {video}", persist_result=False)
def advance_video(workspace: str, video: str, select: bool = True) -> str:
    """Move one video on until people must answer or it is done; safe to kill and to run again.

    workspace: the project's folder, as this machine sees it;  video: its id
    select: whether people may be asked about new samples now (a shared budget has turns)
    Returns "waiting", "done", "busy" (another process has it) or "held" (paused, cancelled, failed).
    """
    context = replace(_open(workspace), may_select=select)
    try:
        outcome = machine.advance(context, video, _as_task)
        _show(context, video)
        return outcome.value
    finally:
        context.facts.close()


@flow(name="tick", persist_result=False)
def tick(workspace: str, videos: list[str] | None = None) -> dict[str, str]:
    """One look at the videos of a project: those with something to do are moved on, each in a run of its own.

    workspace: the project's folder, as the worker sees it
    videos: ids, as `fewclicks status` shows them; None: all that have no schedule of their own
    Returns what each video that was moved on is doing now. UserError, before any is touched, for an id that there is
    not.
    """
    logger = get_run_logger()
    context = _open(workspace)
    outcomes, failures = {}, []
    try:
        only = None if videos is None else {context.facts.video(video).video.id for video in videos}
        for video, select in turns(context, lambda row: row.cron is None if only is None else row.video.id in only):
            try:
                outcomes[video] = advance_video(workspace, video, select)
            except UserError as error:
                # one broken video must not stop the others; the run still ends as failed, below
                logger.error("%s: %s", video, error)
                failures.append(video)
    finally:
        context.facts.close()
    if failures:
        raise UserError(f"{len(failures)} video(s) could not be moved on: {', '.join(failures)}.", "The log says why.")
    return outcomes


def _show(context: Context, video: str) -> None:
    """Leave artifacts with this run. What cannot be shown is logged: the video has moved on all the same."""
    try:
        row = context.facts.video(video)
        rounds = artifacts.rounds_table(context, video)
        if rounds:
            create_table_artifact(key=f"rounds-{video}", table=rounds, description=f"Rounds of {video}")
        page = artifacts.video_page(context, row)
        create_markdown_artifact(key=f"video-{video}", markdown=page, description="Masks, and where to go")
    except (OSError, UserError, ToolUnavailable, httpx.HTTPError, RuntimeError) as error:
        get_run_logger().warning("%s: not all artifacts could be made: %s", video, " ".join(str(error).split())[:200])


@flow(name="steer", flow_run_name="{order} {videos}", persist_result=False)
def steer(workspace: str, videos: list[str], order: Literal["pause", "resume", "cancel", "retry"]) -> dict[str, str]:
    """What `fewclicks pause`, `resume`, `cancel` and `retry` do, from Prefect's page: give ids and choose an order.

    workspace: the project's folder, as the worker sees it;  videos: their ids, as `fewclicks status` shows them
    Returns where each video stands then. UserError, before any video is touched, for an id that there is not.
    """
    layout = Layout(Path(workspace).resolve())
    with Facts.of(layout) as facts:
        for video in videos:
            facts.video(video)
        for video in videos:
            facts.order(video, Order(order))
        return {video: place_of(facts.video(video)) for video in videos}


def _open(workspace: str) -> Context:
    redact_logs()  # a worker comes here without passing our command line
    layout = Layout(Path(workspace).resolve())
    config = layout.config()
    reviews = label_studio_tool(layout, config, review=True)
    return open_context(layout.root, label_studio_tool(layout, config), progress_display.get(), reviews)


def _as_task(state: State, step: Step, context: Context, lease: Lease) -> bool:
    """Each step is a task named after its state. It takes no parameters, so no array ever crosses Prefect's border."""

    def run() -> bool:
        return step(context, lease)

    return bool(task(name=state.value, cache_policy=NO_CACHE, persist_result=False)(run)())
