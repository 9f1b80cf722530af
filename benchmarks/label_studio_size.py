"""Tasks by the thousand: our push and pull against Label Studio's own bulk import and export of the same JSON.

python -m benchmarks.label_studio_size --tasks 10000 --out size.json

Starts a server of its own in a temporary folder. Every task is a patch-sized frame with a predicted mask of three
classes; every second class region is corrected by the simulated annotator. Both imports get an empty project.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.options import benchmark_parser, check_writable, run_benchmark, write_result
from connectors.label_studio.annotator import corrected_regions
from connectors.label_studio.labeling_config import label_texts, labeling_config
from connectors.label_studio.listings import OVERLAP
from connectors.label_studio.server import LabelStudioServer
from connectors.label_studio.tool import LabelStudioTool
from connectors.labeling_tool import Question
from workspace.config import ClassConfig
from workspace.mask import MaskArray
from workspace.sample import Sample, question_key

CLASSES = ("road", "car", "sky")
CLASS_CONFIGS = tuple(ClassConfig(name=name) for name in CLASSES)
VIDEO = "measured-0123456789"
HEIGHT, WIDTH = 180, 240
_IMPORTED_AT_ONCE = 1000  # annotations, which are only made to be pulled
_ENCODING = "masks to JSON"
_BULK = "bulk import by Label Studio"
_EVERYTHING = {"selectedItems": {"all": True, "excluded": []}}


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    check_writable(options.out)
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="fewclicks-size-") as folder:
        root = Path(folder).resolve()
        image = root / "videos" / "frames" / "000000.png"
        image.parent.mkdir(parents=True)
        cv2.imwrite(str(image), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
        with LabelStudioServer(root, say=lambda text: console.print(text)) as server:
            result = _measure(server, root, image, options.tasks, console)
    _print(result)
    write_result(options.out, result)


def _measure(server: LabelStudioServer, root: Path, image: Path, tasks: int, console: Console) -> dict[str, Any]:
    tool = LabelStudioTool(server.url, server.token, "size", CLASS_CONFIGS, None, root, root)
    result: dict[str, Any] = {"tasks": tasks}
    shown = _mask(0)

    def stage(name: str, work: Callable[[], Any]) -> Any:
        memory = _Memory()
        began, cpu = time.monotonic(), _cpu_seconds(server)
        value = work()
        seconds, busy = time.monotonic() - began, _cpu_seconds(server) - cpu
        result[name] = {"seconds": round(seconds, 2), "cpu_seconds": round(busy, 2), "memory_mb": memory.grown_mb()}
        console.print(f"{name}: {result[name]}", highlight=False)
        return value

    def encode() -> list[str]:
        return [json.dumps(tool._task(question)) for question in _questions(tasks, image, shown)]

    tool._task(next(_questions(1, image, shown)))  # what is imported at the first call is not timed
    bodies: list[str] = stage(_ENCODING, encode)
    result["bytes_per_task"] = len(bodies[0])
    with httpx.Client(
        base_url=server.url, headers={"Authorization": f"Token {server.token}"}, timeout=3600, trust_env=False
    ) as http:
        project = http.post(
            "/api/projects/", json={"title": "bulk", "label_config": labeling_config(CLASS_CONFIGS)}
        ).json()["id"]
        headers = {"Content-Type": "application/json"}

        def bulk() -> None:
            body = f"[{','.join(bodies)}]".encode()
            http.post(f"/api/projects/{project}/import", content=body, headers=headers).raise_for_status()

        stage(_BULK, bulk)
        http.delete(f"/api/projects/{project}/").raise_for_status()
        stage("push", lambda: _expect(tasks, tool.push(_questions(tasks, image, shown), lambda: None)))
        stage("push again", lambda: _expect(0, tool.push(_questions(tasks, image, shown), lambda: None)))
        keys = [question.key for question in _questions(tasks, image, None)]
        stage("progress, all open", lambda: _expect(tasks, len(tool.progress(keys).open)))
        time.sleep(OVERLAP.total_seconds())  # what changed so recently is read again
        tool.progress(keys)
        stage("progress, nothing new", lambda: _expect(tasks, len(tool.progress(keys).open)))
        own = tool.project_id()
        http.post(f"/api/dm/actions/?id=delete_tasks&project={own}", json=_EVERYTHING).raise_for_status()
        answered = corrected_regions(shown, _mask(1), label_texts(CLASSES), None)
        for start in range(0, tasks, _IMPORTED_AT_ONCE):
            part = [_annotated(body, answered) for body in bodies[start : start + _IMPORTED_AT_ONCE]]
            body = f"[{','.join(part)}]".encode()
            http.post(f"/api/projects/{own}/import", content=body, headers=headers).raise_for_status()
        stage("progress, all answered", lambda: _expect(tasks, len(tool.progress(keys).answered)))
        expected = _mask(1)

        def pull() -> None:
            found = 0
            for answer in tool.pull(keys):
                assert answer.mask is not None
                found += int(np.array_equal(answer.mask, expected))
            _expect(tasks, found)

        stage("pull", pull)
        exported = {"exportType": "JSON", "download_all_tasks": "true"}
        stage(
            "export by Label Studio",
            lambda: http.get(f"/api/projects/{tool.project_id()}/export", params=exported).raise_for_status(),
        )
    for unit in ("seconds", "cpu_seconds"):
        # the bulk import is handed JSON that is ready; ours makes it meanwhile, and that counts
        result[f"push_against_bulk_{unit}"] = round(result["push"][unit] / result[_BULK][unit], 2)
    return result


def _questions(tasks: int, image: Path, shown: MaskArray | None) -> Iterator[Question]:
    for index in range(tasks):
        sample = Sample(index)
        key = question_key(VIDEO, 1, sample)
        yield Question(key, VIDEO, "measured", 1, sample, image, HEIGHT, WIDTH, shown, "model")


def _mask(shift: int) -> MaskArray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[40:90, 50:120] = 1
    mask[100:160, 30 + 5 * shift : 200] = 2
    return mask


def _annotated(body: str, result: list[dict[str, Any]]) -> str:
    """The same task with an answer: 10,000 answers one by one would take Label Studio half an hour."""
    return json.dumps({**json.loads(body), "annotations": [{"result": result, "lead_time": 1.0}]})


def _expect(wanted: int, found: int) -> None:
    if wanted != found:
        raise AssertionError(f"{found} instead of {wanted}")


def _cpu_seconds(server: LabelStudioServer) -> float:
    """Processor time that we and the server have used so far: it hardly depends on what else runs on the machine."""
    assert server._process is not None
    keeper = psutil.Process(server._process.pid)
    times = [process.cpu_times() for process in (psutil.Process(), keeper, *keeper.children(recursive=True))]
    return float(sum(t.user + t.system for t in times))


class _Memory:
    """How far the process's memory grew at most while something ran, sampled 20 times a second."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._before = self._most = self._process.memory_info().rss
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def grown_mb(self) -> float:
        self._done.set()
        self._thread.join()
        return round(float(self._most - self._before) / 2**20, 1)

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            self._most = max(self._most, self._process.memory_info().rss)


def _print(result: dict[str, Any]) -> None:
    title = f"{result['tasks']} tasks of {result['bytes_per_task']} bytes"
    table = Table("step", "seconds", "CPU seconds, server included", "memory grew by MB", title=title)
    for name, row in result.items():
        if isinstance(row, dict):
            table.add_row(name, f"{row['seconds']:.1f}", f"{row['cpu_seconds']:.1f}", f"{row['memory_mb']:.0f}")
    console = Console()
    console.print(table)
    wall, cpu = result["push_against_bulk_seconds"], result["push_against_bulk_cpu_seconds"]
    console.print(f"push with encoding, against bulk import of JSON that is ready: {wall:.2f} (CPU {cpu:.2f})")


def _parser() -> argparse.ArgumentParser:
    parser = benchmark_parser("label_studio_size", __doc__)
    parser.add_argument("--tasks", type=int, default=10_000)
    return parser


if __name__ == "__main__":
    sys.exit(run_benchmark(main))
