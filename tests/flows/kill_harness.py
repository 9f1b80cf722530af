"""Runs the real loop in real processes that kill themselves with SIGKILL at a chosen instant. A program, not a test.

python tests/flows/kill_harness.py FOLDER kill|freeze  prints one JSON line per attempt. Every attempt is a process of
its own, forked from this one so that torch is loaded once. A "point" is an instant just before or after something
becomes durable (a file's rename, a database commit, a question reaching the tool) or a sign of life inside a step.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

import workspace.files
from connectors.labeling_tool import Question
from connectors.memory import MemoryTool
from flows import machine
from flows.context import Context
from flows.steps import Step
from workspace.config import parse_config
from workspace.facts import Facts, Lease
from workspace.files import write_image
from workspace.layout import Layout
from workspace.states import State
from workspace.video import Video

FRAMES, HEIGHT, WIDTH = 8, 32, 48
SETTINGS = {
    "project": {"name": "killed", "classes": ["ground", "box"]},
    "selection": {"budget": 2},
    "stopping": {"rounds": 2, "quality": None},
    "segmenter": {"name": "compact", "weights": None},
    "propagation": {"decoder_steps": 3, "tuning_steps": 3},
    "lease": {"seconds": 1.0},
}
VIDEO = Video("clip-0123456789", "clip", "0123456789" * 6 + "abcd", FRAMES, WIDTH, HEIGHT, 10.0, ".png")


def truth(index: int) -> np.ndarray:
    """A box that moves to the right over the ground."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[8:24, 4 + 3 * index : 16 + 3 * index] = 1
    return mask


def make_workspace(root: Path) -> None:
    layout = Layout(root)
    texture = np.random.default_rng(0).integers(0, 60, (HEIGHT, WIDTH, 3))
    for index in range(FRAMES):
        frame = texture + 150 * truth(index)[:, :, None] * np.array([1, 0, 0])
        write_image(layout.frame(VIDEO, index), frame.astype(np.uint8))
    facts = Facts.open(layout.database_file)
    facts.add_video(VIDEO)
    facts.close()


class Points:
    """Counts the instants of a run; at the chosen one it acts."""

    def __init__(self, chosen: int | None, act: Callable[[], None]) -> None:
        self.names: list[str] = []
        self.state = "start"
        self._chosen, self._act = chosen, act

    def __call__(self, name: str) -> None:
        self.names.append(f"{self.state}: {name}")
        if len(self.names) - 1 == self._chosen:
            self._act()


class WatchedTool(MemoryTool):
    def __init__(self, path: Path, points: Points) -> None:
        self._points = lambda name: None  # making the tables is not an instant of the loop
        super().__init__(path, self._truth)
        self._points = points

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with super()._transaction() as connection:
            yield connection
            self._points("before a write of the tool")
        self._points("after a write of the tool")

    @staticmethod
    def _truth(question: Question) -> np.ndarray:
        return truth(question.sample.frame)


def run(root: Path, points: Points) -> str:
    """The loop until it is done, with `points` at every instant."""
    layout = Layout(root)

    def watch(owner: type | object, name: str, what: str) -> None:
        original = getattr(owner, name)

        def watched(*arguments: object, **named: object) -> object:
            points(f"before {what}")
            result = original(*arguments, **named)
            points(f"after {what}")
            return result

        setattr(owner, name, watched)

    watch(workspace.files.os, "replace", "a file's rename")
    watch(Lease, "commit", "a commit")
    watch(Lease, "record", "a record")
    facts = Facts.open(layout.database_file)
    config = parse_config(SETTINGS, "harness")
    context = Context(layout, config, facts, WatchedTool(root / "tool.db", points), lambda what, _: points(what))

    def step(state: State, do: Step, context: Context, lease: Lease) -> bool:
        points.state = state.value
        return do(context, lease)

    return machine.advance(context, VIDEO.id, step).value


def in_child(work: Callable[[], int]) -> int:
    """Process id of a fork that does `work` and exits with its result."""
    child = os.fork()
    if child:
        return child
    try:
        os._exit(work())
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)


def run_to_the_end(root: Path, points: Points) -> int:
    return 0 if run(root, points) == "done" else 9


def finish(root: Path) -> int:
    """Start again, as an operator or a schedule would, until it is done."""
    for _ in range(3):
        child = in_child(partial(run_to_the_end, root, Points(None, lambda: None)))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code != 9:
            return code
    return 9


