"""Where every video of a project stands, from the sums beside the log: as quick for a thousand videos as for one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dashboard.savings import Baseline, baseline
from workspace.facts import Event, Facts, VideoState
from workspace.states import State
from workspace.tallies import Tally, Work


@dataclass(frozen=True, slots=True)
class VideoRow:
    """One video. Clicks and answers are those of the days asked for, everything else is as it stands now.

    work: of these days;  open: samples without any answer in the round that waits, and since when it does
    estimated, true: mIoU of the newest masks, 0 to 1;  labeled: share of all pixels that a person labeled, 0 to 1
    """

    project: str
    state: VideoState
    tally: Tally
    work: Work
    baseline: Baseline | None
    estimated: float | None
    true: float | None
    open: int = 0
    waiting_since: float | None = None

    @property
    def id(self) -> str:
        return self.state.video.id

    @property
    def place(self) -> str:
        """Its state, and what holds it there."""
        return str(self.state.state) if self.state.hold is None else f"{self.state.hold} ({self.state.state})"

    @property
    def saved(self) -> float | None:
        """Share of the clicks of drawing every frame that has not been needed so far; None before any answer."""
        if self.baseline is None or not self.tally.labeled:
            return None
        return self.baseline.saved(self.tally.clicks)

    @property
    def labeled(self) -> float:
        video = self.state.video
        return min(1.0, self.tally.pixels / (video.frames * video.width * video.height))

    @property
    def seconds_per_answer(self) -> float | None:
        """With the task open, idle time included."""
        return per_answer(self.work)


@dataclass(frozen=True, slots=True)
class Person:
    """One annotator: what they did, and how often they are estimated to be right; None where nobody can say.

    accuracy: 0 to 1, over what they shared with at least two others, pixels and choices weighed by how many
    """

    name: str
    work: Work
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over videos. `baseline_clicks`, `baseline_spent`: only of videos whose baseline is known.

    estimated, true: means over the videos of which they are known, 0 to 1;  labeled: share of all pixels, 0 to 1
    """

    videos: int
    frames: int
    done: int
    waiting: int
    held: int
    open: int
    asked: int
    answered: int
    clicks: int
    baseline_clicks: int
    baseline_spent: int
    failed: int
    estimated: float | None
    true: float | None
    with_truth: int
    labeled: float
    waiting_since: float | None

    @property
    def saved(self) -> float | None:
        return 1 - self.baseline_spent / self.baseline_clicks if self.baseline_clicks else None


def video_rows(project: str, facts: Facts, first: str | None = None, last: str | None = None) -> list[VideoRow]:
    """One row per video, in the order in which they were added.

    first, last: days, YYYY-MM-DD, UTC, both included; None: without limit
    """
    ever = {work.video: work for work in facts.work(("video",))}
    limited = first is not None or last is not None
    within = {work.video: work for work in facts.work(("video",), first=first, last=last)} if limited else ever
    tallies, propagated, scored = facts.tallies(), facts.newest("propagated"), facts.newest("scored")
    selected, pushed, answered = facts.newest("selected"), facts.newest("pushed"), facts.answered_now()
    rows = []
    for state in facts.videos():
        video = state.video.id
        row = VideoRow(
            project=project,
            state=state,
            tally=tallies.get(video, Tally()),
            work=within.get(video, Work(video, "", "")),
            baseline=baseline(
                state.video.frames, ever.get(video), _payload(propagated.get(video)), _payload(scored.get(video))
            ),
            estimated=(_payload(propagated.get(video)) or {}).get("estimated_miou"),
            true=_true(scored.get(video), propagated.get(video)),
        )
        asked = selected.get(video)
        if state.state is State.WAITING and asked is not None:
            there = answered.get(video, 0) + (_withdrawn(facts, state) if row.tally.withdrawn else 0)
            since = pushed[video].at if video in pushed else asked.at
            row = replace(row, open=max(0, len(asked.payload["samples"]) - there), waiting_since=since)
        rows.append(row)
    return rows


def _withdrawn(facts: Facts, state: VideoState) -> int:
    return sum(event.round == state.round for event in facts.events(state.video.id, "withdrawn"))


def _payload(event: Event | None) -> Mapping[str, Any] | None:
    return None if event is None else event.payload


def _true(scored: Event | None, propagated: Event | None) -> float | None:
    """Of the newest masks only: a score of older ones would flatter or slander them."""
    if scored is None or propagated is None or scored.round != propagated.round:
        return None
    return float(scored.payload["miou"])


def totals(rows: Sequence[VideoRow]) -> Totals:
    known = [row for row in rows if row.saved is not None and row.baseline is not None]
    estimates = [row.estimated for row in rows if row.estimated is not None]
    trues = [row.true for row in rows if row.true is not None]
    pixels = sum(row.state.video.frames * row.state.video.width * row.state.video.height for row in rows)
    since = [row.waiting_since for row in rows if row.open and row.waiting_since is not None and not row.state.hold]
    return Totals(
        videos=len(rows),
        frames=sum(row.state.video.frames for row in rows),
        done=sum(row.state.state is State.DONE and row.state.hold is None for row in rows),
        waiting=sum(row.state.state is State.WAITING and row.state.hold is None for row in rows),
        held=sum(row.state.hold is not None for row in rows),
        open=sum(row.open for row in rows if row.state.hold is None),
        asked=sum(row.tally.asked for row in rows),
        answered=sum(row.tally.labeled + row.tally.skipped for row in rows),
        clicks=sum(row.tally.clicks for row in rows),
        baseline_clicks=sum(row.baseline.clicks for row in known if row.baseline is not None),
        baseline_spent=sum(row.tally.clicks for row in known),
        failed=sum(row.tally.failed for row in rows),
        estimated=sum(estimates) / len(estimates) if estimates else None,
        true=sum(trues) / len(trues) if trues else None,
        with_truth=len(trues),
        labeled=min(1.0, sum(row.tally.pixels for row in rows) / pixels) if pixels else 0.0,
        waiting_since=min(since) if since else None,
    )


def people(work: Iterable[Work], reliabilities: Iterable[Mapping[str, Any]]) -> list[Person]:
    """Most answers first.

    work: by annotator;  reliabilities: per video the payload's `annotators` of its newest `reliability` event: for
    "pixels" and "choices", annotator -> (accuracy, how much was shared with others)
    """
    sums: dict[str, list[float]] = {}
    for found in reliabilities:
        for of_kind in found.values():
            for name, (accuracy, weight) in of_kind.items():
                total = sums.setdefault(name, [0.0, 0.0])
                total[0] += accuracy * weight
                total[1] += weight
    rows = []
    for one in work:
        right, weight = sums.get(one.annotator, [0.0, 0.0])
        rows.append(Person(one.annotator, one, right / weight if weight > 0 else None))
    return sorted(rows, key=lambda row: (-row.work.answers, row.name))


def add_work(parts: Iterable[Work]) -> Work:
    """The sum; video, day and annotator are left out."""
    total = Work("", "", "")
    for part in parts:
        total = Work("", "", "", **{name: getattr(total, name) + getattr(part, name) for name in Work.__slots__[3:]})
    return total


def per_answer(work: Work) -> float | None:
    """Seconds per annotation, skipped ones included, with the task open; None if no time was measured."""
    count = work.answers + work.skipped
    return work.seconds_ms / 1000 / count if count and work.seconds_ms else None
