"""Random kills of real servers under `fewclicks up`, while simulated annotators answer. A program, not a test.

PYTHONPATH=. python tests/end_to_end/stack_campaign.py --faults 40 --videos 8 --seed 0

One project with its facts in PostgreSQL (`--sqlite`: in a file) is run by the real `fewclicks up`: Label Studio, a
Prefect server with the project's tick, a Prefect worker, the flow runs that it starts. Each of them is killed with -9
at random instants, flow runs are also frozen past their lease and woken, and `up` itself is killed and started again.
Everything must end as the same loop does alone, without Prefect, servers and faults: same samples, same labels,
byte-identical masks, each question in Label Studio once. Prints the seed, a table, and "all as without faults", or
exits with 1. A project that is finished early is begun anew.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import yaml

from connectors.label_studio.annotator import LabelStudioAnnotator
from connectors.label_studio.client import connected, list_tasks
from connectors.label_studio.excerpts import KEY
from connectors.label_studio.server import LabelStudioServer, running_server
from connectors.labeling_tool import Question
from connectors.memory import MemoryTool
from flows.adding import add_video
from flows.context import Context
from flows.projects import create_project
from tests.postgres_fixture import PostgresServer, postgres_programs
from workspace.config import ClassConfig
from workspace.errors import UserError
from workspace.facts import Facts
from workspace.files import write_image
from workspace.layout import Layout
from workspace.states import Hold, State

FRAMES, HEIGHT, WIDTH, LEASE_S = 6, 32, 48, 2.0
CLASSES = ("ground", "box")
SETTINGS: dict[str, dict[str, Any]] = {
    "selection": {"budget": 2},
    "stopping": {"rounds": 2, "quality": None},
    "segmenter": {"name": "compact", "weights": None},
    "propagation": {"decoder_steps": 3, "tuning_steps": 3, "threads": 1},
    "lease": {"seconds": LEASE_S},
}
KINDS = (
    "flow run",
    "flow run frozen",
    "Prefect server",
    "worker",
    "server and worker",
    "Label Studio",
    "up",
    "PostgreSQL",
)
PATIENCE_S = 900.0  # so long nothing may move, on a busy machine


def truth(number: int, frame: int) -> np.ndarray:
    """A box that moves to the right over the ground, at another height in each video."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[2 + number : 18 + number, 4 + 3 * frame : 16 + 3 * frame] = 1
    return mask


def answer(question: Question) -> np.ndarray:
    return truth(int(question.video_name), question.sample.frame)


def make_project(root: Path, videos: int, database: str | None, clips: Path) -> Layout:
    """database: of the facts; None: a file of the project"""
    layout = create_project(root, "faults", CLASSES, None)
    values = yaml.safe_load(layout.config_file.read_text())
    for section, changed in SETTINGS.items():
        values[section] |= changed
    values["facts"] |= {"database": database, "schema_name": f"s_{root.name}"}
    layout.config_file.write_text(yaml.safe_dump(values))
    texture = np.random.default_rng(0).integers(0, 60, (HEIGHT, WIDTH, 3))
    with Facts.of(layout) as facts:
        for number in range(videos):
            for frame in range(FRAMES if not (clips / str(number)).exists() else 0):
                picture = texture + 150 * truth(number, frame)[:, :, None] * np.array([1, 0, 0])
                write_image(clips / str(number) / f"{frame}.png", picture.astype(np.uint8))
            add_video(layout, facts, layout.config().frames, clips / str(number))
    return layout


def work_alone(layout: Layout, tool_file: Path) -> None:
    """The loop in this process, with answers from memory and nothing else: what the campaign is compared with."""
    from flows import machine

    with Facts.of(layout) as facts:
        context = Context(layout, layout.config(), facts, MemoryTool(tool_file, answer))
        for row in facts.videos():
            machine.advance(context, row.video.id)


def outcome(layout: Layout, asked: Counter[str]) -> dict[str, dict[str, object]]:
    """By video, what must not depend on any fault. asked: key -> how often it was asked"""
    found = {}
    with Facts.of(layout) as facts:
        for row in facts.videos():
            name = row.video.id
            labels = list(facts.events(name, "label"))
            model = facts.last_event(name, "propagated")
            digest = hashlib.sha256()
            for path in sorted(layout.masks(name, model.payload["model"]).glob("[0-9]*.png")) if model else ():
                digest.update(path.name.encode() + path.read_bytes())
            found[row.video.name] = {
                "state": row.state.value,
                "selected": [event.payload["samples"] for event in facts.events(name, "selected")],
                "labels": sorted((e.round, e.payload["sample"], e.payload["known_pixels"]) for e in labels),
                "lost": [e.payload["file"] for e in labels if not (layout.video(name) / e.payload["file"]).exists()],
                "masks": digest.hexdigest(),
                "asked": {key: times for key, times in asked.items() if key.startswith(f"{name}/")},
            }
    return found


