"""The whole loop against a real Label Studio over a network that refuses, crawls and breaks off in the middle."""

from __future__ import annotations

import hashlib
import random
import shutil
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from connectors.label_studio import importing, patience
from connectors.label_studio.annotator import LabelStudioAnnotator
from connectors.label_studio.client import connected, list_tasks
from connectors.label_studio.server import LabelStudioServer
from connectors.label_studio.tool import LabelStudioTool
from connectors.labeling_tool import LabelingTool
from connectors.memory import MemoryTool
from flows import machine
from flows.context import Context
from workspace.config import parse_config
from workspace.errors import ToolUnavailable
from workspace.facts import Facts
from workspace.files import write_image
from workspace.layout import Layout
from workspace.states import State
from workspace.video import Video

pytestmark = [pytest.mark.label_studio, pytest.mark.slow, pytest.mark.xdist_group("label_studio")]
FRAMES, HEIGHT, WIDTH = 4, 24, 32
VIDEOS = [
    Video(f"net{n}-0123456789", f"net{n}", f"{n + 1:064x}", FRAMES, WIDTH, HEIGHT, 10.0, ".png") for n in range(2)
]
FAULTS = ("refused", "slow", "cut", "cut before the answer", "none", "none")
CONFIG = parse_config(
    {
        "project": {"name": "network", "classes": ["ground", "box"]},
        "selection": {"budget": 2},
        "stopping": {"rounds": 2, "quality": None},
        "segmenter": {"name": "compact", "weights": None},
        "propagation": {"decoder_steps": 2, "tuning_steps": 2},
    },
    "network",
)


def truth(number: int, frame: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[4 + 2 * number : 16 + 2 * number, 2 + 4 * frame : 14 + 4 * frame] = 1
    return mask


class BadNetwork:
    """Between us and a server: every connection has a fault, or none, by chance. Counts them."""

    def __init__(self, port: int, seed: int) -> None:
        self._target, self._chance = port, random.Random(seed)
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.port = self._socket.getsockname()[1]
        self.met: Counter[str] = Counter()

    @contextmanager
    def open(self) -> Iterator[None]:
        thread = threading.Thread(target=self._accept, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            thread.join(10)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                fault, left = self._chance.choice(FAULTS), self._chance.randrange(1, 3000)
                self.met[fault] += 1
                if fault == "refused":
                    break_off(client)
                    continue
                server = socket.create_connection(("127.0.0.1", self._target))
                allowed = {"cut": left, "cut before the answer": 0}.get(fault)
                pause = 0.01 if fault == "slow" else 0.0
                for source, target, most in ((client, server, None), (server, client, allowed)):
                    threading.Thread(target=carry, args=(source, target, most, pause), daemon=True).start()


def carry(source: socket.socket, target: socket.socket, most: int | None, pause: float) -> None:
    """Bytes from one side to the other, in small pieces; after `most` of them both are broken off."""
    with suppress(OSError):
        while data := source.recv(512 if pause else 65536):
            if most is not None and len(data) > most:
                target.sendall(data[:most])
                break
            most = None if most is None else most - len(data)
            target.sendall(data)
            time.sleep(pause)
    for end in (source, target):
        break_off(end)


def break_off(end: socket.socket) -> None:
    """In whatever stands there: a reset where nothing was sent yet, else an end in the middle."""
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.shutdown(socket.SHUT_RDWR)  # closing alone would not wake the thread that reads from it
    end.close()


def result(layout: Layout, facts: Facts, video: Video) -> tuple[Any, ...]:
    model = facts.last_event(video.id, "propagated")
    assert model is not None
    masks = sorted(layout.masks(video.id, model.payload["model"]).glob("*.png"))
    labels = [(e.round, e.payload["sample"], e.payload["known_pixels"]) for e in facts.events(video.id, "label")]
    return (
        [event.payload["samples"] for event in facts.events(video.id, "selected")],
        sorted(labels),
        hashlib.sha256(b"".join(path.read_bytes() for path in masks)).hexdigest(),
    )


@pytest.fixture
def of_a_quiet_run(tmp_path: Path) -> dict[str, tuple[Any, ...]]:
    layout = Layout(tmp_path)
    tool = MemoryTool(answer=lambda q: truth(int(q.video[3]), q.sample.frame))
    found = {}
    for number, video in enumerate(VIDEOS):
        for frame in range(FRAMES):
            picture = 40 + 150 * truth(number, frame)[:, :, None] * np.array([1, 0, 0])
            write_image(layout.frame(video, frame), picture.astype(np.uint8))
    with Facts.open(layout.database_file) as facts:
        for video in VIDEOS:
            facts.add_video(video)
            machine.advance(Context(layout, CONFIG, facts, tool), video.id)
            found[video.id] = result(layout, facts, video)
    return found


@pytest.mark.timeout(900)
def test_every_video_ends_as_over_a_good_network(
    of_a_quiet_run: dict[str, tuple[Any, ...]],
    label_studio_server: LabelStudioServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, root = label_studio_server, label_studio_server.workspace_root
    monkeypatch.setattr(patience, "PAUSES_S", (0.01,) * 4)
    monkeypatch.setattr(importing, "PAUSES_S", (0.01, 0.05))
    network = BadNetwork(int(server.url.rsplit(":", 1)[1]), seed=5)
    layout = Layout(root)
    for video in VIDEOS:  # the very same frames, where this server may read them
        shutil.copytree(Layout(tmp_path).video(video.id) / "frames", layout.video(video.id) / "frames")
    classes = CONFIG.project.classes
    file = tmp_path / "network-project.json"
    tool: LabelingTool = LabelStudioTool(
        f"http://127.0.0.1:{network.port}", server.token, "network", classes, None, root, root, file, batch=1
    )
    troubles = 0
    with network.open(), Facts.open(tmp_path / "network.db") as facts:
        for video in VIDEOS:
            facts.add_video(video)
        context = Context(layout, CONFIG, facts, tool)
        deadline = time.monotonic() + 800
        while any(row.state is not State.DONE for row in facts.videos()):
            assert time.monotonic() < deadline, [row.state for row in facts.videos()]
            for row in facts.videos():
                try:
                    machine.advance(context, row.video.id)
                except ToolUnavailable:
                    troubles += 1
            project = tool.project_id()
            if project is not None:
                annotator = LabelStudioAnnotator(server.url, server.token, project, classes)  # people have a good one
                annotator.play(lambda q: truth(int(q.video[3]), q.sample.frame))
        assert troubles >= 3, network.met
        assert all(network.met[fault] for fault in FAULTS), network.met
        for video in VIDEOS:
            assert result(layout, facts, video) == of_a_quiet_run[video.id]
            assert facts.tally(video.id).failed == 0  # it was not the video's fault
    with connected(server.url, server.token) as client:
        assert project is not None
        keys = Counter(row.data["fewclicks_key"] for row in list_tasks(client, project))
    assert set(keys.values()) == {1}
    assert len(keys) == len(VIDEOS) * 4
