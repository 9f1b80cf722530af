"""Two folders on one project: what one worker leaves the other finds, and a stale one spoils nothing."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from connectors.memory import MemoryTool
from connectors.object_store import open_store
from flows import machine
from flows.context import Context
from flows.keeping import Keeping
from flows.machine import Outcome
from flows.packs import Pack, needed, packs_of, payload_of, unit_of
from workspace.config import parse_config
from workspace.errors import LeaseLost, UserError
from workspace.facts import Facts, NewEvent
from workspace.layout import Layout
from workspace.states import State
from workspace.video import Video

SETTINGS = {
    "project": {"classes": ["ground", "box"]},
    "selection": {"budget": 2},
    "stopping": {"rounds": 2, "quality": None},
    "segmenter": {"name": "compact", "weights": None},
    "propagation": {"decoder_steps": 3, "tuning_steps": 3},
    "lease": {"seconds": 1.0},
}
CACHES = {"flow", "embeddings", "scratch", ".kept"}


class Machines:
    """Folders of several machines on one project, with the labeling tool and the facts that they share."""

    def __init__(self, root: Path, template: Context) -> None:
        self.root, self.store = root, root / "store"
        self.video = template.facts.videos()[0].video
        self.tool = MemoryTool(root / "people.db")
        self._open: list[Facts] = []
        shutil.copytree(template.layout.videos, root / "a" / "videos")
        facts = self.facts("a")
        assert facts.add_video(self.video)

    def facts(self, name: str) -> Facts:
        layout = Layout(self.root / name)
        keeping = Keeping(layout, open_store(f"file://{self.store}"))
        self._open.append(Facts.open(self.root / "facts.db", keeping))
        return self._open[-1]

    def context(self, name: str) -> Context:
        return Context(Layout(self.root / name), parse_config(SETTINGS, "test"), self.facts(name), self.tool)

    def files(self, name: str) -> dict[str, bytes]:
        folder = self.root / name / "videos" / self.video.id
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.relative_to(folder).parts[0] not in CACHES
        }

    def close(self) -> None:
        for facts in self._open:
            facts.close()


@pytest.fixture
def machines(tmp_path: Path, make_context: Callable[..., Context]) -> Iterator[Machines]:
    found = Machines(tmp_path / "machines", make_context(MemoryTool()))
    yield found
    found.close()


def stop_before(state: State) -> machine.RunStep:
    """Runs the steps before a state; then the process is as good as dead."""

    def run(now: State, step: machine.Step, context: Context, lease: object) -> bool:
        if now is state:
            raise KeyboardInterrupt
        return step(context, lease)  # type: ignore[arg-type]

    return run


def test_another_machine_takes_over_in_the_middle_and_makes_the_same_masks(
    machines: Machines, make_context: Callable[..., Context], truth: Callable[[int], np.ndarray]
) -> None:
    video = machines.video.id
    alone = make_context(MemoryTool(answer=lambda q: truth(q.sample.frame)))
    assert machine.advance(alone, video) is Outcome.DONE
    a, b = machines.context("a"), machines.context("b")
    assert not (machines.root / "b").exists()
    assert machine.advance(a, video) is Outcome.WAITING
    machines.tool.play(lambda q: truth(q.sample.frame))
    with pytest.raises(KeyboardInterrupt):
        machine.advance(a, video, stop_before(State.PROPAGATING))
    before = machines.files("b")
    assert machine.advance(b, video) is Outcome.WAITING  # round 2
    machines.tool.play(lambda q: truth(q.sample.frame))
    assert before == {}
    assert machine.advance(machines.context("a"), video) is Outcome.DONE
    lease = b.facts.claim(video, 1.0)
    assert lease is not None
    lease.release()
    model = b.facts.last_event(video, "propagated").payload["model"]  # type: ignore[union-attr]
    ours, theirs = machines.files("b"), machines.files("a")
    masks = [name for name in ours if name.startswith(f"masks/{model}/")]
    assert len(masks) == machines.video.frames
    assert all(ours[name] == theirs[name] for name in ours if name.split("/")[0] not in ("masks", "models"))
    its = alone.facts.last_event(video, "propagated").payload["model"]  # type: ignore[union-attr]
    expected = [path.read_bytes() for path in sorted(alone.layout.masks(video, its).glob("*.png"))]
    assert [ours[name] for name in masks] == expected
    assert set(machines.tool.times_asked().values()) == {1}
    # what is computed again is not stored
    units = {pack.unit.split("/")[0] for e in b.facts.events(video, "kept") for pack in packs_of([e.payload])}
    assert units == {"others", "masks", "probabilities", "models", "frame-errors"}


def test_a_worker_that_lost_its_lease_changes_nothing(machines: Machines) -> None:
    a, b, video = machines.facts("a"), machines.facts("b"), machines.video
    stale = a.claim(video.id, 0.01)
    assert stale is not None
    path = Layout(machines.root / "a").model(video.id, "0123")
    path.parent.mkdir()
    path.write_bytes(b"of a machine that was frozen")
    time.sleep(0.05)
    lease = b.claim(video.id, 5.0)
    assert lease is not None
    other = Layout(machines.root / "b").model(video.id, "0123")
    other.parent.mkdir()
    other.write_bytes(b"of the one that took over")
    lease.record([])
    with pytest.raises(LeaseLost):
        stale.record([])
    lease.release()
    assert a.claim(video.id, 5.0) is not None  # its own file of that name gives way to what the facts speak of
    assert path.read_bytes() == b"of the one that took over"
    assert len(packs_of(e.payload for e in a.events(video.id, "kept"))) == 2


def test_what_a_machine_had_begun_stays_unless_another_has_worked(machines: Machines) -> None:
    a, video = machines.facts("a"), machines.video
    begun = Layout(machines.root / "a").masks(video.id, "0123") / "000000.png"
    for others in (False, True):
        lease = a.claim(video.id, 5.0)
        assert lease is not None
        lease.release()
        begun.parent.mkdir(parents=True, exist_ok=True)
        begun.write_bytes(b"the first frame of a propagation that was killed")
        if others:
            lease = machines.facts("b").claim(video.id, 5.0)
            assert lease is not None
            label = Layout(machines.root / "b").labels(video.id) / "r01.png"
            label.parent.mkdir()
            label.write_bytes(b"label")
            lease.record([])
            lease.release()
        lease = a.claim(video.id, 5.0)
        assert lease is not None
        lease.release()
        assert begun.exists() is not others


def test_a_pack_is_stored_before_the_facts_and_forgotten_if_they_never_came(machines: Machines) -> None:
    a, video = machines.facts("a"), machines.video
    lease = a.claim(video.id, 5.0)
    assert lease is not None
    label = Layout(machines.root / "a").labels(video.id) / "r01.png"
    label.parent.mkdir()
    label.write_bytes(b"label")
    lease._kept()  # killed here: stored, and no fact names it
    assert len(list(machines.store.rglob("*.zip"))) == 2
    lease.release()
    again = a.claim(video.id, 5.0)
    assert again is not None
    assert not label.exists()  # the step is done again
    label.write_bytes(b"label")
    again.record([])
    again.record([])  # nothing new
    assert len(packs_of(e.payload for e in a.events(video.id, "kept"))) == 2


def swapped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("harm", "told"),
    [(Path.unlink, "is missing"), (swapped, "is damaged"), (lambda path: path.write_bytes(b""), "is damaged")],
)
def test_a_lost_or_damaged_pack_is_told_and_stored_anew(
    machines: Machines, harm: Callable[[Path], object], told: str
) -> None:
    video = machines.video
    (pack,) = machines.store.rglob("*.zip")
    harm(pack)
    b = machines.facts("b")
    for _ in range(2):
        with pytest.raises(UserError, match=told):
            b.claim(video.id, 5.0)
        assert b.video(video.id).owner is None
    assert machines.files("b") == {}
    # a machine that has the files needs no pack, and stores them again
    layout = Layout(machines.root / "a")
    keeping = Keeping(layout, open_store(f"file://{machines.store}"))
    with Facts.open(machines.root / "facts.db", keeping) as facts:
        lease = facts.claim(video.id, 5.0)
        assert lease is not None
        payload = keeping.keep(video, lease.beat, anew=True)
        assert payload is not None
        lease.record([NewEvent("kept", payload)])
        lease.release()
    lease = b.claim(video.id, 5.0)
    assert lease is not None
    assert machines.files("b") == machines.files("a")


def test_frames_that_are_nowhere_are_told(machines: Machines, tmp_path: Path) -> None:
    other = Video("clip-9999999999", "clip", "f" * 64, 3, 48, 32, 10.0, ".png")
    with Facts.open(machines.root / "facts.db") as local:
        local.add_video(other)  # before workspace.remote was set
    b = machines.facts("b")
    with pytest.raises(UserError, match="neither here nor in workspace"):
        b.claim(other.id, 5.0)
    assert b.video(other.id).owner is None


def test_only_the_newest_of_a_kind_is_needed() -> None:
    def pack(unit: str, name: str) -> Pack:
        return Pack(unit, name * 64, 1, 1)

    first = [pack("others", "1"), pack("models/a", "2"), pack("masks/a", "3"), pack("probabilities/a", "4")]
    then = [pack("others", "5"), pack("models/b", "6")]
    packs = packs_of([payload_of(first), payload_of(then)])
    assert packs == first + then
    assert needed(packs) == [first[0], first[2], first[3], *then]
    assert packs_of([payload_of(first), payload_of(then, anew=True)]) == then
    assert [unit_of(n) for n in ("frames/000000.jpg", "masks/a/000000.png", "models/a.pt", "labels/r.png")] == [
        "others", "masks/a", "models/a.pt", "others",
    ]  # fmt: skip
