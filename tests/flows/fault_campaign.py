"""Random faults against the real loop: several videos, two workers, simulated annotators. A program, not a test.

python tests/flows/fault_campaign.py --faults 200 --videos 8 --seed 0

Workers move the videos on while faults come at random instants: killed, frozen past the lease and woken, a full or
read-only disk, a locked database, a clock that is set, the labeling tool away, a third worker, half-written files,
files that are cut or have a bit flipped. When so many are through, the workers finish, and every video must be as it is
without any fault: same samples, same labels, byte-identical masks, nobody asked twice. Workspaces that are finished
early are begun anew. Prints the seed, a table, and "all as without faults", or exits with 1.

The disk's errors are put into the last step of every write and into every change of the database, the clock into
Python's time. What a disk damages the loop makes again; what it cannot, it holds the video for, and the operator (here
with a copy of every file that was damaged) puts it back. Damage that nobody has read must be told when it is read.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import hashlib
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

import workspace.files
from connectors.labeling_tool import Question
from connectors.memory import MemoryTool
from flows import machine
from flows.context import Context
from workspace.config import parse_config
from workspace.damage import DamagedFile
from workspace.errors import ToolUnavailable, UserError
from workspace.facts import Facts
from workspace.files import read_array, read_arrays, read_mask, read_rgb, read_undamaged, write_image
from workspace.layout import Layout
from workspace.states import Order, State
from workspace.video import Video

FRAMES, HEIGHT, WIDTH, LEASE_S = 8, 32, 48, 1.0
SETTINGS = {
    "project": {"name": "faults", "classes": ["ground", "box"]},
    "selection": {"budget": 2},
    "stopping": {"rounds": 2, "quality": None},
    "review": {"before_training": True},
    "segmenter": {"name": "compact", "weights": None},
    "propagation": {"decoder_steps": 3, "tuning_steps": 3},
    "lease": {"seconds": LEASE_S},
}
FLAGS = {"disk full": "full", "read-only disk": "readonly", "tool away": "away"}
DAMAGED = {"flow", "embeddings", "frames", "labels", "masks", "models", "probabilities", "reviews"}
KINDS = (
    "kill",
    "freeze",
    "disk full",
    "read-only disk",
    "database locked",
    "clock jump",
    "tool away",
    "third worker",
    "half-written file",
    "cut file",
    "flipped bit",
)
DISK = {"full": errno.ENOSPC, "readonly": errno.EROFS}
CHANGES = ("INSERT", "UPDATE", "DELETE", "CREATE", "ALTER")


def video(number: int) -> Video:
    return Video(f"clip{number}-0123456789", f"clip{number}", f"{number:064x}", FRAMES, WIDTH, HEIGHT, 10.0, ".png")


def truth(number: int, frame: int) -> np.ndarray:
    """A box that moves to the right over the ground, at another height in each video."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[2 + number : 18 + number, 4 + 3 * frame : 16 + 3 * frame] = 1
    return mask


def careless(number: int, frame: int) -> np.ndarray:
    """What the annotators say: every third frame is wrong, and then reviewed."""
    return 1 - truth(number, frame) if frame % 3 == 1 else truth(number, frame)


class Tool(MemoryTool):
    """Answers at once, unless `away` lies in its folder; those who label are careless, those who review are not."""

    def __init__(self, root: Path, name: str = "labels", says: Callable[[int, int], np.ndarray] = careless) -> None:
        super().__init__(root / f"{name}.db", lambda q: says(int(q.video[4 : q.video.index("-")]), q.sample.frame))
        self._away = root / "away"

    def push(self, questions: object, before_write: Callable[[], None]) -> int:
        self._look()
        return super().push(map(self._ask, questions), before_write)  # type: ignore[call-overload]

    def progress(self, keys: object) -> object:
        self._look()
        return super().progress(keys)  # type: ignore[arg-type]

    def _ask(self, question: Question) -> Question:
        self._look()  # in the middle of a push too
        return question

    def _look(self) -> None:
        if self._away.exists():
            raise ToolUnavailable("The labeling tool is away.", "Wait.")


