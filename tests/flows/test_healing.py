"""Files that a disk damages between two steps: made again as they were, or told; the result is that without damage."""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from connectors.memory import MemoryTool
from connectors.simulated_annotator import simulated_annotator
from flows import machine
from flows.context import Context
from flows.healing import heal
from flows.machine import Outcome
from workspace.damage import DamagedFile
from workspace.facts import Facts, Lease
from workspace.layout import Layout
from workspace.states import Hold, Order, State

CLIP = "clip-0123456789"
Make = Callable[..., Context]
Truth = Callable[[int], np.ndarray]


def masks(context: Context) -> str:
    model = context.facts.last_event(CLIP, "propagated")
    assert model is not None
    files = sorted(context.layout.masks(CLIP, model.payload["model"]).glob("*.png"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def damaging(before: State, round_number: int, *patterns: str) -> machine.RunStep:
    """Flips a bit in every file of each pattern (of flow in the last), before the first attempt at a step."""
    left = list(patterns)

    def step(state: State, do: Callable[[Context, Lease], bool], context: Context, lease: Lease) -> bool:
        if state is before and lease.round == round_number:
            while left:
                files = sorted(context.layout.video(CLIP).glob(left.pop()))
                assert files
                for path in files[-1:] if files[0].suffix == ".npy" else files:
                    data = bytearray(path.read_bytes())
                    data[len(data) // 2] ^= 4
                    path.write_bytes(data)
        return do(context, lease)

    return step


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "round_number", "patterns"),
    [
        # the masks that are shown to people, and what the next choice is made of
        (State.PUSHING, 2, ["masks/*/*.png"]),
        (State.SELECTING, 2, ["probabilities/*/*.npz", "flow/*/*.npy"]),
        (State.FITTING, 2, ["flow/*/*.npy"]),
    ],
)
def test_what_can_be_made_again_is(
    before: State, round_number: int, patterns: list[str], make_context: Make, truth: Truth
) -> None:
    context = make_context(MemoryTool(answer=lambda q: truth(q.sample.frame)), selection={"strategy": "uncertainty"})
    assert machine.advance(context, CLIP, damaging(before, round_number, *patterns)) is Outcome.DONE
    healed = [event.payload["file"] for event in context.facts.events(CLIP, "healed")]
    assert {file.split("/")[0] for file in healed} == {pattern.split("/")[0] for pattern in patterns}
    assert context.facts.tally(CLIP).failed == 0
    found = masks(context)
    # the same without damage, in a workspace of its own
    assert found == undamaged_result(context, truth)


def undamaged_result(context: Context, truth: Truth) -> str:
    layout = Layout(context.layout.root / "again")
    shutil.copytree(context.layout.video(CLIP) / "frames", layout.video(CLIP) / "frames")
    with Facts.open(layout.database_file) as facts:
        facts.add_video(context.facts.video(CLIP).video)
        tool = MemoryTool(answer=lambda q: truth(q.sample.frame))
        again = replace(context, layout=layout, facts=facts, tool=tool)
        machine.advance(again, CLIP)
        return masks(again)


def test_a_damaged_label_or_frame_is_told_and_goes_on_once_it_is_back(make_context: Make, truth: Truth) -> None:
    context = make_context(MemoryTool(answer=lambda q: truth(q.sample.frame)), stopping={"rounds": 1, "quality": None})
    kept: dict[Path, bytes] = {}

    def step(state: State, do: Callable[[Context, Lease], bool], _: Context, lease: Lease) -> bool:
        if state is State.FITTING and not kept:
            for pattern in ("labels/*.png", "frames/*"):
                path = sorted(context.layout.video(CLIP).glob(pattern))[0]
                kept[path] = path.read_bytes()
                path.write_bytes(kept[path][:-9])
        return do(context, lease)

    for _ in range(3):
        with pytest.raises(DamagedFile, match=r"is damaged: .*backup"):
            machine.advance(context, CLIP, step)
    assert context.facts.video(CLIP).hold is Hold.FAILED
    for path, data in kept.items():
        path.write_bytes(data)
    context.facts.order(CLIP, Order.RETRY)
    assert machine.advance(context, CLIP, step) is Outcome.DONE


@pytest.mark.slow
def test_a_damaged_file_stays_until_another_takes_its_place(
    make_context: Make, truth: Truth, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = make_context(MemoryTool(answer=simulated_annotator(lambda _, frame: truth(frame))))
    assert machine.advance(context, CLIP) is Outcome.DONE
    path = sorted(context.layout.video(CLIP).glob("probabilities/*/*.npz"))[0]
    path.write_bytes(path.read_bytes()[:-10])

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr("flows.learning.complete", full)
    lease = context.facts.claim(CLIP, 60)
    assert lease is not None
    with pytest.raises(OSError, match="no space"):
        heal(context, lease, path)
    assert path.exists()  # gone, it would be missing to whoever comes next, and never be made again
