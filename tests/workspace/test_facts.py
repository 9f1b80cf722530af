"""The database of facts: append-only, and moved only by whoever holds the lease."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from workspace import owners
from workspace.errors import LeaseLost, UserError
from workspace.facts import Facts, Lease, NewEvent
from workspace.states import MOVES, State
from workspace.video import Video, video_id

VIDEO = Video("clip-0123456789", "Clip", "0123456789" * 6 + "abcd", 10, 64, 48, 25.0, ".png")


@pytest.fixture
def facts(open_facts: Callable[[], Facts]) -> Facts:
    facts = open_facts()
    facts.add_video(VIDEO)
    return facts


def claim(facts: Facts, seconds: float = 60) -> Lease:
    lease = facts.claim(VIDEO.id, seconds)
    assert lease is not None
    return lease


def test_a_video_comes_back_as_it_went_in(facts: Facts) -> None:
    row = facts.video(VIDEO.id)
    assert row.video == VIDEO
    assert (row.state, row.round, row.seq, row.owner) == (State.READY, 0, 0, None)
    assert facts.find_sha256(VIDEO.sha256) == VIDEO
    assert facts.find_sha256("other") is None


def test_the_same_video_is_not_added_twice(facts: Facts) -> None:
    assert not facts.add_video(VIDEO)
    assert len(facts.videos()) == 1
    assert [event.kind for event in facts.events(VIDEO.id)] == ["added"]


def test_an_unknown_video_is_a_user_error(facts: Facts) -> None:
    with pytest.raises(UserError, match="no video 'nowhere'"):
        facts.video("nowhere")


def test_only_one_process_holds_a_lease(facts: Facts) -> None:
    first = claim(facts)
    assert facts.claim(VIDEO.id, 60) is None
    first.release()
    claim(facts)


def test_an_expired_lease_can_be_taken_and_the_sleeper_is_fenced_off(facts: Facts) -> None:
    sleeper = claim(facts, seconds=0.05)
    time.sleep(0.1)
    taker = claim(facts)
    for write in (
        sleeper.check,
        lambda: sleeper.commit(State.SELECTING, 1),
        lambda: sleeper.record([NewEvent("label", {})]),
    ):
        with pytest.raises(LeaseLost):
            write()
    sleeper.release()  # gives nothing away that is not his
    taker.commit(State.SELECTING, 1)
    assert facts.video(VIDEO.id).state is State.SELECTING
    assert not list(facts.events(VIDEO.id, "label"))


def test_an_expired_lease_that_nobody_took_is_still_good(facts: Facts) -> None:
    lease = claim(facts, seconds=1)
    time.sleep(1.1)
    lease.check()
    assert facts.claim(VIDEO.id, 60) is None


def test_the_lease_of_a_killed_process_is_taken_at_once(facts: Facts, open_elsewhere: str) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from workspace.facts import Facts\n"
        f"facts = {open_elsewhere}\n"
        f"assert facts.claim({VIDEO.id!r}, 3600) is not None\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == -9
    claim(facts)


def test_who_is_dead() -> None:
    here = owners.new_owner()
    machine, _pid, created, token = here.rsplit("/", 3)
    assert not owners.is_dead(here)
    assert owners.is_dead(f"{machine}/{os.getpid()}/{float(created) - 100}/{token}")  # the number was used again
    assert owners.is_dead(f"{machine}/4194303/{created}/{token}")
    assert not owners.is_dead(f"elsewhere/1/2/4194303/{created}/{token}")  # nobody can know
    assert not owners.is_dead("nonsense")


def test_a_commit_moves_the_state_and_appends_the_facts_together(facts: Facts) -> None:
    lease = claim(facts)
    lease.commit(State.SELECTING, 1)
    lease.commit(State.PUSHING, 1, [NewEvent("selected", {"samples": ["f000001"]})])
    row = facts.video(VIDEO.id)
    assert (row.state, row.round, row.seq) == (State.PUSHING, 1, 2)
    assert [event.kind for event in facts.events(VIDEO.id)] == ["added", "moved", "selected", "moved"]
    assert facts.last_event(VIDEO.id, "selected").payload == {"samples": ["f000001"]}


def test_a_lease_from_before_the_clock_was_set_back_keeps_nobody_out(facts: Facts) -> None:
    old = claim(facts)
    assert facts.claim(VIDEO.id, 60) is None
    with facts._engine.begin() as connection:  # as if the clock had been a day ahead when it was taken
        connection.execute(text("UPDATE video SET lease_until = lease_until + 86400"))
    assert facts.claim(VIDEO.id, 60) is not None
    with pytest.raises(LeaseLost):
        old.check()


def test_an_illegal_move_is_refused(facts: Facts) -> None:
    lease = claim(facts)
    with pytest.raises(ValueError, match="cannot go from ready to done"):
        lease.commit(State.DONE, 1)
    assert facts.video(VIDEO.id).state is State.READY


def test_every_state_can_be_left_and_reached() -> None:
    assert set(MOVES) == set(State)
    assert set().union(*MOVES.values()) == set(State) - {State.READY}


def test_a_fact_with_the_same_key_is_appended_once(facts: Facts) -> None:
    assert facts.append(VIDEO.id, 1, NewEvent("label", {"n": 1}, dedupe="a"))
    assert not facts.append(VIDEO.id, 1, NewEvent("label", {"n": 2}, dedupe="a"))
    lease = claim(facts)
    assert lease.record([NewEvent("label", {}, dedupe="a"), NewEvent("label", {}, dedupe="b")]) == 1
    assert [event.payload for event in facts.events(VIDEO.id, "label")] == [{"n": 1}, {}]


def test_the_log_is_append_only(facts: Facts) -> None:
    for statement in ("UPDATE event SET kind = 'x'", "DELETE FROM event"):
        with pytest.raises(IntegrityError, match="append-only"), facts._engine.begin() as connection:
            connection.execute(text(statement))


def test_many_processes_append_in_one_order_and_claim_once(facts: Facts, open_elsewhere: str) -> None:
    """Each writes 40 labels, all of the same 40 keys; and tries to take the lease."""
    program = (
        "from pathlib import Path; from workspace.facts import Facts, NewEvent\n"
        f"facts = {open_elsewhere}\n"
        f"print(facts.claim({VIDEO.id!r}, 60) is not None)\n"
        "payload = {'sample': 'f000001', 'annotation': '1', 'skipped': False, 'clicks': {'correcting': 2}}\n"
        "for n in range(40):\n"
        f"    facts.append({VIDEO.id!r}, n, NewEvent('label', payload, dedupe=str(n)))\n"
        "import time; time.sleep(5)"
    )
    place = Path(__file__).parents[2]
    many = [
        subprocess.Popen([sys.executable, "-c", program], cwd=place, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    told = [process.communicate()[0].strip() for process in many]
    assert sorted(told) == ["False", "False", "True"]
    assert len(list(facts.events(VIDEO.id, "label"))) == 40
    tally = facts.tally(VIDEO.id)
    assert (tally.labeled, tally.clicks) == (40, 80)
    assert facts.tallies() == {VIDEO.id: tally}


def test_a_time_keeps_its_fractions_and_a_day_is_found(facts: Facts) -> None:
    before = time.time() - 1
    facts.append(VIDEO.id, 1, NewEvent("label", {"n": 1}))
    (event,) = facts.events_since(before, "label")
    assert abs(event.at - time.time()) < 60
    assert event.at != round(event.at)  # not rounded to what four bytes hold
    assert facts.events_since(time.time() + 60, "label") == []


def test_events_are_read_in_pages(facts: Facts) -> None:
    with facts._engine.begin() as connection:
        connection.execute(
            text("INSERT INTO event (at, round, kind, payload) VALUES (0, 1, 'many', :p)"),
            [{"p": f'{{"n": {n}}}'} for n in range(2500)],
        )
    assert [event.payload["n"] for event in facts.events(kind="many")] == list(range(2500))


def test_a_database_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fewclicks.db"
    Facts.open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO schema_version VALUES (99, 0)")
    connection.close()
    with pytest.raises(UserError, match=r"version 99.*newer fewclicks"):
        Facts.open(path)


def test_a_file_that_is_no_database_is_a_user_error(tmp_path: Path) -> None:
    path = tmp_path / "fewclicks.db"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(UserError, match=r"cannot be used: file is not a database"):
        Facts.open(path)


def test_video_ids_are_slugs_and_never_leave_their_folder() -> None:
    assert video_id("../../etc/Passwd ☃.mp4", "ab" * 32) == "etc-passwd-mp4-ababababab"
    assert video_id("☃", "ab" * 32) == "video-ababababab"
    with pytest.raises(ValueError, match="not a slug"):
        Video("../x", "x", "0", 1, 1, 1, 1.0, ".png")
