"""The budget that all videos of a project share, per day and in all, and whose turn it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from flows.context import Context
from flows.labels import is_imported, latest_versions
from flows.progress import round_rows
from selection.sharing import expected_gain_per_click, samples_for_clicks, samples_left
from workspace.config import BudgetConfig
from workspace.facts import VideoState
from workspace.owners import is_dead
from workspace.states import State


def is_limited(rules: BudgetConfig) -> bool:
    return any(limit is not None for limit in (rules.tasks, rules.tasks_per_day, rules.clicks, rules.clicks_per_day))


def allowance(context: Context) -> int | None:
    """How many more samples may be asked now, in all videos together; None: no limit. Days are those of UTC."""
    rules = context.config.budget
    if not is_limited(rules):
        return None
    tallies = context.facts.tallies().values()
    asked, spent = sum(t.asked for t in tallies), sum(t.clicks for t in tallies)
    answered = sum(t.labeled + t.skipped for t in tallies)
    waiting = max(asked - answered - sum(t.withdrawn for t in tallies), 0)
    found = [samples_left(rules.tasks, asked), samples_for_clicks(rules.clicks, spent, answered, waiting)]
    if rules.tasks_per_day is not None or rules.clicks_per_day is not None:
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
        asked_today = sum(len(e.payload["samples"]) for e in context.facts.events_since(midnight, "selected"))
        labels = latest_versions(e for e in context.facts.events_since(midnight, "label") if not is_imported(e))
        spent_today = sum(event.payload["clicks"]["correcting"] for event in labels)
        found.append(samples_left(rules.tasks_per_day, asked_today))
        found.append(samples_for_clicks(rules.clicks_per_day, spent_today, len(labels), waiting))
    limits = [limit for limit in found if limit is not None]
    return min(limits) if limits else None


def may_ask(context: Context) -> bool:
    left = allowance(context)
    return left is None or left > 0


def by_turn(context: Context, rows: list[VideoState]) -> list[VideoState]:
    """The videos by priority, and where a budget is shared by what their next click is expected to bring."""
    if not is_limited(context.config.budget):
        return sorted(rows, key=lambda row: -row.priority)
    return sorted(rows, key=lambda row: (-row.priority, -_gain(context, row)))


def turns(context: Context, mine: Callable[[VideoState], bool] = lambda _: True) -> Iterator[tuple[str, bool]]:
    """The videos that have something to do, one after the other, and whether each may choose new samples now.

    mine: which videos are looked at

    Where a budget is shared, all are first moved on as far as that costs nobody a click; then those that are to ask
    next do so by turn, as long as the budget lasts.
    """
    from flows.machine import has_work
    from flows.waiting import Waiting

    waiting = Waiting(context)
    limited = is_limited(context.config.budget)
    free = [row for row in context.facts.videos() if mine(row) and not _is_taken(row)]
    for row in free if limited else by_turn(context, free):
        if not (limited and row.state is State.SELECTING) and has_work(context, row, waiting):
            yield row.video.id, not limited
    if limited:
        now = filter(mine, context.facts.videos())
        for row in by_turn(context, [row for row in now if row.state is State.SELECTING and not _is_taken(row)]):
            if has_work(context, row):
                yield row.video.id, True


def _is_taken(row: VideoState) -> bool:
    """Whether another process seems to be at it: then no run is begun for nothing. The lease itself decides."""
    return row.owner is not None and (row.lease_until or 0.0) > time.time() and not is_dead(row.owner)


def _gain(context: Context, row: VideoState) -> float:
    rounds = round_rows(context.facts, row.video.id)
    known = [(r["estimated_miou"], r["clicks_corrected"]) for r in rounds if r["estimated_miou"] is not None]
    return expected_gain_per_click(known, row.video.frames)