@dataclass
class Stack:
    """`fewclicks up` on one project, its annotator, and the faults."""

    layout: Layout
    chance: random.Random
    postgres: PostgresServer | None
    log: Path
    frozen: dict[int, float] = field(default_factory=dict)
    up: subprocess.Popen[bytes] | None = None
    next_tick: float = 0.0

    def start(self) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "LABEL_STUDIO_API"))}
        command = [sys.executable, "-m", "fewclicks", "up", str(self.layout.root), "--pool", "faults"]
        command += ["--prefect-port", "0", "--label-studio-port", "0", "--dashboard-port", "0"]
        with self.log.open("ab") as out:
            self.up = subprocess.Popen(command, env=kept | {"OMP_NUM_THREADS": "1"}, stdout=out, stderr=out)

    def stop(self) -> None:
        self.wake(everything=True)
        assert self.up is not None
        self.up.terminate()
        self.up.wait(120)

    def services(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.layout.root / ".up" / "stack.json").read_bytes())["services"])
        except (OSError, ValueError):
            return {}

    def processes(self, service: str) -> list[psutil.Process]:
        """The programs of a service: its keeper stays, and tells that they have ended."""
        with suppress(psutil.Error, KeyError):
            return psutil.Process(self.services()[service]["pid"]).children(recursive=True)
        return []

    def runs(self) -> list[psutil.Process]:
        """The flow runs of the worker, which are programs that it has started."""
        return self.processes("worker")[1:]

    def fault(self, kind: str) -> bool:
        """False if there is nothing to hit."""
        if kind == "up":
            assert self.up is not None
            if not self.services():  # it has not begun
                return False
            self.up.kill()
            self.up.wait()
            self.start()
            return True
        if kind == "PostgreSQL":
            assert self.postgres is not None
            self.postgres.kill()
            time.sleep(self.chance.uniform(0.0, 2.0))
            self.postgres.start()
            return True
        if kind == "flow run frozen":
            targets = [run for run in self.runs() if run.pid not in self.frozen]
            for run in targets:
                with suppress(psutil.Error):
                    run.suspend()
                    self.frozen[run.pid] = time.monotonic() + LEASE_S * self.chance.uniform(0.5, 2.5)
            return bool(targets)
        targets = {
            "flow run": self.runs,
            "Prefect server": lambda: self.processes("prefect-server"),
            "worker": lambda: self.processes("worker")[:1],
            "server and worker": lambda: self.processes("prefect-server") + self.processes("worker")[:1],
            "Label Studio": lambda: self.processes("label-studio"),
        }[kind]()
        for process in targets:
            with suppress(psutil.Error):
                process.kill()
        return bool(targets)

    def wake(self, everything: bool = False) -> None:
        for pid in [pid for pid, at in self.frozen.items() if everything or at <= time.monotonic()]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
            del self.frozen[pid]

    def look(self) -> bool:
        """People answer, a tick is asked for as the webhook would, a held video is looked at. True once all is done."""
        self.wake()
        with suppress(UserError, httpx.HTTPError, OSError, ValueError):
            self.annotator().play(answer)
        if time.monotonic() > self.next_tick and len(self.runs()) < 2:
            with suppress(httpx.HTTPError, KeyError, IndexError, ValueError):
                self.tick()
                self.next_tick = time.monotonic() + 3.0
        with Facts.of(self.layout) as facts:
            rows = facts.videos()
            for row in rows:
                if row.hold is Hold.FAILED:
                    failure = facts.last_event(row.video.id, "failed")
                    raise SystemExit(f"{row.video.id} is held: {failure and failure.payload}")
            return all(row.state is State.DONE for row in rows)

    def tick(self) -> None:
        api = f"{self.services()['prefect-server']['address']}/api"
        with httpx.Client(trust_env=False, timeout=5) as http:
            found = http.post(f"{api}/deployments/filter", json={"deployments": {"name": {"like_": "faults"}}}).json()
            tick = next(one for one in found if one["schedules"])
            http.post(f"{api}/deployments/{tick['id']}/create_flow_run", json={}).raise_for_status()

    def annotator(self) -> LabelStudioAnnotator:
        server = running_server(self.layout.root)
        if server is None:
            raise OSError("no Label Studio now")
        record = json.loads((self.layout.root / "label-studio-project.json").read_text())
        classes = tuple(ClassConfig(name=name) for name in CLASSES)
        return LabelStudioAnnotator(server.url, server.token, record["project"], classes)

    def asked(self) -> Counter[str]:
        server = running_server(self.layout.root)
        assert server is not None
        record = json.loads((self.layout.root / "label-studio-project.json").read_text())
        with connected(server.url, server.token) as client:
            return Counter(str(row.data[KEY]) for row in list_tasks(client, record["project"]))


