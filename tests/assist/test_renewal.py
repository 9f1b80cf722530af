"""More labels make a better model, never a worse one, and a server that runs takes it up."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from assist.box_network import BoxNetwork
from assist.color_snapping import ColorSnapper
from assist.encoder import encoder
from assist.examples import Example, examples_of, masked_example
from assist.model_files import save_state
from assist.renewal import ModelFolder, box_snapper
from assist.service import Assist
from assist.snapping import Snapper
from assist.training.held_out import box_score, click_score
from assist.training.train import Effort, Material, train
from tests.assist_fixture import write_footage
from workspace.errors import UserError


def learn(material: Material, out: Path, images: int) -> list[str]:
    said: list[str] = []
    train(material, out, "compact", None, Effort(images, 30.0), said.append, ("box",))
    return said


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Material:
    every = examples_of(write_footage(tmp_path_factory.mktemp("right") / "f", 24))
    return Material(tuple(every[6:]), tuple(every[:6]), ("right",), "right")


@pytest.fixture(scope="module")
def wrong(right: Material) -> Material:
    """Masks of the left half of each object: who believes them snaps to halves."""

    def halves(objects, smallest_px: int) -> list[np.ndarray]:
        masks = objects(smallest_px)
        for mask in masks:
            columns = np.flatnonzero(mask.any(axis=0))
            mask[:, columns[len(columns) // 2] :] = 0
        return masks

    examples = tuple(Example(e.image_path, partial(halves, e.objects)) for e in right.examples)
    return Material(examples, right.held_out, ("wrong",), "wrong")


@pytest.fixture(scope="module")
def good(right: Material, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good") / "m"
    assert learn(replace(right, held_out=()), folder, 40)[-1].startswith("box: learned from 40")  # nothing judges
    said = learn(right, folder, 2)
    assert "the model that is there" in said[-1]
    return folder


def test_the_first_model_is_taken_only_if_it_does_better_than_what_ships(right, tmp_path) -> None:
    """Plain rectangles of one colour: there nothing need be learned."""
    assert box_score(ColorSnapper(), right.held_out, 0) > 0.9  # as they are drawn about 0.8
    said = learn(right, tmp_path / "m", 2)
    assert "help without learning" in said[-1]
    assert said[-1].endswith("it is not taken")
    assert not (tmp_path / "m" / "box.pt").exists()
    assert isinstance(box_snapper(tmp_path / "m"), ColorSnapper)


def test_what_is_worse_on_held_out_labels_is_never_swapped_in(right, wrong, good, tmp_path) -> None:
    out = tmp_path / "m"
    shutil.copytree(good, out)
    assert box_score(Snapper.of(out), right.held_out, 0) > box_score(None, right.held_out, 0)
    before = (out / "box.pt").read_bytes()
    assert learn(right, out, 40) == ["box: learned already"]

    said = learn(wrong, out, 24)
    assert "the model that is there" in said[-1]
    assert said[-1].endswith("it is not taken")
    assert (out / "box.pt").read_bytes() == before
    assert learn(wrong, out, 24) == ["box: learned already"]  # and found wanting
    assert sorted(file.name for file in out.iterdir()) == ["box.judged.json", "box.pt", "model.json"]


def test_a_running_server_takes_up_what_is_better_and_leaves_what_it_cannot_read(right, good, tmp_path) -> None:
    out = tmp_path / "m"
    shutil.copytree(good, out)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = BoxNetwork(encoder("compact", None).channels)
        with torch.no_grad():
            network.along[0].third.weight.normal_(0, 5)
    save_state(out / "box.pt", network.state_dict())  # made worse on purpose
    (out / "box.judged.json").unlink()
    assert box_score(Snapper.of(out), right.held_out, 0) < 0.5  # much worse than no help, which gives about 0.8
    folder = ModelFolder("classic", out, looked_every_s=0.0)
    before = folder.helpers.snapper
    assert before is not None
    assist = Assist(None, folder.helpers.backend, before, renewed=folder.renewed)  # type: ignore[arg-type]
    assist._renew()
    assert assist._snapper is before

    said = learn(right, out, 40)
    assert said[-1].endswith("it is taken")
    assist._renew()
    better = assist._snapper
    assert better is not None
    assert better.version == Snapper.of(out).version != before.version

    (out / "box.pt").write_bytes(b"cut off in the middle")
    assist._renew()
    assert assist._snapper is better


class _Knows:
    """Answers the truth, or nothing but what it is told."""

    version = "knows"

    def __init__(self, truth: np.ndarray | None) -> None:
        self._truth = truth

    def look(self, image: np.ndarray) -> tuple[int, ...]:
        return image.shape[:2]

    def segment(self, looked, clicks, box, previous) -> np.ndarray:
        return np.zeros(looked, bool) if self._truth is None else self._truth == 1


def test_scores_are_worked_out_on_paper(tmp_path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((60, 80, 3), np.uint8))
    mask = np.zeros((60, 80), np.uint8)
    mask[20:40, 20:50] = 1
    whole = masked_example(tmp_path / "a.png", ("background", "thing"), lambda: mask)
    assert click_score(_Knows(mask), [whole]) == 1.0
    told = click_score(_Knows(None), [whole])  # a disk of 5 px per click: about 80 pixels of 600
    assert 0.05 < told < 0.5
    assert 0.6 < box_score(None, [whole], 0) < 1.0
    cut = mask.copy()
    cut[:, 40:] = 255  # its right edge is not known
    assert np.isnan(box_score(None, [masked_example(tmp_path / "a.png", ("background", "thing"), lambda: cut)], 0))
    assert np.isnan(click_score(_Knows(None), []))


def test_other_masks_without_held_out_labels_are_another_model(right, tmp_path) -> None:
    learn(right, tmp_path / "m", 1)
    other = Material(right.examples, (), ("other",), "other")
    with pytest.raises(UserError, match="holds another model"):
        learn(other, tmp_path / "m", 1)
