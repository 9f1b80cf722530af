"""Workers without a common disk: how much faster several finish the same videos, and whether the masks are the same.

python -m benchmarks.workers --database postgresql://user@127.0.0.1/facts --remote s3://bucket/measured

Made-up videos are added in one folder and shared; each worker is a process with a folder of its own, joined to the
project, that moves videos on until all are done. PostgreSQL and the store must run; credentials for the store come
from the environment. With 0 workers this process does everything on one disk, without the store. People are simulated
by a labeling tool in a file, which stands for the labeling server. With --kill the first worker is ended by SIGKILL in
the middle of a step and not started again.

Each worker computes with one thread, so that one alone does not have all cores already: on 2 cores, 2.00 times as fast
would be two workers that never wait for each other, and database, store and people need cores of the same machine. The
processor seconds of the workers, their start included, tell what sharing the project costs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.length import DriftingTexture
from benchmarks.options import benchmark_parser, check_writable, run_benchmark, settings_of, write_result
from connectors.labeling_tool import Question
from connectors.memory import MemoryTool
from flows import machine
from flows.adding import add_video
from flows.context import Context, open_context
from flows.joining import fetch, join, share
from flows.keeping import facts_of
from flows.steps import Step
from workspace.config import Config
from workspace.errors import ToolUnavailable, UserError
from workspace.facts import Facts, Lease
from workspace.files import json_bytes, write_bytes, write_image
from workspace.layout import Layout
from workspace.mask import MaskArray
from workspace.states import State

_APART = 37  # frames between the beginnings of two videos
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # beside propagation.threads: 1
_TORN = {State.FITTING, State.PROPAGATING}


class Answers(MemoryTool):
    """Knows the truth of every made-up video, whose name is its number."""

    def __init__(self, file: Path, frames: int, height: int, width: int) -> None:
        self._video = DriftingTexture(frames, height, width)
        super().__init__(file, self._truth)

    def _truth(self, question: Question) -> MaskArray:
        return self._video.mask(_APART * int(question.video_name) + question.sample.frame)


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    height, width = _size(options.size)
    if options.work is not None:
        work(options.work, Answers(options.tool, options.frames, height, width))
        return
    counts = _counts(options.workers)
    if min(options.videos, options.frames - 7) < 1:
        raise UserError("There must be a video, and videos have 8 frames or more.")
    if options.database is None or options.remote is None:
        raise UserError("--database and --remote are needed.", "They are facts.database and workspace.remote.")
    check_writable(options.out)
    table = Table("workers", "killed", "s", "faster", "CPU s", "steps by worker", "stored MB", "masks")
    runs: list[dict[str, Any]] = []
    for count in counts:
        run = measure(options, count, kill=options.kill and count > 1)
        runs.append(run)
        same = run["masks"] == runs[0]["masks"]
        faster = runs[0]["seconds"] / run["seconds"]
        words = str(count), str(run["killed"]), f"{run['seconds']:.1f}", f"{faster:.2f}", f"{run['cpu_seconds']:.1f}"
        table.add_row(
            *words, " + ".join(map(str, run["steps"])), f"{run['stored_mb']:.1f}", "the same" if same else "DIFFERENT"
        )
    load = os.getloadavg()[0]
    Console().print(table)
    Console().print(f"{options.videos} videos of {options.frames} frames, {width}x{height}; load at the end {load:.1f}")
    write_result(options.out, {"runs": runs, "load": load, "cores": os.cpu_count()})


def measure(options: argparse.Namespace, count: int, kill: bool) -> dict[str, Any]:
    """One line of the table: `count` workers from the first move of a video to the last; starting is left out."""
    height, width = _size(options.size)
    with tempfile.TemporaryDirectory(prefix="fewclicks-workers-") as place:
        root = Path(place)
        schema = f"measured_{os.getpid()}_{time.time_ns()}"
        config = _settings(options, schema, remote=count > 0)
        origin = Layout(root / "origin")
        write_bytes(origin.config_file, json_bytes(config.model_dump(mode="json")))  # JSON is YAML
        _add_videos(origin, config, options, height, width)
        if count:
            list(share(origin))
        layouts = [join(root / f"worker{number}", options.database, schema) for number in range(count)]
        command = [sys.executable, "-m", "benchmarks.workers", "--frames", str(options.frames), "--size", options.size]
        command += ["--tool", str(root / "people.db")]
        Answers(root / "people.db", options.frames, height, width)
        workers, cpu_before = [], _cpu_seconds()
        for number, layout in enumerate(layouts):
            prefix = shlex.split((options.prefix or "").replace("{n}", str(number)))
            with (layout.root / "log").open("wb") as log:
                words = [*prefix, *command, "--work", str(layout.root)]
                workers.append(subprocess.Popen(words, stdout=log, stderr=log, env=os.environ | _ONE_THREAD))
        try:
            if not count:
                work(origin.root, Answers(root / "people.db", options.frames, height, width))
            with Facts.of(origin) as facts:
                killed = kill and _kill_in_a_step(facts, layouts[0], workers[0])
                codes = [worker.wait() for worker in workers]
                cpu = _cpu_seconds() - cpu_before
                if any(codes[int(killed) :]):
                    logs = [(layout.root / "log").read_text()[-500:] for layout in layouts]
                    raise UserError(f"A worker ended with {codes}: {logs}")
                asked = Answers(root / "people.db", options.frames, height, width).times_asked()
                moves = [event.at for event in facts.events(kind="moved")]
                done = Counter(event.video for event in facts.events(kind="done"))
                stored = sum(p["bytes"] for e in facts.events(kind="kept") for p in e.payload["packs"])
                if count:
                    fetch(origin)
                masks = {row.video.name: _digest(origin, facts, row.video.id) for row in facts.videos()}
                states = {row.state for row in facts.videos()}
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
        if states != {State.DONE} or set(done.values()) != {1} or set(asked.values()) != {1}:
            raise UserError(f"Not every video was done once: {states}, {done}, {asked}.")
        steps = [len(_steps(layout)) for layout in layouts or [origin]]
    return {
        "workers": count, "killed": int(killed), "seconds": round(moves[-1] - moves[0], 2),
        "cpu_seconds": round(cpu, 2), "steps": steps, "masks": masks,
        "stored_mb": round(stored / 2**20, 3), "asked": len(asked),
    }  # fmt: skip


def work(folder: Path, tool: MemoryTool) -> None:
    """What a worker does until every video is done."""
    context = open_context(folder, tool)
    with context.facts, (folder / "steps.jsonl").open("a") as steps:

        def noted(state: State, step: Step, context: Context, lease: Lease) -> bool:
            done = step(context, lease)
            steps.write(json.dumps({"video": lease.video, "state": state.value}) + "\n")
            steps.flush()
            return done

        while any(row.state is not State.DONE for row in context.facts.videos()):
            for row in context.facts.videos():
                try:
                    if machine.has_work(context, row):
                        machine.advance(context, row.video.id, noted)
                except ToolUnavailable as error:
                    print(error, flush=True)
            time.sleep(0.2)


def _kill_in_a_step(facts: Facts, layout: Layout, worker: subprocess.Popen[bytes]) -> bool:
    """End the worker once it has done something and is in the middle of computing; False if it was too quick."""
    while worker.poll() is None:
        if len(_steps(layout)) >= 4:
            mine = [row for row in facts.videos() if row.owner and f"/{worker.pid}/" in row.owner]
            if any(row.state in _TORN for row in mine):
                worker.kill()
                return True
        time.sleep(0.01)
    return False


def _cpu_seconds() -> float:
    """Of the workers that have ended (their start included), and of this process, which is one if there is no other."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF))
    )


