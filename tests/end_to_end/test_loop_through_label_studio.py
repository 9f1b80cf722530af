"""The product as a user runs it: the real command, Label Studio, Prefect's embedded mode, kill -9 in between."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml
from PIL import Image

from connectors.label_studio.annotator import LabelStudioAnnotator
from connectors.label_studio.server import LabelStudioServer
from connectors.labeling_tool import Question
from flows.rounds import newest_model
from workspace.config import ClassConfig
from workspace.facts import Facts
from workspace.files import write_image
from workspace.layout import Layout

pytestmark = [pytest.mark.label_studio, pytest.mark.slow, pytest.mark.xdist_group("label_studio")]
FRAMES, HEIGHT, WIDTH = 8, 48, 64
CLASSES = ("ground", 'box "red"')


def truth(index: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[12:36, 6 + 4 * index : 26 + 4 * index] = 1
    return mask


def fewclicks(*arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "LABEL_STUDIO_API"))}
    done = subprocess.run(
        [sys.executable, "-m", "fewclicks", *map(str, arguments)],
        env=environment | {"COLUMNS": "250", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=800,
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture
def project(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "project")
    fewclicks("init", layout.root, "--class", CLASSES[0], "--class", CLASSES[1])
    values = yaml.safe_load(layout.config_file.read_text())
    values["selection"]["budget"] = 2
    values["stopping"] |= {"rounds": 2, "quality": None}
    values["segmenter"] = {"name": "compact", "weights": None}
    values["propagation"] |= {"decoder_steps": 5, "tuning_steps": 5}
    layout.config_file.write_text(yaml.safe_dump(values))
    texture = np.random.default_rng(0).integers(0, 60, (HEIGHT, WIDTH, 3))
    for index in range(FRAMES):
        frame = texture + 150 * truth(index)[:, :, None] * np.array([1, 0, 0])
        write_image(tmp_path / "clip" / f"{index}.png", frame.astype(np.uint8))
    fewclicks("add", layout.root, tmp_path / "clip")
    return layout


@pytest.fixture
def server(project: Layout, start_label_studio: Callable[[Path], LabelStudioServer]) -> Iterator[LabelStudioServer]:
    with start_label_studio(project.root) as server:
        yield server


def annotator(project: Layout, server: LabelStudioServer) -> LabelStudioAnnotator:
    record = json.loads((project.root / "label-studio-project.json").read_text())
    classes = tuple(ClassConfig(name=name) for name in CLASSES)
    return LabelStudioAnnotator(server.url, server.token, record["project"], classes)


def prefect_servers(project: Layout) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("PREFECT_HOME") == str(project.prefect_home):
                found.append(process)
    return found


def answer(question: Question) -> np.ndarray:
    return truth(question.sample.frame)


@contextlib.contextmanager
def watched(project: Layout, output: Path) -> Iterator[Callable[[str], None]]:
    """`fewclicks run --watch`, and what waits until it says something; at the end it has ended by itself."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "LABEL_STUDIO_API"))}
    command = [sys.executable, "-u", "-m", "fewclicks", "run", str(project.root), "--watch", "--every", "1"]
    with output.open("w") as out:
        process = subprocess.Popen(
            command, env=environment | {"COLUMNS": "250", "OMP_NUM_THREADS": "1"}, stdout=out, stderr=subprocess.STDOUT
        )

    def told(text: str) -> None:
        deadline = time.monotonic() + 600
        while text not in output.read_text():
            assert time.monotonic() < deadline, output.read_text()
            assert process.poll() is None or text in output.read_text(), output.read_text()
            time.sleep(0.3)

    try:
        yield told
        assert process.wait(timeout=120) == 0, output.read_text()
    finally:
        process.kill()
        process.wait()


def test_a_video_is_labeled_end_to_end(project: Layout, server: LabelStudioServer, tmp_path: Path) -> None:
    out = fewclicks("run", project.root).stdout
    assert "round 1, waiting for 2 of 2 answers" in out
    assert server.url in out
    assert annotator(project, server).play(answer, limit=1) == 1
    assert "waiting for 1 of 2" in fewclicks("run", project.root).stdout
    assert "1 new answer(s) stored" in fewclicks("pull", project.root).stdout
    assert "0 new answer(s) stored" in fewclicks("pull", project.root).stdout
    assert annotator(project, server).play(answer) == 1
    # the second round is watched while Label Studio goes away, and comes back at another address
    with watched(project, tmp_path / "watch.txt") as told:
        told("round 2, waiting for 2 of 2")
        server.stop()
        told("No Label Studio is running for this project.")
        server.start()
        assert annotator(project, server).play(answer) == 2
        told("done, 2 rounds are done")
    status = fewclicks("status", project.root).stdout
    assert "done" in status
    assert "2/2" in status

    fewclicks("export", project.root)
    (folder,) = project.exports.iterdir()
    masks = sorted((folder / "masks").glob("*.png"))
    assert len(masks) == FRAMES
    facts = Facts.open(project.database_file)
    video = facts.videos()[0].video
    labeled = [event.payload["sample"] for event in facts.events(video.id, "label")]
    assert len(set(labeled)) == len(labeled) == 4
    for key in labeled:  # human pixels always win, all the way to the export
        index = int(key[1:])
        assert np.array_equal(np.array(Image.open(masks[index])), truth(index))
    assert len(json.loads((folder / "coco.json").read_text())["images"]) == FRAMES
    assert (folder / "overlay.mp4").stat().st_size > 1000
    assert newest_model(facts, video.id)
    facts.close()
    assert server.token not in "".join(p.read_text(errors="ignore") for p in project.root.glob("fewclicks.*"))


def test_killed_in_the_middle_and_started_again(project: Layout, server: LabelStudioServer) -> None:
    """The real program, killed with SIGKILL at ten moments spread over its whole run; then finished."""
    rng = np.random.default_rng(0)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    for pause in rng.uniform(6, 20, 6):
        process = subprocess.Popen(
            [sys.executable, "-m", "fewclicks", "run", str(project.root)],
            env=environment | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(timeout=float(pause))
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        record = project.root / "label-studio-project.json"  # killed while it was made, it names no project yet
        if record.exists() and json.loads(record.read_text())["project"] is not None:
            annotator(project, server).play(answer)
    for _ in range(4):
        if "done, 2 rounds" in fewclicks("run", project.root).stdout:
            break
        annotator(project, server).play(answer)
    else:
        pytest.fail("never done")
    facts = Facts.open(project.database_file)
    labels = Counter((event.round, event.payload["sample"]) for event in facts.events(kind="label"))
    assert set(labels.values()) == {1}
    assert len(labels) == 4
    facts.close()
    assert annotator(project, server).play(answer) == 0  # no question is left over
    assert not prefect_servers(project)  # the last run has ended those that the killed ones left
