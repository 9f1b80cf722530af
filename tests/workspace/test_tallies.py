"""Sums kept beside the log are those that the log itself gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from workspace.facts import Facts, NewEvent
from workspace.migrations import MIGRATIONS, migrate
from workspace.recounting import recount
from workspace.tallies import Tally, Work
from workspace.video import Video

VIDEOS = [Video(f"{name}-0123456789", name, name * 64, 9, 8, 8, 25.0, ".png") for name in "ab"]


def label(sample: str, annotation: str, skipped: bool, clicks: int, **more: object) -> NewEvent:
    payload = {"sample": sample, "annotation": annotation, "skipped": skipped, "clicks": {"correcting": clicks}}
    return NewEvent("label", payload | more)


def everything(facts: Facts) -> tuple[object, ...]:
    every = ("video", "day", "annotator")
    with facts._engine.begin() as connection:
        spent = [tuple(row) for row in connection.execute(text("SELECT * FROM spent ORDER BY video, round"))]
    return facts.tallies(), facts.work(every), [facts.rounds(video.id) for video in VIDEOS], spent


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


def test_how_many_samples_of_the_present_round_are_answered(open_facts: Callable[[], Facts]) -> None:
    with open_facts() as facts:
        for video in VIDEOS:
            facts.add_video(video)
        one, other = VIDEOS[0].id, VIDEOS[1].id
        with facts._engine.begin() as connection:
            connection.execute(text("UPDATE video SET state = 'waiting', round = 2"))
        for event in (label("f0", "1", False, 3), label("f0", "2", True, 0), label("f1", "3", True, 0)):
            facts.append(one, 2, event)
        facts.append(one, 1, label("f5", "4", False, 3))  # of another round
        facts.append(other, 1, label("f5", "5", False, 3))
        assert facts.answered_now() == {one: 2}
        with facts._engine.begin() as connection:
            connection.execute(text("UPDATE video SET state = 'fitting'"))
        assert facts.answered_now() == {}


def test_the_work_of_a_day_follows_a_correction_to_another_day_and_person(open_facts: Callable[[], Facts]) -> None:
    def answer(day: str, who: str, drawing: int, correcting: int, **more: object) -> NewEvent:
        payload = {"sample": more.pop("sample", "f000000"), "annotation": "1", "annotator": who, "skipped": False}
        clicks = {"drawing": drawing, "correcting": correcting}
        return NewEvent("label", payload | {"finished_at": f"{day}T10:00:00Z", "clicks": clicks} | more)

    with open_facts() as facts:
        for video in VIDEOS:
            facts.add_video(video)
        one, other = VIDEOS[0].id, VIDEOS[1].id
        facts.append(one, 1, answer("2026-01-01", "anna", 20, 20, seconds=1.5, known_pixels=64))
        facts.append(one, 1, answer("2026-01-02", "ben", 30, 7, seconds=2.25, known_pixels=60))  # the same annotation
        counted = {"clicks": 9, "active_seconds": 1.0}
        facts.append(other, 1, answer("2026-01-03", "anna", 5, 5, sample="f000001.p0-0-4-4", effort=counted))
        ben = Work(one, "2026-01-02", "ben", 1, 0, 30, 7, 2250, frames=1, frame_drawing=30)
        anna = Work(other, "2026-01-03", "anna", 1, 0, 5, 5, 0, 1, 9, 1000)
        gone = Work(one, "2026-01-01", "anna")  # nothing of it is left
        assert facts.work(("video", "day", "annotator")) == [gone, ben, anna]
        assert facts.work(("annotator",), first="2026-01-02") == [
            replace(anna, video="", day=""),
            replace(ben, video="", day=""),
        ]
        assert facts.work(("day",), video=one, last="2026-01-01") == [replace(gone, video="", annotator="")]
        assert facts.work(first="2027-01-01") == []
        assert (facts.tally(one).pixels, facts.tally(other).pixels) == (60, 0)
        assert facts.rounds(one) == {1: (Tally(labeled=1, clicks=7, pixels=60), replace(ben, day="", annotator=""))}
        assert facts.rounds(one, after=2) == {}


def test_failures_and_the_newest_of_a_kind(open_facts: Callable[[], Facts]) -> None:
    with open_facts() as facts:
        for video in VIDEOS:
            facts.add_video(video)
            for turn in (1, 2, 3):
                facts.append(video.id, turn, NewEvent("failed", {"error": f"{turn}"}))
        assert [(e.video, e.round) for e in facts.failures(2)] == [(VIDEOS[1].id, 3), (VIDEOS[1].id, 2)]
        assert {video: e.round for video, e in facts.newest("failed").items()} == {v.id: 3 for v in VIDEOS}
        assert facts.newest("done") == {}
        assert facts.tally(VIDEOS[0].id) == Tally(failed=3)


ANSWERS = st.tuples(
    st.just("label"),
    st.sampled_from("ab"),
    st.sampled_from("12"),
    st.booleans(),
    st.integers(0, 9),
    st.integers(1, 2),
    st.fixed_dictionaries(
        {},
        optional={
            "annotator": st.sampled_from(["anna", "ben"]),
            "finished_at": st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-02 10:00:00.5+00:00", "soon", "", None]),
            "seconds": st.sampled_from([0.001, 1.5, 2.0]),
            "known_pixels": st.integers(0, 64),
            "effort": st.sampled_from([None, {"clicks": 3, "active_seconds": 1.25}]),
        },
    ),
)
OTHERS = st.tuples(st.sampled_from(["selected", "withdrawn", "moved", "failed", "agreement"]), st.integers(0, 3))


@settings(max_examples=25, deadline=None)
@given(events=st.lists(st.tuples(st.sampled_from([0, 1]), st.one_of(ANSWERS, OTHERS)), max_size=25))
def test_one_by_one_they_come_to_the_same_as_all_at_once(events: list) -> None:
    engine = create_engine("sqlite://")  # in memory: nobody waits for the disk
    migrate(engine)
    with Facts(engine) as facts:
        for video in VIDEOS:
            facts.add_video(video)
        for which, (kind, *rest) in events:
            if kind == "label":
                sample, annotation, skipped, clicks, number, more = rest
                facts.append(VIDEOS[which].id, number, label(sample, annotation, skipped, clicks, **more))
            else:
                payload = {"samples": ["x"] * rest[0], "disagreement": rest[0] / 8, "asked_more": rest[0] == 2}
                facts.append(VIDEOS[which].id, 1, NewEvent(kind, payload))
        counted = everything(facts)
        for by in (("video",), ("day",), ("annotator",), ()):  # sums kept are those of the rows below them
            kept = [row for row in facts.work(by) if row.drawing or row.answers or row.skipped]
            one_by_one = [facts.work(("day", "annotator"), video.id) for video in VIDEOS]
            assert sum(row.drawing for row in kept) == sum(row.drawing for rows in one_by_one for row in rows)
            assert sum(row.answers for row in kept) == sum(row.answers for rows in one_by_one for row in rows)
            assert kept == [row for row in facts.work(by, first="0") if row.drawing or row.answers or row.skipped]
        with engine.begin() as connection:
            recount(connection)
        assert [row for row in everything(facts)[1] if row.drawing or row.answers or row.skipped] == [
            row for row in counted[1] if row.drawing or row.answers or row.skipped
        ]  # a day whose last annotation moved to another keeps a row of zeros
        found = everything(facts)
        assert (found[0], *found[2:]) == (counted[0], *counted[2:])


def test_either_database_recounts_what_was_counted_one_by_one(open_facts: Callable[[], Facts]) -> None:
    days = ["2026-01-01T00:00:00Z", "2026-01-02 10:00:00.5+00:00", "soon", "", None]
    with open_facts() as facts:
        for video in VIDEOS:
            facts.add_video(video)
        for number in range(60):
            video, payload = VIDEOS[number % 2].id, {"samples": ["x"] * (number % 4), "disagreement": number / 100}
            more = {"finished_at": days[number % 5], "seconds": number / 8 + 0.0005, "known_pixels": number}
            more |= {"annotator": "anna", "effort": {"clicks": 3, "active_seconds": 1.25}} if number % 3 else {}
            more |= {"source": "imported"} if number % 11 == 0 else {}
            answer = label(f"f00000{number % 3}", str(number % 4), number % 7 == 0, number, **more)
            facts.append(video, 1 + number % 2, answer)
            for kind in ("selected", "withdrawn", "agreement", "failed", "moved"):
                facts.append(video, 1, NewEvent(kind, payload | {"asked_more": number % 5 == 0}))
        facts.append(None, 0, NewEvent("failed", {}))
        facts.append(VIDEOS[0].id, 1, NewEvent("label", {"known_pixels": 3}))  # of nothing
        counted = everything(facts)
        with facts._engine.begin() as connection:
            recount(connection)
        found = everything(facts)
        assert (found[0], *found[2:]) == (counted[0], *counted[2:])
        assert found[1] == [row for row in counted[1] if row.answers or row.skipped]
        assert found[0][VIDEOS[0].id].judged == 24


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
        "SELECT * FROM work WHERE video = 'x' AND day >= '2026-01-01'",
    ]
    with Facts.open(tmp_path / "fewclicks.db") as facts, facts._engine.begin() as connection:
        for query in queries:
            plan = [row[3] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {query}"))]
            assert len(plan) == 1, plan  # no sorting
            assert "video=?" in plan[0], plan