def _steps(layout: Layout) -> list[str]:
    file = layout.root / "steps.jsonl"
    return file.read_text().splitlines() if file.exists() else []


def _add_videos(origin: Layout, config: Config, options: argparse.Namespace, height: int, width: int) -> None:
    texture = DriftingTexture(options.frames, height, width)
    with facts_of(origin) as facts:
        for number in range(options.videos):
            clip = origin.root / "clips" / str(number)
            for index in range(options.frames):
                write_image(clip / f"{index:06d}.png", texture[_APART * number + index])
            add_video(origin, facts, config.frames, clip)


def _digest(layout: Layout, facts: Facts, video: str) -> str:
    """SHA-256 of the newest masks, frame by frame."""
    made = facts.last_event(video, "propagated")
    assert made is not None
    files = sorted(layout.masks(video, made.payload["model"]).glob("[0-9]*.png"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _settings(options: argparse.Namespace, schema: str, remote: bool) -> Config:
    return settings_of(
        options,
        facts={"database": options.database, "schema_name": schema},
        workspace={"remote": f"{options.remote.rstrip('/')}/{schema}" if remote else None},
        stopping={"rounds": 2, "quality": None},
        selection={"budget": 2, "seed": options.seed},
        propagation={"threads": 1, "device": "cpu", "seed": options.seed},
        lease={"seconds": 5.0},
        frames={"format": "png"},
    )


def _counts(text: str) -> list[int]:
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 0:
        raise UserError(f"--workers {text!r} is no list of numbers.", "--workers 1,2")
    return counts


def _size(text: str) -> tuple[int, int]:
    try:
        height, width = (int(part) for part in text.split("x"))
    except ValueError:
        height = width = 0
    if min(height, width) < 32:
        raise UserError(f"--size {text!r} is no size.", "--size 96x160, 32 or more each")
    return height, width


def _parser() -> argparse.ArgumentParser:
    parser = benchmark_parser("workers", __doc__)
    parser.add_argument("--database", metavar="URL", help="postgresql://user@host/name; gets a schema per run")
    parser.add_argument("--remote", metavar="URL", help="s3://bucket/prefix or another one of workspace.remote")
    parser.add_argument("--workers", default="0,1,2", metavar="N,N,...", help="so many at a time, one run each")
    parser.add_argument("--videos", type=int, default=8)
    parser.add_argument("--frames", type=int, default=24, help="of each video")
    parser.add_argument("--size", default="96x160", metavar="HEIGHTxWIDTH")
    parser.add_argument("--kill", action="store_true", help="the first of several workers dies in the middle")
    parser.add_argument("--prefix", metavar="WORDS", help='in front of a worker, as "ip netns exec machine{n}"')
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--tool", type=Path, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(run_benchmark(main))
