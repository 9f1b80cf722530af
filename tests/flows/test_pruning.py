"""What is pruned nobody misses: two workers on one store, one in the middle of a step, and rounds that are over."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from connectors.memory import MemoryTool
from connectors.object_store import open_store
from flows import machine
from flows.context import Context
from flows.keeping import Keeping
from flows.machine import Outcome
from flows.packs import packs_of
from flows.projects import create_project
from flows.pruning import DAY_S, NoFiles, Pruned, prune, prune_store
from workspace.errors import LeaseLost, UserError
from workspace.facts import Facts
from workspace.layout import Layout
from workspace.video import Video

CLIP = "clip-0123456789"
Truth = Callable[[int], np.ndarray]


class Workers:
    """Two machines on the project of a context: its own folder, and an empty one; the facts are the first one's."""

    def __init__(self, template: Context, tool: MemoryTool) -> None:
        self.root, self.tool, self.config = template.layout.root, tool, template.config
        self.url = f"file://{self.root}-store"
        self._facts: list[Facts] = []

    def context(self, folder: Path) -> Context:
        keeping = Keeping(Layout(folder), open_store(self.url))
        self._facts.append(Facts.open(self.root / "fewclicks.db", keeping))
        return Context(Layout(folder), self.config, self._facts[-1], self.tool)

    def objects(self) -> set[str]:
        return {one.name for one in open_store(self.url).listed()}

    def prune(self, days: float, really: bool = True) -> list[Pruned]:
        """So many days from now."""
        with Facts.open(self.root / "fewclicks.db", NoFiles()) as facts:
            then = time.time() + days * DAY_S
            return list(prune_store(facts, open_store(self.url), 60.0, DAY_S, really, lambda: then))

    def close(self) -> None:
        for facts in self._facts:
            facts.close()


@pytest.fixture
def workers(make_context: Callable[..., Context], truth: Truth) -> Workers:
    tool = MemoryTool(answer=lambda question: truth(question.sample.frame))
    return Workers(make_context(tool, lease={"seconds": 1.0}), tool)


def masks(context: Context) -> dict[str, bytes]:
    model = context.facts.last_event(CLIP, "propagated").payload["model"]  # type: ignore[union-attr]
    return {path.name: path.read_bytes() for path in context.layout.masks(CLIP, model).glob("[0-9]*.png")}


def test_only_what_is_old_and_nobody_reads_again_goes(workers: Workers) -> None:
    first, second = workers.context(workers.root), workers.context(workers.root.with_name("second"))
    assert machine.advance(first, CLIP) is Outcome.DONE
    wanted, before = masks(first), workers.objects()
    stray = workers.root.with_name("stray")
    stray.write_bytes(b"of a worker that was killed before the facts")
    store = open_store(workers.url)
    for name in (f"{CLIP}/{'0' * 64}.zip", "gone-0123456789/1.zip"):
        store.put(name, stray, lambda: None)
    everything = workers.objects()

    assert workers.prune(days=0) == [Pruned(CLIP), Pruned("")]  # all of it is too young
    told = workers.prune(days=2, really=False)
    assert workers.objects() == everything
    assert workers.prune(days=2) == told
    # the probabilities of round 1, what no fact names, and what belongs to no video
    assert [(pruned.place, pruned.objects) for pruned in told] == [(CLIP, 2), ("", 1)]
    left = workers.objects()
    assert (left < before, len(before - left)) == (True, 1)
    packs = packs_of(event.payload for event in first.facts.events(CLIP, "kept"))
    assert {pack.name(CLIP) for pack in packs} == left
    assert workers.prune(days=2) == [Pruned(CLIP), Pruned("")]

    # both go on: who had the file stores it no second time, who comes new finds all that it needs
    for context in (first, second):
        lease = context.facts.claim(CLIP, 60)
        assert lease is not None
        lease.record([])
        lease.release()
        assert workers.objects() == left
        assert masks(context) == wanted
    workers.close()


def test_a_worker_that_is_about_to_name_a_pack_keeps_it(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = workers.context(workers.root), workers.context(workers.root.with_name("second"))
    tried: list[list[Pruned]] = []
    store_new = Keeping.keep

    def keep(self: Keeping, video: Video, beat: Callable[[], None], anew: bool = False) -> dict[str, Any] | None:
        payload = store_new(self, video, beat, anew)
        if payload is not None:  # stored, and not yet named by a fact
            tried.append(workers.prune(days=99))
        return payload

    monkeypatch.setattr(Keeping, "keep", keep)
    assert machine.advance(first, CLIP) is Outcome.DONE
    assert len(tried) > 6
    assert all(pruned == [Pruned(CLIP, skipped=True), Pruned("")] for pruned in tried)
    lease = second.facts.claim(CLIP, 60)
    assert lease is not None  # everything that the facts name is there
    lease.release()
    assert masks(second) == masks(first)
    workers.close()


def test_a_worker_that_was_frozen_can_name_nothing_that_was_pruned(workers: Workers) -> None:
    facts = workers.context(workers.root).facts
    stale = facts.claim(CLIP, 0.01)
    assert stale is not None
    stale._kept()  # stored; then it is frozen past its lease
    time.sleep(0.05)
    assert workers.prune(days=99)[0].objects == 1
    assert workers.objects() == set()
    with pytest.raises(LeaseLost):
        stale.record([])
    workers.close()


def test_a_project_on_one_disk_has_nothing_to_prune(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="lie in its folder only"):
        list(prune(create_project(tmp_path / "town", "town", ["a"], None), 0.0))
