"""The facts in each of the databases that they may lie in."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workspace.facts import Facts


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """How another process opens them, as an expression in Python."""
    if request.param == "sqlite":
        return f"Facts.open(Path({str(tmp_path / 'fewclicks.db')!r}))"
    address = request.getfixturevalue("postgres_server")
    return f"Facts.connect({address!r}, 'test_{uuid.uuid4().hex[:12]}')"


@pytest.fixture
def open_elsewhere(database: str) -> str:
    return database


@pytest.fixture
def open_facts(database: str) -> Iterator[Callable[[], Facts]]:
    opened: list[Facts] = []

    def make() -> Facts:
        opened.append(eval(database, {"Facts": Facts, "Path": Path}))
        return opened[-1]

    yield make
    for facts in opened:
        facts.close()
