"""Sums kept beside the log are those that the log itself gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from workspace.facts import Facts, NewEvent
from workspace.migrations import MIGRATIONS, migrate
from workspace.tallies import Tally, recount
from workspace.video import Video

VIDEOS = [Video(f"{name}-0123456789", name, name * 64, 9, 8, 8, 25.0, ".png") for name in "ab"]


def label(sample: str, annotation: str, skipped: bool, clicks: int) -> NewEvent:
    payload = {"sample": sample, "annotation": annotation, "skipped": skipped, "clicks": {"correcting": clicks}}
    return NewEvent("label", payload)


def test_what_the_sums_are(open_facts: Callable[[], Facts]) -> None:
    with open_facts() as facts:
        for video in VIDEOS:
            facts.add_video(video)
        video = VIDEOS[0].id
        assert (facts.tallies(), facts.tally(video)) == ({}, Tally())
        facts.append(video, 1, NewEvent("selected", {"samples": ["f000000", "f000001", "f000002"]}))
        assert facts.tally(video) == Tally(asked=3)
        facts.append(video, 1, label("f000000", "1", True, 0))
        assert facts.tally(video) == Tally(asked=3, skipped=1)
        facts.append(video, 1, label("f000000", "2", False, 7))  # somebody else did not skip it
        assert facts.tally(video) == Tally(asked=3, labeled=1, clicks=7)
        facts.append(video, 1, label("f000000", "2", False, 4))  # and corrected it: the last version counts
        assert facts.tally(video) == Tally(asked=3, labeled=1, clicks=4)
        facts.append(video, 2, label("f000000", "2", False, 5))  # another round is another question
        facts.append(video, 1, NewEvent("withdrawn", {"sample": "f000001"}, dedupe="w"))
        facts.append(video, 1, NewEvent("withdrawn", {"sample": "f000001"}, dedupe="w"))  # dropped by the log
        assert facts.tallies() == {video: Tally(asked=3, labeled=2, withdrawn=1, clicks=9)}
        before = facts.tallies()
        with facts._engine.begin() as connection:
            recount(connection)
        assert facts.tallies() == before


ANSWERS = st.tuples(
    st.just("label"), st.sampled_from("ab"), st.sampled_from("12"), st.booleans(), st.integers(0, 9), st.integers(1, 2)
)
OTHERS = st.tuples(st.sampled_from(["selected", "withdrawn", "moved"]), st.integers(0, 3))


@settings(max_examples=50, deadline=None)
@given(events=st.lists(st.tuples(st.sampled_from([0, 1]), st.one_of(ANSWERS, OTHERS)), max_size=25))
def test_one_by_one_they_come_to_the_same_as_all_at_once(events: list) -> None:
    engine = create_engine("sqlite://")  # in memory: nobody waits for the disk
    migrate(engine)
    with Facts(engine) as facts:
        for video in VIDEOS:
            facts.add_video(video)
        for which, (kind, *rest) in events:
            if kind == "label":
                sample, annotation, skipped, clicks, number = rest
                facts.append(VIDEOS[which].id, number, label(sample, annotation, skipped, clicks))
            else:
                facts.append(VIDEOS[which].id, 1, NewEvent(kind, {"samples": ["x"] * rest[0]}))
        counted = facts.tallies()
        with engine.begin() as connection:
            recount(connection)
        assert facts.tallies() == counted


def test_a_project_from_before_gets_its_sums(tmp_path: Path) -> None:
    """The first migration only, then this program."""
    engine = create_engine(f"sqlite:///{tmp_path / 'fewclicks.db'}")
    migrate(engine, MIGRATIONS[:1])
    with engine.begin() as connection:
        for clicks in (5, 3):
            payload = label("f0", "1", False, clicks).payload
            connection.execute(
                text("INSERT INTO event (at, video, round, kind, payload) VALUES (0, 'a', 1, 'label', :p)"),
                {"p": json.dumps(payload)},
            )
    engine.dispose()
    with Facts.open(tmp_path / "fewclicks.db") as facts:
        assert facts.tally("a") == Tally(labeled=1, clicks=3)


def test_the_queries_of_a_long_log_use_an_index(tmp_path: Path) -> None:
    """At ten million events a scan takes seconds; a plan needs no events to be seen."""
    queries = [
        "SELECT * FROM event WHERE id > 5 AND video = 'x' ORDER BY id LIMIT 1000",
        "SELECT * FROM event WHERE id > 5 AND video = 'x' AND kind = 'y' ORDER BY id LIMIT 1000",
        "SELECT * FROM event WHERE video = 'x' AND kind = 'y' ORDER BY id DESC LIMIT 1",
        "SELECT COUNT(*) FROM answer WHERE video = 'x' AND round = 1 AND sample = 's'",
    ]
    with Facts.open(tmp_path / "fewclicks.db") as facts, facts._engine.begin() as connection:
        for query in queries:
            plan = [row[3] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {query}"))]
            assert len(plan) == 1, plan  # no sorting
            assert "video=?" in plan[0], plan
