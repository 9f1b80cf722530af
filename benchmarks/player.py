"""How smoothly the player of the dashboard scrolls through a long video, in a real headless Chromium.

python -m benchmarks.player --frames 5000 --out player.json

A rendered street is repeated until the video is long enough. A script moves the handle from end to end within six
seconds, as a hand would; the page itself notes when a picture is drawn, and how long it was ever busy.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from rich.console import Console

from benchmarks.browser import Page, chromium, fresh_tab
from benchmarks.options import check_writable, run_benchmark, write_result
from connectors.measured_folder import open_measured_folder
from connectors.street_scene import write_street
from connectors.video_files import decode
from dashboard.project import open_projects
from dashboard.server import dashboard_app
from flows.projects import create_project
from workspace.errors import UserError
from workspace.facts import Facts, NewEvent
from workspace.files import write_array, write_image
from workspace.layout import Layout
from workspace.video import Video

WIDTH, HEIGHT, RENDERED = 480, 270, 24
MODEL = "0" * 16
SWEEP_MS = 6000
_WATCH = """(() => {
  const place = document.getElementById("player"), measured = { drawn: [], busiest: 0, finished: 0 };
  window.measured = measured;
  const note = new MutationObserver(() => measured.drawn.push(performance.now()));
  note.observe(place, { attributeFilter: ["data-shown"] });
  let last = performance.now();
  (function beat() {
    const now = performance.now();
    measured.busiest = Math.max(measured.busiest, now - last); last = now;
    requestAnimationFrame(beat);
  })();
})()"""
_SWEEP = """(() => {
  const handle = document.getElementById("scrub"), began = performance.now();
  (function step() {
    const part = Math.min(1, (performance.now() - began) / %d);
    handle.value = Math.round(part * handle.max); handle.dispatchEvent(new Event("input"));
    if (part < 1) requestAnimationFrame(step); else window.measured.finished = performance.now();
  })();
})()"""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.player",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the result as JSON")
    options = parser.parse_args(arguments)
    check_writable(options.out)
    if options.frames < 2:
        raise UserError(f"{options.frames} frames cannot be scrolled through.", "Give --frames 2 or more.")
    if chromium() is None:
        raise UserError("There is no Chromium or Chrome here.", "Install one.")
    with tempfile.TemporaryDirectory(prefix="fewclicks-player-") as folder:
        layout, video = _long_video(Path(folder), options.frames)
        with _served(layout) as (address, slug), fresh_tab() as page:
            page.open(f"{address}/p/{slug}/{video.id}/player", 1280, 900)
            result = {"frames": options.frames, "load": round(os.getloadavg()[0], 1)} | _swept(page, options.frames)
    Console().print_json(json.dumps(result))
    write_result(options.out, result)


def _swept(page: Page, frames: int) -> dict[str, Any]:
    """Milliseconds between pictures while the handle moves, and until the last one is sharp."""
    shown = "document.getElementById('player')?.dataset.shown"
    page.wait_for(f"{shown} == '0'")
    page.evaluate(_WATCH)
    page.evaluate(_SWEEP % SWEEP_MS)
    page.wait_for("window.measured.finished", 120)
    page.wait_for(f"{shown} == '{frames - 1}'")
    found = json.loads(page.evaluate("JSON.stringify(window.measured)"))
    moving = [at for at in found["drawn"] if at <= found["finished"]]
    gaps = np.diff(moving) if len(moving) > 1 else np.array([float(SWEEP_MS)])
    return {
        "pictures": len(moving),
        "median_ms": round(float(np.median(gaps)), 1),
        "p95_ms": round(float(np.percentile(gaps, 95)), 1),
        "sharp_after_ms": round(found["drawn"][-1] - found["finished"], 1),
        "busiest_ms": round(found["busiest"], 1),  # the longest time in which the page drew nothing at all
    }


def _long_video(folder: Path, frames: int) -> tuple[Layout, Video]:
    """A project with one video; its files are links to the few that are rendered."""
    write_street(folder / "street", RENDERED, WIDTH, HEIGHT, 0, lambda done, total: None)
    street = open_measured_folder(folder / "street")
    layout = create_project(folder / "long", "long", list(street.classes), None)
    video = Video("long-0123456789", "long", "0" * 64, frames, WIDTH, HEIGHT, 15.0, ".jpg")
    rendered = folder / "rendered"
    decode(street.video_path, rendered, "jpg", 95, lambda done, total: None)
    for index in range(RENDERED):
        write_image(rendered / f"{index:06d}.png", street.truth(index))
    layout.frame(video, 0).parent.mkdir(parents=True)
    layout.masks(video.id, MODEL).mkdir(parents=True)
    for index in range(frames):
        os.link(rendered / f"{index % RENDERED:06d}.jpg", layout.frame(video, index))
        os.link(rendered / f"{index % RENDERED:06d}.png", layout.masks(video.id, MODEL) / f"{index:06d}.png")
    errors = np.random.default_rng(0).random(frames, dtype=np.float32) / 10
    write_array(layout.frame_errors(video.id, MODEL), errors)
    with Facts.of(layout) as facts:
        facts.add_video(video)
        facts.append(video.id, 1, NewEvent("selected", {"samples": [f"f{n:06d}" for n in range(0, frames, 50)]}))
        facts.append(video.id, 1, NewEvent("propagated", {"model": MODEL, "estimated_miou": 0.8}))
    return layout, video


@contextmanager
def _served(layout: Layout) -> Iterator[tuple[str, str]]:
    """The dashboard's address, and the project's name in it."""
    (project,) = open_projects([layout.root])
    settings = uvicorn.Config(dashboard_app([project], None, "127.0.0.1"), log_level="warning", lifespan="off")
    server = uvicorn.Server(settings)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", project.slug
        finally:
            server.should_exit = True
            thread.join(30)
            project.facts.close()


if __name__ == "__main__":
    sys.exit(run_benchmark(main))
