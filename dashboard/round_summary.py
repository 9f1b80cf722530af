"""The rounds of a video: what was asked and answered, what it cost, what came of it, how long each step took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from workspace.facts import Event
from workspace.sample import Sample
from workspace.states import State
from workspace.tallies import Tally, Work

# all that a round leaves in the log but its labels
KINDS = ("moved", "selected", "pushed", "withdrawn", "fitted", "propagated", "scored", "failed", "agreement")

PEOPLE = (State.WAITING, State.REVIEWING)  # the states in which people are waited for


@dataclass(frozen=True, slots=True)
class Round:
    """One round. Clicks are modelled; `clicks` is what correcting the shown prediction costs.

    frames: that were asked about, in whole or in part;  steps: state -> seconds spent in it, waiting included
    estimated, true: mIoU of its masks, 0 to 1, None where unknown;  at: when its masks were ready, or its last event
    disagreement: mean over the samples that several people answered, 0 to 1
    """

    number: int
    asked: int = 0
    labeled: int = 0
    skipped: int = 0
    withdrawn: int = 0
    clicks: int = 0
    drawing: int = 0
    seconds: float = 0.0
    counted: int = 0
    counted_clicks: int = 0
    counted_seconds: float = 0.0
    frames: tuple[int, ...] = ()
    granularity: str = ""
    strategy: str = ""
    seed: int | None = None
    model: str = ""
    estimated: float | None = None
    true: float | None = None
    disagreement: float | None = None
    failures: int = 0
    pushed_at: float | None = None
    at: float = 0.0
    steps: Mapping[State, float] = field(default_factory=dict)

    @property
    def people(self) -> float | None:
        """Seconds in which people were waited for, to answer or to look again; None before they were asked."""
        waits = [self.steps[state] for state in PEOPLE if state in self.steps]
        return sum(waits) if waits else None

    @property
    def computing(self) -> float:
        """Seconds in all other steps."""
        return sum(self.steps.values()) - (self.people or 0.0)

    @property
    def open(self) -> int:
        """Samples without any answer."""
        return max(0, self.asked - self.labeled - self.skipped - self.withdrawn)


def summarize_rounds(
    events: Iterable[Event], answers: Mapping[int, tuple[Tally, Work]], now: float | None = None
) -> list[Round]:
    """One per round from 1 on.

    events: of one video, of `KINDS`, in the order of the log;  answers: as `Facts.rounds` gives them
    now: until when the present step counts; None to count only steps that are over
    """
    rounds: dict[int, Round] = {}
    steps: dict[int, dict[State, float]] = {}
    judged: dict[int, list[float]] = {}
    present: tuple[int, State, float] | None = None
    for event in events:
        if event.kind == "moved":
            if present is not None:
                _spend(steps, *present, event.at)
            present = int(event.payload["round"]), State(event.payload["to"]), event.at
        if event.round < 1:
            continue
        found = rounds.get(event.round) or Round(event.round)
        rounds[event.round] = replace(_with(found, event), at=event.at) if event.kind != "scored" else found
        if event.kind == "scored":
            rounds[event.round] = replace(found, true=event.payload.get("miou"))
        if event.kind == "agreement" and not event.payload.get("asked_more"):
            judged.setdefault(event.round, []).append(float(event.payload["disagreement"]))
    if present is not None and now is not None and present[1] is not State.DONE:
        _spend(steps, *present, now)
    for number, (tally, work) in answers.items():
        if number < 1:
            continue
        rounds[number] = replace(
            rounds.get(number) or Round(number),
            labeled=tally.labeled,
            skipped=tally.skipped,
            clicks=tally.clicks,
            drawing=work.drawing,
            seconds=work.seconds_ms / 1000,
            counted=work.counted,
            counted_clicks=work.counted_clicks,
            counted_seconds=work.counted_ms / 1000,
        )
    return [
        replace(
            rounds[number],
            steps=steps.get(number, {}),
            disagreement=sum(judged[number]) / len(judged[number]) if number in judged else None,
        )
        for number in sorted(rounds)
    ]


def _with(found: Round, event: Event) -> Round:
    payload = event.payload
    if event.kind == "selected":
        keys = payload.get("samples", ())
        frames = sorted({*found.frames, *(Sample.parse(key).frame for key in keys)})
        return replace(
            found,
            asked=found.asked + len(keys),
            frames=tuple(frames),
            granularity=str(payload.get("granularity", "")),
            strategy=str(payload.get("strategy", "")),
            seed=payload.get("seed"),
        )
    if event.kind == "pushed":
        return replace(found, pushed_at=event.at)
    if event.kind == "withdrawn":
        return replace(found, withdrawn=found.withdrawn + 1)
    if event.kind == "propagated":
        return replace(found, model=str(payload["model"]), estimated=payload.get("estimated_miou"))
    if event.kind == "failed":
        return replace(found, failures=found.failures + 1)
    return found


def _spend(steps: dict[int, dict[State, float]], number: int, state: State, since: float, until: float) -> None:
    of_round = steps.setdefault(number, {})
    of_round[state] = of_round.get(state, 0.0) + max(0.0, until - since)