def outcome(root: Path) -> dict[str, object]:
    """What must not depend on when somebody was killed."""
    layout = Layout(root)
    facts = Facts.open(layout.database_file)
    row = facts.video(VIDEO.id)
    selected = [event.payload["samples"] for event in facts.events(VIDEO.id, "selected")]
    labels = sorted(
        (event.round, event.payload["sample"], event.payload["known_pixels"])
        for event in facts.events(VIDEO.id, "label")
    )
    model = facts.last_event(VIDEO.id, "propagated").payload["model"]
    digest = hashlib.sha256()
    for path in sorted(layout.masks(VIDEO.id, model).glob("*.png")):
        digest.update(path.name.encode() + path.read_bytes())
    missing = [
        event.payload["file"]
        for event in facts.events(VIDEO.id, "label")
        if not (layout.video(VIDEO.id) / event.payload["file"]).exists()
    ]
    facts.close()
    with contextlib.closing(sqlite3.connect(root / "tool.db")) as connection:
        asked = dict(connection.execute("SELECT key, COUNT(*) FROM asked GROUP BY key").fetchall())
        tasks = connection.execute("SELECT COUNT(*) FROM task").fetchone()[0]
    stray = [str(p.relative_to(root)) for p in root.rglob("*") if ".part" in p.name or "scratch" in p.name]
    return {
        "state": row.state.value,
        "selected": selected,
        "labels": labels,
        "labels_missing": missing,
        "masks": digest.hexdigest(),
        "masks_count": len(list(layout.masks(VIDEO.id, model).glob("[0-9]*.png"))),
        "asked": asked,
        "tasks": tasks,
        "stray": stray,
    }


def fresh(template: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(template, target)
    return target


def kill(folder: Path, every: int) -> None:
    template = folder / "template"
    make_workspace(template)
    reference = fresh(template, folder / "reference")
    names_file = folder / "points.json"

    def count() -> int:
        points = Points(None, lambda: None)
        result = run(reference, points)
        names_file.write_text(json.dumps(points.names))
        return 0 if result == "done" else 1

    code = os.waitstatus_to_exitcode(os.waitpid(in_child(count), 0)[1])
    names = json.loads(names_file.read_text()) if code == 0 else []
    print(json.dumps({"reference": outcome(reference), "points": len(names), "exit": code}), flush=True)
    for number in chosen(names, every):
        root = fresh(template, folder / "killed")
        killed = Points(number, lambda: os.kill(os.getpid(), signal.SIGKILL))
        died = os.waitstatus_to_exitcode(os.waitpid(in_child(partial(run_to_the_end, root, killed)), 0)[1])
        again = finish(root)
        result = outcome(root) if again == 0 else None
        print(json.dumps({"point": names[number], "died": died, "again": again, "outcome": result}), flush=True)


def chosen(names: list[str], every: int) -> list[int]:
    """Every commit and write of the tool, the first and last instant of each kind in each step, and some between."""
    always = {n for n, name in enumerate(names) if "commit" in name or "of the tool" in name}
    for kind in set(names):
        places = [n for n, name in enumerate(names) if name == kind]
        always |= {places[0], places[-1]}
    return sorted(always | set(range(0, len(names), every)))


def freeze(folder: Path) -> None:
    """A process sleeps past its lease inside a push; another does the round; the sleeper wakes."""
    make_workspace(folder / "template")
    names_file = folder / "points.json"
    root = fresh(folder / "template", folder / "reference")

    def count() -> int:
        points = Points(None, lambda: None)
        run(root, points)
        names_file.write_text(json.dumps(points.names))
        return 0

    os.waitpid(in_child(count), 0)
    names = json.loads(names_file.read_text())
    print(json.dumps({"reference": outcome(root)}), flush=True)
    # inside a write of the stand-in its database is locked, and the other process could only wait for the sleeper
    steps = "pushing", "pulling", "fitting", "propagating"
    places = [n for n, name in enumerate(names) if name.startswith(steps) and "before a write" not in name]
    for number in places[:: max(len(places) // 12, 1)]:
        root = fresh(folder / "template", folder / "frozen")
        stopped = Points(number, lambda: os.kill(os.getpid(), signal.SIGSTOP))
        sleeper = in_child(partial(run_to_the_end, root, stopped))
        assert os.WIFSTOPPED(os.waitpid(sleeper, os.WUNTRACED)[1])
        time.sleep(1.1)  # the lease is over
        again = finish(root)
        os.kill(sleeper, signal.SIGCONT)
        woken = os.waitstatus_to_exitcode(os.waitpid(sleeper, 0)[1])
        print(
            json.dumps({"point": names[number], "woken": woken, "again": again, "outcome": outcome(root)}), flush=True
        )


if __name__ == "__main__":
    torch.set_num_threads(1)  # a forked process must not inherit a thread pool
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    if sys.argv[2] == "kill":
        kill(target, int(sys.argv[3]))
    else:
        freeze(target)
