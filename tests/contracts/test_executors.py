"""What every executor promises, and that the masks of a video do not depend on which one made them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from connectors.memory import MemoryTool
from flows import machine
from flows.context import Context
from flows.executors import Executor, LocalExecutor, chunks, executor_of
from flows.machine import Outcome
from workspace.config import ExecutorConfig, parse_config
from workspace.errors import LeaseLost, UserError
from workspace.facts import Facts
from workspace.files import write_image
from workspace.layout import Layout
from workspace.video import Video

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def ray_here() -> Iterator[None]:
    """A Ray of this test's own with two GPUs that it believes in."""
    before = os.environ.get("PYTHONPATH")
    os.environ |= {
        "PYTHONPATH": str(ROOT),  # its processes need our folders and those of the tests
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": 4 * "of-this-test",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    }
    ray = pytest.importorskip("ray")
    ray.init(
        address="local", num_cpus=2, num_gpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False,
        _node_ip_address="127.0.0.1",
    )  # fmt: skip
    yield
    ray.shutdown()
    os.environ.pop("PYTHONPATH")
    os.environ |= {} if before is None else {"PYTHONPATH": before}


@pytest.fixture(params=["local", pytest.param("ray", marks=pytest.mark.slow)])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    if request.param == "ray":
        request.getfixturevalue("ray_here")
    with executor_of(ExecutorConfig(name=request.param, actors=2, gpus_per_actor=1), 1) as made:
        yield made


def slower_first(scale: int, item: int, beat: Callable[[float], None]) -> int:
    time.sleep(0.2 if item == 0 else 0.0)
    beat(1.0)
    return scale * item


def lost(fraction: float) -> None:
    raise LeaseLost("gone")


def wrong(item: int, beat: Callable[[float], None]) -> int:
    if item == 1:
        raise UserError("The second one is wrong.", "Mend it.")
    return item


def bug(item: int, beat: Callable[[float], None]) -> float:
    return 1 / item


def visible_gpus(item: int, beat: Callable[[float], None]) -> tuple[str, int]:
    time.sleep(0.5)  # so that no actor does both
    return os.environ.get("CUDA_VISIBLE_DEVICES", ""), os.getpid()


def test_every_executor_keeps_the_contract(executor: Executor) -> None:
    fractions: list[float] = []
    assert list(executor.run(partial(slower_first, 3), range(5), fractions.append)) == [0, 3, 6, 9, 12]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert list(executor.run(partial(slower_first, 3), [], fractions.append)) == []
    results = executor.run(wrong, range(3), fractions.append)
    with pytest.raises(UserError, match="The second one is wrong") as told:
        list(results)
    assert told.value.hint == "Mend it."

    with pytest.raises(ZeroDivisionError):
        list(executor.run(bug, [0], fractions.append))
    results = executor.run(partial(slower_first, 3), range(5), lost)
    with pytest.raises(LeaseLost):
        list(results)


@pytest.mark.slow
def test_each_actor_has_the_gpus_it_was_promised(ray_here: None) -> None:
    with executor_of(ExecutorConfig(name="ray", actors=2, gpus_per_actor=1), 1) as executor:
        found = list(executor.run(visible_gpus, range(2), lambda _: None))
    assert {gpus for gpus, _ in found} == {"0", "1"}
    assert len({process for _, process in found} | {os.getpid()}) == 3
    too_many = executor_of(ExecutorConfig(name="ray", actors=3, gpus_per_actor=1), 1)
    with pytest.raises(UserError, match=r"3 actors with 1 GPU\(s\) each do not fit on this machine, which has 2"):
        too_many.__enter__()


def truth(frame: int) -> np.ndarray:
    """A box that moves to the right over the ground."""
    mask = np.zeros((32, 48), np.uint8)
    mask[8:24, 4 + 3 * frame : 16 + 3 * frame] = 1
    return mask


@pytest.mark.slow
def test_the_masks_are_the_same_under_both(ray_here: None, tmp_path: Path) -> None:
    video = Video("clip-0123456789", "clip", "0123456789" * 6 + "abcd", 6, 48, 32, 10.0, ".png")
    texture = np.random.default_rng(0).integers(0, 60, (32, 48, 3))
    masks = {}
    for name in ("local", "ray"):
        layout = Layout(tmp_path / name)
        for frame in range(video.frames):
            picture = texture + 150 * truth(frame)[:, :, None] * np.array([1, 0, 0])
            write_image(layout.frame(video, frame), picture.astype(np.uint8))
        settings = {
            "project": {"classes": ["ground", "box"]},
            "selection": {"budget": 2},
            "stopping": {"rounds": 1, "quality": None},
            "segmenter": {"name": "compact", "weights": None},
            "propagation": {"decoder_steps": 3, "tuning_steps": 3, "threads": 1},
            "executor": {"name": name, "actors": 2, "gpus_per_actor": 1},
        }
        with Facts.open(layout.database_file) as facts:
            facts.add_video(video)
            tool = MemoryTool(answer=lambda question: truth(question.sample.frame))
            context = Context(layout, parse_config(settings, "test"), facts, tool)
            assert machine.advance(context, video.id) is Outcome.DONE
            model = facts.last_event(video.id, "propagated").payload["model"]  # type: ignore[union-attr]
        files = sorted(layout.masks(video.id, model).glob("[0-9]*.png"))
        masks[name] = model, [path.read_bytes() for path in files]
    assert len(masks["local"][1]) == video.frames
    assert masks["local"] == masks["ray"]


def test_chunks_are_neighbours_of_nearly_one_length() -> None:
    assert chunks(range(7), 3) == [range(2), range(2, 5), range(5, 7)]
    assert chunks([1, 2], 4) == [[1], [2]]
    assert chunks([], 2) == []
    assert LocalExecutor().size == 1


def test_a_missing_ray_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'fewclicks\[ray\]'"):
        executor_of(ExecutorConfig(name="ray"), 1).__enter__()
