"""Training: it learns, goes on after a kill, and says what is wrong with what it is given."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from assist.backends.learned import Learned
from assist.click_network import CLICK_MAPS, WALKED, ClickNetwork, Maps, compare
from assist.clicks import Click
from assist.encoder import encoder
from assist.examples import examples_of, objects_of
from assist.model_files import load_state
from assist.training.box_training import BoxLesson
from assist.training.click_training import drawn, inside_click, mask_loss, spoiled
from assist.training.train import Effort, train
from tests.assist_fixture import material
from workspace.errors import UserError


def test_the_loss_of_a_right_answer_is_nothing_and_what_nobody_knows_never_counts() -> None:
    target = torch.tensor([[[1.0, 0.0], [1.0, -1.0]]])
    right = torch.tensor([[[30.0, -30.0], [30.0, 30.0]]])
    assert float(mask_loss(right, target)) == pytest.approx(0, abs=1e-4)
    other = right.clone()
    other[0, 1, 1] = -30.0
    assert float(mask_loss(other, target)) == float(mask_loss(right, target))
    # everything undecided: cross-entropy ln 2; overlap 0.5 * 2 / (2 * 1 + 0.5)
    assert float(mask_loss(torch.zeros(1, 2, 2), target)) == pytest.approx(0.3 * np.log(2) + 1 - 1 / 2.5, rel=1e-5)


def test_the_gradient_of_the_loss_points_towards_the_target() -> None:
    logits = torch.zeros(1, 2, 2, requires_grad=True)
    mask_loss(logits, torch.tensor([[[1.0, 0.0], [1.0, -1.0]]])).backward()
    assert logits.grad is not None
    assert logits.grad[0].sign().tolist() == [[-1.0, 1.0], [-1.0, 0.0]]


def test_a_taught_click_is_inside_the_larger_mistake() -> None:
    truth = np.zeros((40, 40), np.uint8)
    truth[5:25, 5:25] = 1
    mask = np.zeros((40, 40), bool)
    mask[30:36, 30:36] = True
    for seed in range(20):
        click = inside_click(mask, truth, np.random.default_rng(seed))
        assert click is not None
        assert click.positive
        assert truth[click.y, click.x] == 1
    assert inside_click(truth == 1, truth, np.random.default_rng(0)) is None


def test_a_fresh_network_says_what_the_random_walk_says() -> None:
    network = ClickNetwork((3, 12))
    told = torch.zeros(1, CLICK_MAPS, 8, 8)
    told[:, WALKED] = 2.0
    levels = (torch.randn(1, 3, 32, 32), torch.randn(1, 12, 4, 4))
    maps = network.image_maps(Maps(levels, compare(levels), 32, 32, 32, 32, 1.0))
    assert [tuple(some.shape[-2:]) for some in maps] == [(8, 8), (4, 4), (2, 2)]
    assert torch.allclose(network(maps, told), torch.full((1, 8, 8), 1.0))


def test_a_lesson_may_begin_with_a_mask_that_is_wrong_in_places() -> None:
    truth = np.zeros((80, 120), bool)
    truth[20:60, 30:90] = True
    masks = [spoiled(truth, np.random.default_rng(seed)) for seed in range(30)]
    overlaps = np.array([(mask & truth).sum() / (mask | truth).sum() for mask in masks])
    assert overlaps.min() > 0.4  # still that object
    assert 0.1 < (1 - overlaps).mean() < 0.4  # but there is something to mend
    assert not spoiled(np.zeros((8, 8), bool), np.random.default_rng(0)).any()


def test_a_lesson_shows_the_object_whole_or_the_part_around_it(footage) -> None:
    example = examples_of(footage)[0]
    shares = []
    for seed in range(20):
        image, truth = drawn(example, np.random.default_rng(seed))
        assert truth is not None
        assert image.shape[:2] == truth.shape
        shares.append(float((truth == 1).mean()))
        red = image[truth == 1].astype(int)
        assert (red[:, 0] > red[:, 2]).mean() > 0.9  # the mask lies on the red rectangle, mirrored or not
    assert max(shares) > 1.5 * min(shares)


def test_a_killed_training_ends_as_an_unbroken_one(footage, tmp_path) -> None:
    said: list[str] = []
    train(material(footage), tmp_path / "whole", "compact", None, Effort(8, 60.0), said.append, ("box",))
    assert said[-1].startswith("box: learned from 8 images")

    learn, calls = BoxLesson.learn, iter(range(100))

    def dying(self, example, done, rng):
        if next(calls) == 4:
            raise KeyboardInterrupt
        return learn(self, example, done, rng)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("assist.training.train._SAVED_EVERY_S", -1.0)
        patch.setattr(BoxLesson, "learn", dying)
        with pytest.raises(KeyboardInterrupt):
            train(material(footage), tmp_path / "broken", "compact", None, Effort(8, 60.0), said.append, ("box",))
        assert (tmp_path / "broken" / "box.unfinished.pt").exists()
        train(material(footage), tmp_path / "broken", "compact", None, Effort(8, 60.0), said.append, ("box",))
    assert "box: goes on after 4 images" in said
    whole, broken = (load_state(tmp_path / name / "box.pt") for name in ("whole", "broken"))
    assert all(torch.equal(whole[name], broken[name]) for name in whole)
    assert not (tmp_path / "broken" / "box.unfinished.pt").exists()
    train(material(footage), tmp_path / "whole", "compact", None, Effort(8, 60.0), said.append, ("box",))
    assert said[-1] == "box: learned already"
    with pytest.raises(UserError, match="holds another model"):
        train(material(footage), tmp_path / "whole", "resnet18", None, Effort(8, 60.0), said.append, ("box",))


def test_an_encoder_of_torchvision_is_taken_by_name(footage, tmp_path) -> None:
    train(material(footage), tmp_path / "m", "mobilenet_v2", None, Effort(2, 60.0), lambda text: None, ("click",))
    backend = Learned.of(tmp_path / "m")
    image, (truth,) = examples_of(footage)[0].read()
    y, x = (int(v.mean()) for v in np.nonzero(truth == 1))
    assert backend.segment(backend.look(image), [Click(y, x, True)], None, None)[y, x]
    assert backend.version.startswith("learned-mobilenet_v2-")
    (tmp_path / "m" / "click.pt").write_bytes(b"no model")
    with pytest.raises(UserError, match=r"click\.pt cannot be read"):
        Learned.of(tmp_path / "m")
    assert encoder("compact", None).channels


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "masks" / "0.png").unlink(), "0.png has no mask"),
        (lambda folder: (folder / "meta.json").unlink(), "meta.json is missing"),
        (lambda folder: (folder / "frames").rename(folder / "pictures"), "holds no frames/"),
        (lambda folder: (folder / "masks").rename(folder / "labels"), "holds no masks/"),
    ],
)
def test_data_that_cannot_be_learned_from_is_named(tmp_path, footage, spoil, message) -> None:
    shutil.copytree(footage, tmp_path / "f")
    spoil(tmp_path / "f")
    with pytest.raises(UserError, match=message):
        train(material(tmp_path / "f"), tmp_path / "m", "compact", None, Effort(2, 60.0), lambda text: None)


def test_objects_of_several_classes_are_their_parts(tmp_path) -> None:
    mask = np.full((30, 60), 0, np.uint8)
    mask[2:14, 2:14] = mask[2:14, 30:44] = 1
    mask[16:28, 2:20] = 2
    mask[16:28, 30:31] = 2  # too few pixels
    mask[20:, 50:] = 255
    found = objects_of(mask, ("Background", "car", "tree"))
    assert [int((f == 1).sum()) for f in found] == [144, 168, 216]
    assert all((f[20:, 50:] == 255).all() for f in found)
    meta = json.dumps({"classes": ["a"], "ignore": None})
    (tmp_path / "meta.json").write_text(meta)
    with pytest.raises(UserError, match="holds no frames"):
        examples_of(tmp_path)
