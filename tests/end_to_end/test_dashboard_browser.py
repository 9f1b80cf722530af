"""The dashboard in a real browser: charts are drawn, the page follows the log, and the player plays by keyboard."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.browser import Page, fresh_tab
from workspace.facts import Facts, NewEvent
from workspace.files import write_array, write_image
from workspace.layout import Layout
from workspace.video import Video

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FRAMES = 40
MODELS = "a" * 16, "b" * 16
VIDEO = Video("clip-0123456789", "<i>clip</i>", "0" * 64, FRAMES, 64, 48, 10.0, ".png")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    layout = Layout(tmp_path_factory.mktemp("dashboard") / "street")
    layout.videos.mkdir(parents=True)
    layout.config_file.write_text("project: {classes: [road, car]}\n", encoding="utf-8")
    with Facts.open(layout.database_file) as facts:
        facts.add_video(VIDEO)
        for number, model in enumerate(MODELS, start=1):
            facts.append(VIDEO.id, number, NewEvent("moved", {"from": "ready", "to": "selecting", "round": number}))
            facts.append(
                VIDEO.id,
                number,
                NewEvent("selected", {"samples": [f"f{10 * number:06d}"], "strategy": "uncertainty_centroids"}),
            )
            facts.append(VIDEO.id, number, label(number))
            made = {"model": model, "estimated_miou": 0.7 + 0.1 * number, "drawing_every_frame": 800}
            facts.append(VIDEO.id, number, NewEvent("propagated", made))
    for index in range(FRAMES):
        write_image(layout.frame(VIDEO, index), np.full((48, 64, 3), 100, np.uint8))
        for which, model in enumerate(MODELS):  # before: all road; after: all car
            path = layout.masks(VIDEO.id, model) / f"{index:06d}.png"
            write_image(path, np.full((48, 64), which, np.uint8))
    write_array(layout.frame_errors(VIDEO.id, MODELS[1]), np.linspace(0, 0.2, FRAMES, dtype=np.float32))
    return layout


def label(number: int) -> NewEvent:
    payload = {"sample": f"f{10 * number:06d}", "annotation": str(number), "annotator": "anna", "skipped": False}
    return NewEvent("label", payload | {"seconds": 5.0, "clicks": {"drawing": 20, "correcting": 10}})


@pytest.fixture(scope="module")
def address(project: Layout, chromium_here: None) -> Iterator[str]:
    """The command itself, as a user starts it."""
    command = [sys.executable, "-m", "fewclicks", "dashboard", str(project.root), "--port", "0"]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[1]
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def tab(address: str) -> Iterator[Page]:
    with fresh_tab() as page:
        page.command("Runtime.enable")
        yield page


def test_charts_are_drawn_and_the_page_follows_the_log(tab: Page, address: str, project: Layout) -> None:
    for width, scheme in ((390, "light"), (1280, "dark"), (1920, "light")):
        tab.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        tab.open(address, width, 900)
        tab.wait_for("document.querySelectorAll('.chart').length == 3")
        tab.wait_for("[...document.querySelectorAll('.chart')].every(c => c.querySelector('svg .trace'))")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width  # nothing sticks out
        assert tab.evaluate("document.querySelector('td a').innerText") == "<i>clip</i>"
        ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, ground[4:-1].split(","))) < 200) == (scheme == "dark")
    spent = "document.querySelectorAll('.figure .value')[1].innerText"
    tab.wait_for(f"{spent} == '20'")
    with Facts.open(project.database_file) as facts:
        facts.append(VIDEO.id, 3, label(3))
    tab.wait_for(f"{spent} == '30'")
    tab.open(f"{address}/p/street/{VIDEO.id}", 1280, 900)
    tab.wait_for("[...document.querySelectorAll('.chart')].length == 3")
    tab.wait_for("[...document.querySelectorAll('.chart')].every(c => c.querySelector('svg .trace'))")
    tab.wait_for("[...document.querySelectorAll('.thumbs img')].length == 6")


def test_the_player_is_steered_by_keys(tab: Page, address: str) -> None:
    shown = "document.getElementById('player')?.dataset.shown"
    pixel = "[...document.getElementById('picture').getContext('2d').getImageData({}, 5, 1, 1).data].join()"
    tab.open(f"{address}/p/street/{VIDEO.id}/player#5", 1280, 900)
    tab.wait_for(f"{shown} == '5'")
    after = tab.evaluate(pixel.format(5))
    for key, modifiers, frame in (
        ("ArrowRight", 0, 6), ("ArrowRight", 8, 16), ("ArrowLeft", 0, 15), ("n", 0, 20), ("p", 0, 10), ("End", 0, 39),
        ("ArrowRight", 0, 39), ("Home", 0, 0), ("ArrowLeft", 8, 0),
    ):  # fmt: skip
        tab.press(key, modifiers)
        tab.wait_for(f"{shown} == '{frame}'")
    assert "frame 0 of 39" in tab.evaluate("document.getElementById('where').innerText")
    tab.press("m")
    tab.wait_for(f"{pixel.format(5)} != '{after}'")
    assert tab.evaluate(pixel.format(5)).startswith(("100,100,100", "99,99,99", "101,101,101"))  # the bare frame
    tab.press("m")
    tab.press("b")  # left of the split what was before, right of it what came after
    tab.wait_for(f"{pixel.format(5)} != '{after}' && {pixel.format(5)} != '100,100,100,255'")
    assert tab.evaluate(pixel.format(60)) == after
    # many moves in a row: few pictures are fetched, and the last one is shown
    tab.evaluate("performance.clearResourceTimings(); performance.setResourceTimingBufferSize(1000)")
    tab.evaluate(
        "(() => { const s = document.getElementById('scrub'); for (let n = 1; n < 40; n++)"
        " { s.value = n; s.dispatchEvent(new Event('input')); } })()"
    )
    tab.wait_for(f"{shown} == '39'")
    fetched = "performance.getEntriesByType('resource').filter(r => r.name.includes('/frames/')).length"
    assert tab.evaluate(fetched) <= 10  # of 39
    assert tab.evaluate("document.getElementById('told').innerText") == ""


def test_the_report_is_not_cut_off_on_paper_nor_on_a_phone(tab: Page, project: Layout, tmp_path: Path) -> None:
    with Facts.open(project.database_file) as facts:
        for number in (1, 2):
            scored = {"miou": 0.8345, "drawing_every_frame": 12_345_678}
            facts.append(VIDEO.id, number, NewEvent("scored", scored))
    out = tmp_path / "report.html"
    command = [sys.executable, "-m", "fewclicks", "report", str(project.root), "--out", str(out), "--no-pdf"]
    subprocess.run(command, cwd=Path(__file__).parents[2], check=True, stdout=subprocess.DEVNULL)
    wide = "[...document.querySelectorAll('.scroll, body')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
    try:
        for media, width in (("print", 690), ("screen", 390)):  # A4 with the browser's usual margins is 718 px wide
            tab.command("Emulation.setEmulatedMedia", media=media)
            tab.open(out.as_uri(), width, 900)
            tab.wait_for("document.querySelectorAll('td').length > 20")
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
            assert media == "screen" or tab.evaluate(wide) == 0  # a phone may scroll a table, paper may not
    finally:
        tab.command("Emulation.setEmulatedMedia", media="")
