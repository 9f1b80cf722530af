"""What is remembered of a listing: little is read again, and nothing is missed, also what becomes visible late."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.label_studio import listings
from connectors.label_studio.client import TaskRow
from connectors.label_studio.excerpts import KEY
from connectors.label_studio.listings import Listings

TASKS, DELAY_S = 200, 100.0  # a change becomes visible so much later at most; OVERLAP is 120 s


class Server:
    """Tasks whose changes have a time, and become visible some time after it."""

    def __init__(self) -> None:
        self.now = 1_000_000.5
        self.tasks = {number: (TaskRow(number, {KEY: f"v/1/{number}"}, False), 0.0) for number in range(TASKS)}
        self.changes: list[tuple[float, float, int]] = []  # visible at, time of it, task
        self.read = 0

    def change(self, number: int, delay: float) -> None:
        self.changes.append((self.now + delay, self.now, number))

    def show(self) -> None:
        for visible, at, number in sorted(self.changes):
            if visible <= self.now:
                people = (*self.tasks[number][0].annotators, len(self.tasks[number][0].annotators) + 1)
                row = TaskRow(number, self.tasks[number][0].data, True, people)
                self.tasks[number] = row, max(at, self.tasks[number][1])
        self.changes = [change for change in self.changes if change[0] > self.now]

    def list_tasks(self, client: Any, project: int, prefix: str | None = None, since: str = "") -> list[TaskRow]:
        rows = [
            TaskRow(row.id, {**row.data, "image": "x"}, row.finished, row.annotators, row.overlap, written(at))
            for row, at in self.tasks.values()
            if written(at) >= since
        ]
        self.read += len(rows)
        return rows

    def count_tasks(self, client: Any, project: int, prefix: str | None = None, answered: bool = False) -> int:
        return sum(row.finished or not answered for row, _ in self.tasks.values())


def written(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()
    monkeypatch.setattr(listings, "each_task", made.list_tasks)
    monkeypatch.setattr(listings, "count_tasks", made.count_tasks)
    monkeypatch.setattr(listings.time, "time", lambda: made.now)
    monkeypatch.setattr(listings, "FULL_LOOK_S", 1e9)
    return made


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_missed_however_late_it_becomes_visible(seed: int, server: Server, tmp_path: Path) -> None:
    chance = random.Random(seed)
    kept = Listings(tmp_path, "http://x")
    for _ in range(300):
        server.now += chance.choice([0.3, 15.0, 15.0, 200.0]) + chance.random()
        for _ in range(chance.randrange(3)):
            server.change(chance.randrange(TASKS), chance.uniform(0.0, DELAY_S))
        server.show()
        assert kept.rows(None, 1, "v/1/") == [row for row, _ in server.tasks.values()]
    assert server.read < 300 * TASKS / 4


def test_a_round_in_which_nothing_happens_is_not_read_again(server: Server, tmp_path: Path) -> None:
    for number in range(TASKS):  # pushed within seconds
        server.tasks[number] = server.tasks[number][0], server.now - 5 + number / 100
    kept = Listings(tmp_path, "http://x")
    for _ in range(12):
        kept.rows(None, 1, "v/1/")
        server.now += 15
    server.read = 0
    for _ in range(10):
        server.now += 15
        assert len(Listings(tmp_path, "http://x").rows(None, 1, "v/1/")) == TASKS  # another process knows it too
    assert server.read <= 10  # the last change itself, each time


def test_tasks_that_come_and_go_in_equal_number_are_seen(server: Server, tmp_path: Path) -> None:
    kept = Listings(tmp_path, "http://x")
    kept.rows(None, 1, "v/1/")
    del server.tasks[3]
    server.now += 1
    server.tasks[TASKS] = TaskRow(TASKS, {KEY: "v/1/new"}, False), server.now
    assert [row.id for row in kept.rows(None, 1, "v/1/")] == [*range(3), *range(4, TASKS + 1)]


def test_a_damaged_file_costs_one_listing_and_keys_narrow_it(server: Server, tmp_path: Path) -> None:
    rows = Listings(tmp_path, "http://x").rows(None, 1, "v/1/")
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    broken = [whole[:cut] for cut in (0, 20, whole.index(b"v/1/9"), whole.rindex(b"[", 0, -20), len(whole) - 3)]
    for content in (*broken, whole.replace(b"v/1/77", b"v/1/7w"), b"x"):
        file.write_bytes(content)
        server.read = 0
        assert Listings(tmp_path, "http://x").rows(None, 1, "v/1/") == rows
        assert server.read == TASKS
    some = Listings(tmp_path, "http://x").rows(None, 1, "v/1/", {"v/1/7", "v/1/150", "else"})
    assert [row.id for row in some] == [7, 150]
