"""Superpixels one by one against twenty to a screen: one annotator drives the browser through both.

python -m benchmarks.tiles --samples 60 --wrong 0.1 --pictures docs --out tiles.json

The annotator knows the truth, looks at each picture as soon as it is drawn, presses a button where the prediction is
wrong, and submits; then all of it once more without the mouse. It takes no time to think, so the seconds are those of
the pages, the mouse or the keys, and the server. `--pictures` saves what annotators see of each granularity, on a
rendered street.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.browser import CTRL, PICTURES, SUBMIT, TASK, TILE, Page, browser, choice, chosen, chromium
from benchmarks.options import check_writable, run_benchmark, write_result
from connectors.label_studio.client import connected, list_tasks
from connectors.label_studio.labeling_config import HOTKEYS, choice_texts, label_texts
from connectors.label_studio.server import LabelStudioServer
from connectors.label_studio.tiles import tile_keys
from connectors.label_studio.tool import LabelStudioTool
from connectors.labeling_tool import Question
from connectors.measured_folder import MeasuredFolder, open_measured_folder
from connectors.street_scene import write_street
from selection.superpixels import superpixels
from workspace.config import ClassConfig
from workspace.errors import UserError
from workspace.files import read_rgb, write_array, write_image
from workspace.mask import MaskArray
from workspace.sample import Sample, question_key

VIDEO = "street-0123456789"
FRAME, HEIGHT, WIDTH = 6, 270, 480
MOUSE, KEYS = "mouse", "keyboard"


@dataclass(frozen=True, slots=True)
class Effort:
    """All samples of one layout. `seconds`: from the first page that is ready to the last answer that is stored.

    by: MOUSE or KEYS;  clicks: presses of the mouse's button or of keys, submitting included
    """

    tiles: int
    by: str
    samples: int
    tasks: int
    wrong: int
    clicks: int
    seconds: float
    right: int  # samples whose mask came back as the annotator meant it


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tiles", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=60)
    parser.add_argument("--wrong", type=float, default=0.1, help="share of predictions that are wrong")
    parser.add_argument("--tiles", type=int, default=20, help="to a screen, against one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="save screenshots there first")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the result as JSON")
    options = parser.parse_args(arguments)
    check_writable(options.out)
    if chromium() is None:
        raise UserError("There is no Chromium here.", "Install one, `apt-get install chromium`, and run again.")
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        street = _street(root / "street")
        with LabelStudioServer(root / "project", say=console.print) as server:
            world = World(server, street, options.samples, options.wrong, options.seed)
            with browser(server.url, server.email, server.password) as page:
                if options.pictures is not None:
                    world.save_pictures(page, options.pictures)
                efforts = [world.measure(page, tiles, by) for by in (MOUSE, KEYS) for tiles in (1, options.tiles)]
    names = ("tiles", "by", "samples", "tasks", "wrong", "presses", "presses/sample", "seconds/sample")
    table = Table(*names, "came back right")
    for e in efforts:
        shares = (f"{e.clicks / e.samples:.2f}", f"{e.seconds / e.samples:.2f}")
        table.add_row(*map(str, (e.tiles, e.by, e.samples, e.tasks, e.wrong, e.clicks, *shares, e.right)))
    Console().print(table)
    write_result(options.out, {"efforts": [asdict(effort) for effort in efforts]})


class World:
    """Superpixels of one rendered frame with a known answer each, and predictions of which a share is wrong."""

    def __init__(
        self, server: LabelStudioServer, street: MeasuredFolder, samples: int, wrong: float, seed: int
    ) -> None:
        self.server = server
        self.classes = street.classes
        frames = server.workspace_root / "videos" / VIDEO / "frames"
        self.image = frames / f"{FRAME:06d}.jpg"
        write_image(self.image, _frame(street.video_path, FRAME))
        self.truth = street.truth(FRAME)
        regions = superpixels(read_rgb(self.image), 24)
        self.ids = regions.ids
        self.file = server.workspace_root / "videos" / VIDEO / "superpixels" / f"{regions.fingerprint}.npy"
        write_array(self.file, regions.ids)
        rng = np.random.default_rng(seed)
        self.answers: dict[str, int] = {}
        self.questions: list[Question] = []
        chosen_ids = rng.permutation(regions.count)[:samples].tolist()
        self.wrong = set(chosen_ids[: round(wrong * len(chosen_ids))])
        for number in chosen_ids:
            right = int(np.bincount(self.truth[self.ids == number]).argmax())
            shown = (right + 1 + int(rng.integers(len(self.classes) - 1))) % len(self.classes)
            prediction = np.full((HEIGHT, WIDTH), shown if number in self.wrong else right, np.uint8)
            question = self._question(Sample(FRAME, superpixel=(regions.fingerprint, number)), prediction)
            self.questions.append(question)
            self.answers[question.key] = right

    def measure(self, page: Page, tiles: int, by: str) -> Effort:
        tool = self._tool(tiles, f"tiles-{tiles}-{by}")
        tool.push(self.questions, lambda: None)
        keys = [question.key for question in self.questions]
        project = tool.tiles_project_id()
        assert project is not None
        with connected(self.server.url, self.server.token) as client:
            tasks = {str(row.id): tile_keys(row.data) for row in list_tasks(client, project)}
        page.open(f"{self.server.url}/projects/{project}/data?labeling=1")
        page.wait_for(f"!!{SUBMIT} && {PICTURES} > 0")
        texts = label_texts(self.classes)
        clicks, left = 0, dict(tasks)
        began = time.monotonic()
        while left:
            names = " || ".join(f"{TASK} == '{task}'" for task in left)
            page.wait_for(f"!!{SUBMIT} && !{SUBMIT}.disabled && ({names})")
            task = page.evaluate(TASK)
            of_task = left.pop(task)
            page.wait_for(f"{PICTURES} == {len(of_task)} && {chosen(len(of_task) - 1)} != ''")
            for tile, key in enumerate(of_task):
                right = self.answers[key]
                if page.evaluate(chosen(tile)) == texts[right]:
                    continue
                if by == MOUSE:
                    page.click(choice(tile, texts[right]))
                    clicks += 1
                elif tiles == 1:
                    page.press(HOTKEYS[right])
                    clicks += 1
                else:
                    clicks += choose_by_keys(page, tile, choice_texts(self.classes), texts[right])
            if by == MOUSE:
                page.click(SUBMIT)
            else:
                page.press("Enter", CTRL)
            clicks += 1
            page.wait_for(f"{TASK} != '{task}'")
        while tool.progress(keys).open:
            time.sleep(0.1)
        seconds = time.monotonic() - began
        right = 0
        for answer in tool.pull(keys):
            region = self._region(answer.key)
            right += answer.mask is not None and bool((answer.mask[region] == self.answers[answer.key]).all())
        return Effort(tiles, by, len(keys), len(tasks), len(self.wrong), clicks, round(seconds, 2), right)

    def save_pictures(self, page: Page, folder: Path) -> None:
        """labeling_frame.png, _patch.png, _superpixel.png and _tiles.png, scaled to 960 pixels of width."""
        folder.mkdir(parents=True, exist_ok=True)
        frame = self._question(Sample(FRAME), self.truth)
        patch = self._question(Sample(FRAME, box=(96, 160, 64, 64)), self.truth)
        for name, tiles, questions in (
            ("frame", 1, [frame]),
            ("patch", 1, [patch]),
            ("superpixel", 1, self.questions[:1]),
            ("tiles", 20, self.questions[:20]),
        ):
            tool = self._tool(tiles, f"picture-{name}")
            tool.push(questions, lambda: None)
            page.open(tool.link([question.key for question in questions]))
            page.wait_for(f"!!{SUBMIT} && !{SUBMIT}.disabled")
            time.sleep(15)  # until the colours are drawn
            path = folder / f"labeling_{name}.png"
            page.screenshot(path)
            _shrink(path, 960)

    def _question(self, sample: Sample, prediction: MaskArray) -> Question:
        key = question_key(VIDEO, 2, sample)
        return Question(key, VIDEO, "street", 2, sample, self.image, HEIGHT, WIDTH, prediction, "rendered", self.file)

    def _region(self, key: str) -> NDArray[np.bool_]:
        sample = Sample.parse(key.rpartition("/")[2])
        return sample.region(HEIGHT, WIDTH, self.ids)

    def _tool(self, tiles: int, name: str) -> LabelStudioTool:
        root = self.server.workspace_root
        classes = tuple(ClassConfig(name=text) for text in self.classes)
        return LabelStudioTool(
            self.server.url, self.server.token, "street", classes, None, root, root, root / f"{name}.json", tiles=tiles
        )


def choose_by_keys(page: Page, tile: int, texts: Sequence[str], wanted: str) -> int:
    """Tab to the tile, the shorter way with the arrows to what is wanted; the number of presses."""
    presses = _tab_to(page, tile)
    while (now := page.evaluate(chosen(tile))) != wanted:
        down = (texts.index(wanted) - texts.index(now)) % len(texts)
        presses += 1 + _tab_to(page, tile)  # Label Studio takes the cursor off a button that has been chosen
        page.press("ArrowDown" if 2 * down <= len(texts) else "ArrowUp")
        page.wait_for(f"{chosen(tile)} != {json.dumps(now)}")
    return presses


def _tab_to(page: Page, tile: int) -> int:
    presses = 0
    while page.evaluate(TILE) != tile:
        assert presses < 100, "the tile cannot be reached"
        page.press("Tab")
        presses += 1
    return presses


def _street(folder: Path) -> MeasuredFolder:
    write_street(folder, FRAME + 2, WIDTH, HEIGHT, 0, beat=lambda done, total: None)
    return open_measured_folder(folder)


def _frame(video: Path, index: int) -> NDArray[np.uint8]:
    capture = cv2.VideoCapture(str(video))
    for _ in range(index + 1):
        read, image = capture.read()
        assert read
    return np.ascontiguousarray(image[:, :, ::-1])


def _shrink(path: Path, width: int) -> None:
    """In few colours too: a screenshot of a page in a document."""
    from PIL import Image

    with Image.open(path) as image:
        small = image.convert("RGB").resize(
            (width, round(image.height * width / image.width)), Image.Resampling.LANCZOS
        )
        small.quantize(96).save(path, optimize=True)


if __name__ == "__main__":
    sys.exit(run_benchmark(main))
