"""A model in a folder, from images with masks; killed at any moment it goes on where it was."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from assist.backends.classic import Classic
from assist.backends.learned import Learned
from assist.box_network import BoxNetwork
from assist.click_network import ClickNetwork
from assist.color_snapping import ColorSnapper
from assist.encoder import encoder
from assist.examples import Example
from assist.model_files import ModelRecord, load_into, load_record, load_state, save_record, save_state
from assist.snapping import Snapper
from assist.training.box_training import BoxLesson
from assist.training.click_training import ClickLesson
from assist.training.descent import Descent
from assist.training.held_out import box_score, click_score
from propagation.segmenters import Features
from workspace.errors import UserError
from workspace.files import read_json, write_json

_SAVED_EVERY_S = 60.0
_TOLD_EVERY = 50
_RATE = 2e-3  # the learning rate at its highest
_RATE_OF_MORE = 5e-4  # of a network that knows something already
PARTS = ("click", "box")

Network = ClickNetwork | BoxNetwork


class Lesson(Protocol):
    descent: Descent

    def learn(self, example: Example, done: float, rng: np.random.Generator) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Material:
    """What to learn from, and what to judge by: `held_out`, of which nothing is in `examples`; empty: nothing judges.

    sources: where it comes from, in words;  fingerprint: changes whenever the material does
    """

    examples: tuple[Example, ...]
    held_out: tuple[Example, ...]
    sources: tuple[str, ...]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Effort:
    """What ends first ends it, for each part.  images: drawn to learn from"""

    images: int
    minutes: float
    seed: int = 0


def train(
    material: Material,
    out: Path,
    name: str,
    weights: str | None,
    effort: Effort,
    say: Callable[[str], None],
    parts: Sequence[str] = PARTS,
) -> None:
    """Learn `parts` on the encoder `name` with `weights` into the folder `out`.

    An unfinished folder goes on; one that is finished, and from the same material, is left as it is. From other
    material it learns on, and what it learned takes the place of what was there, at once, only if it does better on
    held-out labels; without any, UserError. The same for an `out` with another encoder.
    """
    if weights is not None and Path(weights).exists():
        weights = str(Path(weights).resolve())
    record = ModelRecord(name, weights, material.sources)
    before = load_record(out) if (out / "model.json").exists() else None
    if before is not None and (
        (before.encoder, before.weights) != (name, weights) or (before != record and not material.held_out)
    ):
        raise UserError(f"{out} holds another model.", "Choose another folder with --out, or delete that one.")
    maps = encoder(name, weights, effort.seed)
    save_record(out, record)
    for part in parts:
        there = (out / f"{part}.pt").exists()
        if there and (not material.held_out or _judged(out, part) == material.fingerprint):
            say(f"{part}: learned already")
            continue
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(effort.seed)
            network = _network(part, maps)
        if there:
            load_into(network, out / f"{part}.pt")
            network.train().requires_grad_(True)
        lesson = _lesson(part, maps, network, _RATE_OF_MORE if there else _RATE)
        _learn(out, part, lesson, material, effort, say)
        if _is_better(out, part, maps, network, material, say):
            save_state(out / f"{part}.pt", network.state_dict())
        if material.held_out:
            write_json(out / f"{part}.judged.json", {"material": material.fingerprint})
        (out / f"{part}.unfinished.pt").unlink(missing_ok=True)


def _network(part: str, maps: Features) -> Network:
    return ClickNetwork(maps.channels) if part == "click" else BoxNetwork(maps.channels)


def _lesson(part: str, maps: Features, network: Any, rate: float) -> Lesson:
    return ClickLesson(maps, network, rate) if part == "click" else BoxLesson(maps, network, rate)


def _judged(out: Path, part: str) -> str | None:
    """The fingerprint of the material that this part was last learned from, whether that was kept or not."""
    file = out / f"{part}.judged.json"
    value = read_json(file) if file.exists() else None
    return str(value.get("material")) if isinstance(value, dict) else None


def _is_better(
    out: Path, part: str, maps: Features, network: Network, material: Material, say: Callable[[str], None]
) -> bool:
    """Whether `network` does better on held-out labels than the one in `out`, or than help without learning."""
    if not material.held_out:
        return True
    network.eval().requires_grad_(False)
    old: Network | None = None
    if (out / f"{part}.pt").exists():
        old = _network(part, maps)
        load_into(old, out / f"{part}.pt")
    new_score, old_score = (_score(part, maps, one, material.held_out) for one in (network, old))
    if math.isnan(new_score):
        raise UserError("No object is in the held-out labels.", "Label more frames first.")
    better = new_score > old_score
    than = "help without learning" if old is None else "the model that is there"
    verdict = "it is taken" if better else "it is not taken"
    say(f"{part}: on held-out labels {new_score:.3f}, {than} {old_score:.3f}: {verdict}")
    return better


def _score(part: str, maps: Features, network: Network | None, examples: Sequence[Example]) -> float:
    """None: help without learning."""
    if isinstance(network, ClickNetwork):
        return click_score(Learned(maps, network, "candidate"), examples)
    if isinstance(network, BoxNetwork):
        return box_score(Snapper(maps, network, "candidate"), examples, 0)
    return click_score(Classic(), examples) if part == "click" else box_score(ColorSnapper(), examples, 0)


def _learn(
    out: Path, part: str, lesson: Lesson, material: Material, effort: Effort, say: Callable[[str], None]
) -> None:
    """Ends with everything learned in `lesson` and in the unfinished file, whose name that is for whoever is killed."""
    unfinished, examples = out / f"{part}.unfinished.pt", material.examples
    drawn, spent, before = 0, 0.0, 0
    if unfinished.exists():
        saved = load_state(unfinished)
        if saved.get("material") == material.fingerprint:
            lesson.descent.resume(saved["lesson"])
            before = drawn = int(saved["drawn"])
            spent = float(saved["spent"])
            say(f"{part}: goes on after {drawn} images")
    began = saved_at = time.monotonic()
    losses: list[float] = []

    def save(seconds: float) -> None:
        state = {"lesson": lesson.descent.state(), "drawn": drawn, "spent": seconds, "material": material.fingerprint}
        save_state(unfinished, state)

    while True:
        seconds = spent + time.monotonic() - began
        done = max(drawn / effort.images, seconds / (60 * effort.minutes))
        if done >= 1:
            break
        # each image once per turn, in an order of its own; the same after a restart
        turn, place = divmod(drawn, len(examples))
        order = np.random.default_rng([effort.seed, turn]).permutation(len(examples))
        rng = np.random.default_rng([effort.seed, turn, place])
        loss = lesson.learn(examples[order[place]], done, rng)
        drawn += 1
        if loss is not None:
            losses.append(loss)
        if drawn % _TOLD_EVERY == 0 and losses:
            say(f"{part}: {drawn} images, {seconds / 60:.1f} minutes, loss {np.mean(losses[-200:]):.3f}")
        if time.monotonic() - saved_at > _SAVED_EVERY_S:
            saved_at = time.monotonic()
            save(seconds)
    if not losses and not before:
        raise UserError("The folders hold no object to learn from.", "Give masks with objects of some size.")
    save(seconds)
    say(f"{part}: learned from {drawn} images in {seconds / 60:.1f} minutes")
