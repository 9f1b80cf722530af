"""The rounds of a log written by hand."""

from __future__ import annotations

import pytest

from dashboard.charts import shortened, step_seconds
from dashboard.round_summary import Round, summarize_rounds
from workspace.facts import Event
from workspace.states import State
from workspace.tallies import Tally, Work


def log(*rows: tuple[float, int, str, dict]) -> list[Event]:
    return [Event(n, at, "v", number, kind, payload) for n, (at, number, kind, payload) in enumerate(rows, start=1)]


LOG = log(
    (100, 0, "moved", {"from": "ready", "to": "selecting", "round": 1}),
    (103, 1, "selected", {"samples": ["f000004", "f000002"], "strategy": "uniform", "granularity": "frame", "seed": 7}),
    (103, 1, "moved", {"from": "selecting", "to": "pushing", "round": 1}),
    (105, 1, "pushed", {"samples": ["f000004", "f000002"]}),
    (105, 1, "moved", {"from": "pushing", "to": "waiting", "round": 1}),
    (150, 1, "agreement", {"sample": "f000004", "disagreement": 0.4, "opinions": 2, "asked_more": True}),
    (160, 1, "agreement", {"sample": "f000004", "disagreement": 0.2, "opinions": 3, "asked_more": False}),
    (165, 1, "moved", {"from": "waiting", "to": "pulling", "round": 1}),
    (165, 1, "moved", {"from": "pulling", "to": "fitting", "round": 1}),
    (170, 1, "failed", {"state": "fitting", "error": "no memory"}),
    (195, 1, "moved", {"from": "fitting", "to": "propagating", "round": 1}),
    (205, 1, "propagated", {"model": "a" * 16, "estimated_miou": 0.8}),
    (205, 1, "moved", {"from": "propagating", "to": "selecting", "round": 2}),
    (206, 1, "scored", {"miou": 0.75}),
    (215, 2, "selected", {"samples": ["f000004.p0-0-4-4"]}),
)
ANSWERS = {1: (Tally(labeled=1, skipped=1, clicks=9), Work("v", "", "", 1, 1, 20, 9, 4500, 1, 11, 2000))}


def test_each_step_is_timed_and_counted() -> None:
    first, second = summarize_rounds(LOG, ANSWERS, now=220.0)
    assert first == Round(
        1, asked=2, labeled=1, skipped=1, clicks=9, drawing=20, seconds=4.5, counted=1, counted_clicks=11,
        counted_seconds=2.0, frames=(2, 4), granularity="frame", strategy="uniform", seed=7, model="a" * 16,
        estimated=0.8, true=0.75, disagreement=0.2, failures=1, pushed_at=105, at=205,
        steps={
            State.SELECTING: 3, State.PUSHING: 2, State.WAITING: 60, State.PULLING: 0, State.FITTING: 30,
            State.PROPAGATING: 10,
        },
    )  # fmt: skip
    assert (first.open, second.open) == (0, 1)
    assert second.steps == {State.SELECTING: 15}  # until now: it is not over


def test_the_present_step_counts_only_when_asked_for() -> None:
    assert summarize_rounds(LOG, ANSWERS)[1].steps == {}
    done = log((1, 0, "moved", {"to": "selecting", "round": 1}), (3, 1, "moved", {"to": "done", "round": 1}))
    (only,) = summarize_rounds(done, {}, now=100.0)
    assert only.steps == {State.SELECTING: 2}


def test_an_empty_log_has_no_rounds() -> None:
    assert summarize_rounds([], {}) == []


@pytest.mark.parametrize("withdrawn", [0, 1, 2])
def test_open_is_what_nobody_answered_or_withdrew(withdrawn: int) -> None:
    events = log(
        (1, 1, "selected", {"samples": ["f000000", "f000001"]}),
        *((2, 1, "withdrawn", {"sample": f"f00000{n}"}) for n in range(withdrawn)),
    )
    assert summarize_rounds(events, {})[0].open == 2 - withdrawn


def test_reviews_are_time_of_people() -> None:
    found = Round(1, steps={State.WAITING: 100.0, State.REVIEWING: 50.0, State.FITTING: 30.0, State.PULLING: 1.0})
    assert (found.people, found.computing) == (150.0, 31.0)
    assert (Round(1, steps={State.SELECTING: 2.0}).people, Round(1).computing) == (None, 0.0)
    drawn = {bar["name"]: bar["y"] for bar in step_seconds([found])["data"]}
    assert (drawn["people"], drawn["reviews"]) == ([100 / 60], [50 / 60])


def test_long_names_stay_apart() -> None:
    long = "an.annotator.with.a.long.name@one.example.com"
    names = shortened([long, "ben", long.replace("@one", "@two"), long + "m"])
    assert len(set(names)) == 4
    assert max(map(len, names)) <= 28
    assert names[1] == "ben"