def make_workspace(root: Path, videos: int) -> None:
    root.mkdir()
    layout = Layout(root)
    texture = np.random.default_rng(0).integers(0, 60, (HEIGHT, WIDTH, 3))
    with Facts.open(layout.database_file) as facts:
        for number in range(videos):
            for frame in range(FRAMES):
                picture = texture + 150 * truth(number, frame)[:, :, None] * np.array([1, 0, 0])
                write_image(layout.frame(video(number), frame), picture.astype(np.uint8))
            facts.add_video(video(number))
    Tool(root)
    Tool(root, "reviews", truth)


def work(root: Path, seed: int, seconds: float = 1800.0) -> int:
    """What a worker does, until every video is done: errors of the moment are tried again, as a schedule would."""
    break_disk(root)
    break_clock(root)
    order, deadline = random.Random(seed), time.monotonic() + seconds
    layout = Layout(root)
    while time.monotonic() < deadline:
        try:
            with Facts.open(layout.database_file) as facts:
                config, reviews = parse_config(SETTINGS, "campaign"), Tool(root, "reviews", truth)
                context = Context(layout, config, facts, Tool(root), reviews=reviews)
                rows = facts.videos()
                if all(row.state is State.DONE for row in rows):
                    return 0
                for row in order.sample(rows, len(rows)):
                    if row.hold is not None:  # three failures in a row: an operator looks, and lets it go on
                        put_back(root, row.video.id)
                        facts.order(row.video.id, Order.RETRY)
                    machine.advance(context, row.video.id)
        except Exception as error:
            known = isinstance(error, UserError | OperationalError) or getattr(error, "errno", 0) in DISK.values()
            if not known:  # two workers in one step, for instance
                with (root / "unexpected").open("a") as log:
                    log.write(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}\n")
        time.sleep(0.02)
    return 9


def break_disk(root: Path) -> None:
    """From now on no file appears in this process, and no fact, while a flag lies in the folder."""
    replace = os.replace

    def trouble(name: str) -> None:
        for flag, number in DISK.items():
            if (root / flag).exists():
                raise OSError(number, os.strerror(number), name)

    def guarded(source: str, target: str) -> None:
        trouble(str(target))
        replace(source, target)

    workspace.files.os.replace = guarded  # the last step of every write

    @event.listens_for(Engine, "before_cursor_execute")
    def _(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith(CHANGES):
            try:
                trouble("fewclicks.db")
            except OSError as error:
                raise OperationalError(statement, None, sqlite3.OperationalError(str(error))) from None


def break_clock(root: Path) -> None:
    """From now on this process sees the clock as the file `clock` says: so many seconds off."""
    right, offset = time.time, root / "clock"

    def now() -> float:
        with contextlib.suppress(OSError, ValueError):  # not there, or just being written
            return right() + float(offset.read_text())
        return right()

    time.time = now


def damaged_name(root: Path, path: Path) -> Path:
    return root / "as-it-was" / path.relative_to(root)


def put_back(root: Path, video: str) -> None:
    """What the operator does: files of the video that are there and not as they were come from the backup."""
    for copy in sorted((root / "as-it-was" / "videos" / video).rglob("*.*")):
        path = root / copy.relative_to(root / "as-it-was")
        if path.exists() and path.read_bytes() != copy.read_bytes():
            part = path.with_name(f".back.{os.getpid()}")
            shutil.copyfile(copy, part)
            os.rename(part, path)  # not as the product writes: the operator's disk has room


def unnoticed(root: Path) -> list[str]:
    """Damage that is still there and would be read as if it were right; the other is put back."""
    found = []
    for copy in sorted((root / "as-it-was").rglob("*.*")):
        path = root / copy.relative_to(root / "as-it-was")
        if path.is_file() and path.read_bytes() != copy.read_bytes():
            try:
                same = read(path) == read(copy)  # a bit of no meaning, such as a date in a zip
            except DamagedFile:
                same = True
            if not same:
                found.append(f"{path.relative_to(root)} is read though it is damaged")
    for folder in (root / "videos").iterdir():
        put_back(root, folder.name)
    return found


def read(path: Path) -> bytes:
    if path.suffix == ".npy":
        return read_array(path).tobytes()
    if path.suffix == ".npz":
        return b"".join(array.tobytes() for _, array in sorted(read_arrays(path).items()))
    return read_undamaged(path) if path.suffix != ".png" else read_mask_or_frame(path)


def read_mask_or_frame(path: Path) -> bytes:
    return (read_rgb(path) if path.parent.name == "frames" else read_mask(path)).tobytes()


def started(root: Path, seed: int) -> int:
    """Process id of a new worker."""
    child = os.fork()
    if child:
        return child
    try:
        os._exit(work(root, seed))
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)