def until(what: Callable[[], object], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        if time.monotonic() > deadline:
            raise SystemExit(f"nothing moves any more: {log.read_text()[-2000:]}")
        time.sleep(0.5)


def wanted(folder: Path, videos: int) -> dict[str, dict[str, object]]:
    """What comes out without servers and faults. In a process of its own, so that this one needs no torch."""
    layout = make_project(folder / "reference", videos, None, folder / "clips")
    child = os.fork()
    if not child:
        work_alone(layout, folder / "people.db")
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
        raise SystemExit("the loop without faults did not finish")
    return outcome(layout, Counter(MemoryTool(folder / "people.db").times_asked()))


def one_project(
    stack: Stack, faults: int, kinds: list[str], expected: dict[str, dict[str, object]]
) -> tuple[Counter[str], list[str]]:
    """The faults that came until every video was done or there were so many, and what came out otherwise."""
    done: Counter[str] = Counter()
    stack.start()
    try:
        until(lambda: "worker" in stack.services(), stack.log)
        next_fault = time.monotonic() + stack.chance.uniform(0, 5)
        queue: list[str] = []

        def step() -> bool:
            nonlocal next_fault
            finished = stack.look()
            if not finished and done.total() < faults and time.monotonic() > next_fault:
                # every kind once before one comes again; what cannot hit anything now waits
                queue[:] = queue or stack.chance.sample(kinds, len(kinds))
                kind = next((kind for kind in queue if stack.fault(kind)), None)
                if kind is not None:
                    queue.remove(kind)
                    done[kind] += 1
                    print(f"{time.monotonic() - began:6.0f} s  {kind}", flush=True)
                next_fault = time.monotonic() + stack.chance.uniform(0.5, 6.0)
            return finished

        began = time.monotonic()
        until(step, stack.log)
        stack.wake(everything=True)
        until(lambda: running_server(stack.layout.root) is not None, stack.log)
        found = outcome(stack.layout, stack.asked())
    finally:
        stack.stop()
    return done, [
        f"{stack.layout.root.name}, video {video}: {key} is {found[video][key]}, not {value}"
        for video, values in expected.items()
        for key, value in values.items()
        if found[video][key] != value
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--faults", type=int, default=40)
    parser.add_argument("--videos", type=int, default=8, choices=range(1, 13))
    parser.add_argument("--seed", type=int, default=None, help="default: a new one, which is printed")
    parser.add_argument("--sqlite", action="store_true", help="facts in a file; PostgreSQL is neither used nor killed")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    programs = None if options.sqlite else postgres_programs()
    if programs is None and not options.sqlite:
        raise SystemExit("PostgreSQL is not installed: apt-get install postgresql, or --sqlite")
    chance, done, wrong, projects = random.Random(seed), Counter[str](), list[str](), 0
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="fewclicks-stack-faults-"))
    postgres = None if programs is None else PostgresServer(programs)
    try:
        expected = wanted(folder, options.videos)
        if postgres is not None:
            postgres.start()
        with LabelStudioServer(folder / "template") as server:  # makes its database once
            ready = server.data_dir
        kinds = [kind for kind in KINDS if kind != "PostgreSQL" or postgres is not None]
        while done.total() < options.faults and not wrong:
            projects += 1
            address = None if postgres is None else postgres.address
            layout = make_project(folder / f"project{projects}", options.videos, address, folder / "clips")
            shutil.copytree(ready, layout.label_studio_data)
            stack = Stack(layout, chance, postgres, folder / f"up{projects}.log")
            came, wrong = one_project(stack, options.faults - done.total(), kinds, expected)
            done += came
    finally:
        if postgres is not None:
            postgres.stop()
        if os.environ.get("FEWCLICKS_KEEP"):
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{'killed with -9':<20} times")
    for kind in KINDS:
        print(f"{kind:<20} {done[kind]:>5}")
    took = time.monotonic() - began
    print(f"{done.total()} faults, {projects} projects of {options.videos} videos, {took:.0f} s")
    print("\n".join(wrong) if wrong else "all as without faults")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
