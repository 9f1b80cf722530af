"""A model from folders of images and masks, in a folder; killed at any moment it goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from assist.box_network import BoxNetwork
from assist.click_network import ClickNetwork
from assist.encoder import encoder
from assist.examples import Example, examples_of
from assist.model_files import ModelRecord, load_record, load_state, save_record, save_state
from assist.training.box_training import BoxLesson
from assist.training.click_training import ClickLesson
from assist.training.descent import Descent
from propagation.segmenters import Features
from workspace.errors import UserError

_SAVED_EVERY_S = 60.0
_TOLD_EVERY = 50
PARTS = ("click", "box")


class Lesson(Protocol):
    descent: Descent

    def learn(self, example: Example, done: float, rng: np.random.Generator) -> float | None: ...


def train(
    folders: Sequence[Path],
    out: Path,
    name: str,
    weights: str | None,
    images: int,
    minutes: float,
    seed: int,
    say: Callable[[str], None],
    parts: Sequence[str] = PARTS,
) -> None:
    """Learn `parts` on the encoder `name` with `weights`, each from `images` drawings or for `minutes`.

    What ends first ends it. An unfinished folder `out` goes on; a finished one with the same record is left as it is.
    UserError for data that cannot be read, or an `out` that holds another model.
    """
    examples = [example for folder in folders for example in examples_of(folder)]
    if weights is not None and Path(weights).exists():
        weights = str(Path(weights).resolve())
    record = ModelRecord(name, weights, tuple(str(folder.resolve()) for folder in folders))
    if (out / "model.json").exists() and load_record(out) != record:
        raise UserError(f"{out} holds another model.", "Choose another folder with --out, or delete that one.")
    network = encoder(name, weights, seed)
    save_record(out, record)
    for part in parts:
        if (out / f"{part}.pt").exists():
            say(f"{part}: learned already")
            continue
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            lesson = _lesson(part, network)
        _learn(out, part, lesson, examples, images, minutes, seed, say)


def _lesson(part: str, network: Features) -> Lesson:
    if part == "click":
        return ClickLesson(network, ClickNetwork(network.channels))
    return BoxLesson(network, BoxNetwork(network.channels))


def _learn(
    out: Path,
    part: str,
    lesson: Lesson,
    examples: Sequence[Example],
    images: int,
    minutes: float,
    seed: int,
    say: Callable[[str], None],
) -> None:
    unfinished = out / f"{part}.unfinished.pt"
    drawn, spent = 0, 0.0
    if unfinished.exists():
        saved = load_state(unfinished)
        lesson.descent.resume(saved["lesson"])
        drawn, spent = int(saved["drawn"]), float(saved["spent"])
        say(f"{part}: goes on after {drawn} images")
    began = saved_at = time.monotonic()
    losses: list[float] = []
    while True:
        seconds = spent + time.monotonic() - began
        done = max(drawn / images, seconds / (60 * minutes))
        if done >= 1:
            break
        # each image once per turn, in an order of its own; the same after a restart
        turn, place = divmod(drawn, len(examples))
        order = np.random.default_rng([seed, turn]).permutation(len(examples))
        loss = lesson.learn(examples[order[place]], done, np.random.default_rng([seed, turn, place]))
        drawn += 1
        if loss is not None:
            losses.append(loss)
        if drawn % _TOLD_EVERY == 0 and losses:
            say(f"{part}: {drawn} images, {seconds / 60:.1f} minutes, loss {np.mean(losses[-200:]):.3f}")
        if time.monotonic() - saved_at > _SAVED_EVERY_S:
            saved_at = time.monotonic()
            save_state(unfinished, {"lesson": lesson.descent.state(), "drawn": drawn, "spent": seconds})
    if not losses and drawn < _TOLD_EVERY:
        raise UserError("The folders hold no object to learn from.", "Give masks with objects of some size.")
    save_state(out / f"{part}.pt", lesson.descent.state()["network"])
    unfinished.unlink(missing_ok=True)
    say(f"{part}: learned from {drawn} images in {seconds / 60:.1f} minutes")