def ended(child: int) -> bool:
    return os.waitpid(child, os.WNOHANG)[0] == child


def kill(child: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child, 0)


@dataclass
class Campaign:
    """One workspace under fire. `frozen`: worker -> when it wakes."""

    root: Path
    chance: random.Random
    workers: list[int] = field(default_factory=list)
    frozen: dict[int, float] = field(default_factory=dict)
    until: dict[Path, float] = field(default_factory=dict)

    def fault(self, kind: str) -> None:
        if kind == "kill":
            child = self.chance.choice(self.workers)
            kill(child)
            self.frozen.pop(child, None)
            self.workers[self.workers.index(child)] = started(self.root, self.chance.randrange(2**31))
        elif kind == "freeze":
            child = self.chance.choice(self.workers)
            os.kill(child, signal.SIGSTOP)
            self.frozen[child] = time.monotonic() + LEASE_S * self.chance.uniform(0.5, 2.0)
        elif kind in FLAGS:
            flag = self.root / FLAGS[kind]
            flag.touch()
            self.until[flag] = time.monotonic() + self.chance.uniform(0.05, 0.5)
        elif kind == "database locked":
            with (
                contextlib.closing(sqlite3.connect(self.root / "fewclicks.db", timeout=5)) as connection,
                contextlib.suppress(sqlite3.OperationalError),  # a frozen worker has the lock
            ):
                connection.execute("BEGIN IMMEDIATE")
                time.sleep(self.chance.uniform(0.05, 0.4))
                connection.rollback()
        elif kind == "clock jump":
            jump = self.chance.choice([-86_400.0, -60.0, -2.0, 2.0, 60.0, 86_400.0])
            (self.root / "clock").write_text(str(jump))
        elif kind == "third worker":
            if len(self.workers) > 4:  # or a busy machine has a hundred in the end
                oldest = self.workers.pop(0)
                kill(oldest)
                self.frozen.pop(oldest, None)
            self.workers.append(started(self.root, self.chance.randrange(2**31)))
        elif kind in ("cut file", "flipped bit"):
            self.damage(kind)
        else:
            place = self.root / "videos" / self.chance.choice(os.listdir(self.root / "videos")) / "masks"
            place.mkdir(exist_ok=True)
            (place / f".left.{self.chance.randrange(10**6)}.part").write_bytes(b"half")

    def damage(self, kind: str) -> None:
        """In one file that is complete; a copy of it is kept, as a backup would have it."""
        there = [
            path
            for path in sorted((self.root / "videos").rglob("*.*"))
            if path.suffix in (".npy", ".npz", ".png", ".pt")
            and path.relative_to(self.root).parts[2] in DAMAGED
            and not path.name.startswith(".")
        ]
        with contextlib.suppress(OSError):  # it has just been removed
            path = self.chance.choice(there)
            data, copy = path.read_bytes(), damaged_name(self.root, path)
            if not copy.exists():
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(data)
            with path.open("r+b") as file:
                at = self.chance.randrange(len(data))
                if kind == "cut file":
                    file.truncate(at)
                else:
                    file.seek(at)
                    file.write(bytes([data[at] ^ 1 << self.chance.randrange(8)]))

    def settle(self, everything: bool = False) -> None:
        """End what has lasted long enough; workers that have ended are replaced unless all is done."""
        now = float("inf") if everything else time.monotonic()
        for child in [child for child, wakes in self.frozen.items() if wakes <= now]:
            os.kill(child, signal.SIGCONT)
            del self.frozen[child]
        for flag in [flag for flag, ends in self.until.items() if ends <= now]:
            flag.unlink()
            del self.until[flag]

    def is_done(self) -> bool:
        self.workers = [child for child in self.workers if child in self.frozen or not ended(child)]
        with Facts.open(Layout(self.root).database_file) as facts:
            return all(row.state is State.DONE for row in facts.videos())


