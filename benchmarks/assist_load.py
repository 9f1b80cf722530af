"""How long people wait for the help server: one alone, and many at once, over HTTP.

python -m benchmarks.assist_load davis16/camel --backend learned --model model --annotators 20 --out load.json

Each annotator has frames of their own, clicks a few times on each, as people do with a pause in between, and draws a
box around the object at the end. The server runs in a process of its own, pictures come
from the folder and not from Label Studio. `first`: the first click on a frame, which has to be looked at; `click`:
those after; `snap`: the box. Milliseconds on the wall, as Label Studio would see them.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from assist.backends.registry import BACKENDS
from assist.box_jitter import drawn_roughly
from assist.clicks import box_around
from assist.examples import examples_of
from assist.renewal import ModelFolder
from benchmarks.options import check_writable, run_benchmark, write_result
from connectors.label_studio.labeling_config import labeling_config
from workspace.config import ClassConfig
from workspace.errors import UserError
from workspace.files import read_rgb

LOGIN = ("fewclicks", "of the benchmark")
KINDS = ("first", "click", "snap")
_BOXES = """<View><Image name="image" value="$image"/><RectangleLabels name="box" toName="image" smart="true">
<Label value="thing"/></RectangleLabels></View>"""


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    check_writable(options.out)
    if min(options.annotators, options.frames, options.clicks) < 1 or options.pause < 0:
        raise UserError("--annotators, --frames and --clicks must be at least 1, --pause at least 0.")
    ModelFolder(options.backend, options.model)  # what is wrong with it is said here, and not in the other process
    runs = []
    with serving(options.backend, options.model) as url:
        for annotators in sorted({1, options.annotators}):
            found = measure(url, options.folder, annotators, options)
            runs.append({"data": options.folder.resolve().name, "backend": options.backend} | found)
    write_result(options.out, {"runs": runs})
    table = Table("annotators", "", "answers", "p50", "p95", "slowest")
    for run in runs:
        for kind in KINDS:
            if run[kind]["answers"]:
                row = run[kind]
                times = [f"{row[key]:.0f} ms" for key in ("p50_ms", "p95_ms", "max_ms")]
                table.add_row(str(run["annotators"]), kind, str(row["answers"]), *times)
    Console().print(table)


def measure(url: str, folder: Path, annotators: int, options: argparse.Namespace) -> dict[str, Any]:
    """One row: `annotators` people, each on frames that nobody else has."""
    examples = examples_of(folder)
    bodies: list[list[list[tuple[str, Any]]]] = []
    for person in range(annotators):
        rng = np.random.default_rng([options.seed, person])
        frames = []
        for turn in range(options.frames):
            # an address of its own makes a picture new to the server, though the file may be the same
            example = examples[(person * options.frames + turn) % len(examples)]
            address = f"{example.image_path}#{annotators}.{person}.{turn}"
            frames.append(asked(address, example.objects(1), options.clicks, rng))
        bodies.append(frames)
    spent: dict[str, list[float]] = {kind: [] for kind in KINDS}
    lock = threading.Lock()
    empty = [0]

    def work(person: int) -> None:
        rng = np.random.default_rng([options.seed, person, 1])
        with httpx.Client(base_url=url, auth=LOGIN, timeout=120.0, trust_env=False) as client:
            for frame in bodies[person]:
                for kind, body in frame:
                    time.sleep(float(rng.exponential(options.pause)))
                    began = time.perf_counter()
                    answer = client.post("/predict", json=body)
                    took = 1000 * (time.perf_counter() - began)
                    with lock:
                        spent[kind].append(took)
                        empty[0] += not answer.json()["results"][0]["result"]

    threads = [threading.Thread(target=work, args=(person,)) for person in range(annotators)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    row: dict[str, Any] = {"annotators": annotators, "pause_s": options.pause, "empty_answers": empty[0]}
    return row | {kind: _summary(values) for kind, values in spent.items()}


def asked(
    address: str, objects: Sequence[NDArray[np.uint8]], clicks: int, rng: np.random.Generator
) -> list[tuple[str, Any]]:
    """What one annotator asks about one frame: clicks in and beside the object, one more each time, then a box."""
    if not objects:
        return []
    truth = objects[0]
    height, width = truth.shape
    config = labeling_config([ClassConfig(name="thing"), ClassConfig(name="ground")], assist=True)
    points: list[dict[str, Any]] = []
    found: list[tuple[str, Any]] = []
    for number in range(clicks):
        positive = number % 3 != 2
        places = np.argwhere((truth == 1) == positive)
        y, x = places[int(rng.integers(len(places)))]
        value = {"x": 100 * (x + 0.5) / width, "y": 100 * (y + 0.5) / height, "width": 0.3, "keypointlabels": ["thing"]}
        point = {"id": f"k{number}", "type": "keypointlabels", "from_name": "click", "to_name": "image", "value": value}
        points.append(point | {"is_positive": positive})
        found.append(("first" if number == 0 else "click", _request(address, config, list(points))))
    box = box_around(truth == 1)
    if box is not None:
        rough = drawn_roughly(box, rng)
        value = {
            "x": 100 * rough.left / width, "y": 100 * rough.top / height, "rotation": 0, "rectanglelabels": ["thing"],
            "width": 100 * rough.width / width, "height": 100 * rough.height / height,
        }  # fmt: skip
        region = {"id": "b", "type": "rectanglelabels", "from_name": "box", "to_name": "image", "value": value}
        found.append(("snap", _request(address, _BOXES, [region])))
    return found


def _request(address: str, config: str, regions: list[dict[str, Any]]) -> dict[str, Any]:
    task = {"id": 1, "data": {"image": address}}
    return {"tasks": [task], "label_config": config, "params": {"context": {"result": regions}}}


def _summary(milliseconds: Sequence[float]) -> dict[str, float]:
    if not milliseconds:
        return {"answers": 0}
    p50, p95, most = (round(float(np.percentile(milliseconds, share)), 1) for share in (50, 95, 100))
    return {"answers": len(milliseconds), "p50_ms": p50, "p95_ms": p95, "max_ms": most}


class _Folder:
    """Stands for Label Studio, which delivers pictures by their address."""

    def fetch(self, address: Any) -> NDArray[np.uint8]:
        return read_rgb(Path(str(address).rpartition("#")[0]))


def _serve(tell: Connection, backend: str, model: Path | None) -> None:
    import uvicorn

    from assist.server import assist_app
    from assist.service import Assist

    helpers = ModelFolder(backend, model).helpers
    assist = Assist(_Folder(), helpers.backend, helpers.snapper)  # type: ignore[arg-type]
    server = uvicorn.Server(uvicorn.Config(assist_app(assist, *LOGIN), port=0, log_level="warning"))

    def announce() -> None:
        while not server.started:
            time.sleep(0.02)
        tell.send(server.servers[0].sockets[0].getsockname()[1])

    threading.Thread(target=announce, daemon=True).start()
    server.run()


@contextmanager
def serving(backend: str, model: Path | None) -> Any:
    """Its address."""
    ours, theirs = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_serve, args=(theirs, backend, model), daemon=True)
    process.start()
    try:
        while not ours.poll(0.1):
            if not process.is_alive():
                raise RuntimeError("the help server did not start")
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.assist_load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="frames/, masks/ and meta.json")
    parser.add_argument("--backend", default="classic", metavar="NAME", help=", ".join(sorted(BACKENDS)))
    parser.add_argument("--model", type=Path, metavar="DIR", help="a trained model, for the backend and for boxes")
    parser.add_argument("--annotators", type=int, default=20, metavar="N")
    parser.add_argument("--frames", type=int, default=3, metavar="N", help="of each annotator")
    parser.add_argument("--clicks", type=int, default=5, metavar="N", help="on each frame")
    parser.add_argument("--pause", type=float, default=2.0, metavar="S", help="mean seconds between one's clicks")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the result as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(run_benchmark(main))