def outcome(root: Path, number: int) -> dict[str, object]:
    """What must not depend on any fault."""
    layout, name = Layout(root), video(number).id
    with Facts.open(layout.database_file) as facts:
        labels = list(facts.events(name, "label"))
        model = facts.last_event(name, "propagated")
        digest = hashlib.sha256()
        for path in sorted(layout.masks(name, model.payload["model"]).glob("[0-9]*.png")) if model else ():
            digest.update(path.name.encode() + path.read_bytes())
        return {
            "state": facts.video(name).state.value,
            "selected": [event.payload["samples"] for event in facts.events(name, "selected")],
            "labels": sorted((e.round, e.payload["sample"], e.payload["known_pixels"]) for e in labels),
            "lost": [e.payload["file"] for e in labels if not (layout.video(name) / e.payload["file"]).exists()],
            "masks": digest.hexdigest(),
            "reviewed": [(e.round, e.payload["frame"], e.payload["verdict"]) for e in facts.events(name, "reviewed")],
            "asked": {
                key: times
                for tool in (Tool(root), Tool(root, "reviews", truth))
                for key, times in tool.times_asked().items()
                if key.startswith(f"{name}/")
            },
        }


def run(folder: Path, faults: int, videos: int, seed: int) -> tuple[Counter[str], int, list[str]]:
    """Faults by kind, workspaces, and what came out otherwise than without faults."""
    chance = random.Random(seed)
    reference = folder / "reference"
    make_workspace(reference, videos)
    child = started(reference, 0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
        return Counter(), 0, ["the run without faults did not finish"]
    wanted = [outcome(reference, number) for number in range(videos)]
    done: Counter[str] = Counter()
    wrong: list[str] = []
    rounds = 0
    while sum(done.values()) < faults:
        rounds += 1
        root = folder / f"workspace{rounds}"
        make_workspace(root, videos)
        campaign = Campaign(root, chance)
        campaign.workers = [started(root, chance.randrange(2**31)) for _ in range(2)]
        try:
            while sum(done.values()) < faults and not campaign.is_done() and campaign.workers:
                kind = chance.choice(KINDS)
                campaign.fault(kind)
                done[kind] += 1
                time.sleep(chance.uniform(0.0, 0.3))
                campaign.settle()
            campaign.settle(everything=True)
            finisher = started(root, 0)
            code = os.waitstatus_to_exitcode(os.waitpid(finisher, 0)[1])
            if code != 0:
                wrong.append(f"workspace {rounds}: it did not finish ({code})")
        finally:
            for flag in FLAGS.values():
                (root / flag).unlink(missing_ok=True)
            for worker in campaign.workers:
                kill(worker)
        unexpected = root / "unexpected"
        if unexpected.exists():
            wrong += [f"workspace {rounds}: {line}" for line in unexpected.read_text().splitlines()]
        wrong += [f"workspace {rounds}: {line}" for line in unnoticed(root)]
        for number, expected in enumerate(wanted):
            found = outcome(root, number)
            wrong += [f"workspace {rounds}, video {number}: {key}" for key in expected if found[key] != expected[key]]
        shutil.rmtree(root)
    for number, expected in enumerate(wanted):
        if expected["lost"] or set(expected["asked"].values()) != {1}:  # type: ignore[attr-defined]
            wrong.append(f"reference, video {number}")
    return done, rounds, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--videos", type=int, default=8, choices=range(1, 13))
    parser.add_argument("--seed", type=int, default=None, help="default: a new one, which is printed")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    torch.set_num_threads(1)  # a forked process must not inherit a thread pool
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fewclicks-faults-") as folder:
        done, rounds, wrong = run(Path(folder), options.faults, options.videos, seed)
    print(f"{'fault':<20} times")
    for kind in KINDS:
        print(f"{kind:<20} {done[kind]:>5}")
    print(
        f"{sum(done.values())} faults, {rounds} workspaces of {options.videos} videos, {time.monotonic() - began:.0f} s"
    )
    print("\n".join(wrong) if wrong else "all as without faults")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
