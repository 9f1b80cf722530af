from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from propagation.propagate import fit, propagate
from workspace.config import PropagationConfig, SegmenterConfig
from workspace.errors import UserError

COMPACT = SegmenterConfig(name="compact", weights=None, input_side=128)
QUICK = PropagationConfig(decoder_steps=40, tuning_steps=6, probability_stride=4, device="cpu")


def quiet(fraction: float) -> None:
    assert 0 <= fraction <= 1 + 1e-9


def error_of(mask, truth):
    return float((mask != truth).mean())


@pytest.fixture
def run(scene, scratch):
    def run(labels, wanted=None, model="fit", classes=2, of=scene, segmenter=COMPACT, settings=QUICK):
        if model == "fit":
            model = fit(of.frames, labels, of.flow, classes, segmenter, settings, None, quiet)
        arguments = (of.frames, labels, of.flow, classes, segmenter, settings, model, scratch, wanted, quiet)
        return list(propagate(*arguments))

    return run


@pytest.mark.parametrize("model", ["fit", None])
def test_every_frame_in_order_with_the_promised_shapes(run, scene, model):
    predictions = run({0: scene.masks[0], 8: scene.masks[8]}, model=model, classes=3)
    assert [p.index for p in predictions] == list(range(9))
    for p in predictions:
        assert p.mask.shape == p.warped_mask.shape == (48, 64)
        assert p.mask.dtype == p.warped_mask.dtype == np.uint8
        assert p.probabilities.shape == (3, 12, 16)
        assert p.probabilities.dtype == np.float16
        assert np.allclose(p.probabilities.astype(np.float32).sum(axis=0), 1, atol=0.01)
        assert p.mask.max() <= 1


def test_labels_reach_the_frames_between(run, scene):
    for p in run({0: scene.masks[0], 8: scene.masks[8]}):
        assert error_of(p.warped_mask, scene.masks[p.index]) < 0.05
        assert error_of(p.mask, scene.masks[p.index]) < 0.05


def test_human_pixels_always_win(run, scene):
    rng = np.random.default_rng(0)
    wrong = rng.integers(0, 2, (48, 64)).astype(np.uint8)
    wrong[:, 40:] = 255
    labels = {0: scene.masks[0], 4: wrong, 8: scene.masks[8]}
    p = run(labels)[4]
    assert np.array_equal(p.mask[:, :40], wrong[:, :40])
    assert np.array_equal(p.warped_mask[:, :40], wrong[:, :40])
    cell = wrong[:4, :4]
    assert p.probabilities[1, 0, 0] == pytest.approx(cell.mean(), abs=1e-3)
    assert error_of(p.mask[:, 42:], scene.masks[4][:, 42:]) < 0.1  # 255 was never taken for a class


def test_the_same_input_gives_the_same_bytes_and_global_randomness_is_left_alone(scene):
    labels = {1: scene.masks[1], 6: scene.masks[6]}
    before = torch.get_rng_state()
    models = []
    for disturbance in (0, 1):
        torch.rand(disturbance + 1)
        state = torch.get_rng_state()
        models.append(fit(scene.frames, labels, scene.flow, 2, COMPACT, QUICK, None, quiet))
        assert torch.equal(torch.get_rng_state(), state)
    torch.set_rng_state(before)
    first, second = (torch.load(io.BytesIO(model), weights_only=True) for model in models)
    for name, value in first["decoder"].items():
        assert torch.equal(value, second["decoder"][name])


def test_wanted_frames_are_those_of_the_whole_run(run, scene):
    labels = {2: scene.masks[2], 7: scene.masks[7]}
    model = fit(scene.frames, labels, scene.flow, 2, COMPACT, QUICK, None, quiet)
    whole = run(labels, model=model)
    some = run(labels, model=model, wanted={5, 3})
    assert [p.index for p in some] == [3, 5]
    for p in some:
        assert np.array_equal(p.mask, whole[p.index].mask)
        assert np.array_equal(p.probabilities, whole[p.index].probabilities)
    assert run(labels, model=model, wanted=[]) == []


@pytest.mark.parametrize("size", [(37, 50), (20, 30), (64, 48), (1, 1)])
@pytest.mark.parametrize("model", ["fit", None])
def test_odd_and_tiny_frames(run, scene_of, size, model):
    of = scene_of(3, *size) if min(size) > 8 else None
    if of is None:
        of = scene_of(3, 16, 16)
        of.frames = [frame[: size[0], : size[1]].copy() for frame in of.frames]
        of.masks = [mask[: size[0], : size[1]].copy() for mask in of.masks]
    for p in run({1: of.masks[1]}, model=model, of=of):
        assert p.mask.shape == size
        assert p.probabilities.shape == (2, -(-size[0] // 4), -(-size[1] // 4))


def test_one_frame(run, scene_of):
    of = scene_of(1, 48, 64)
    (p,) = run({0: of.masks[0]}, of=of)
    assert np.array_equal(p.mask, of.masks[0])


def test_a_patch_is_enough(run, scene):
    patch = np.full((48, 64), 255, np.uint8)
    patch[10:34, 0:30] = scene.masks[0][10:34, 0:30]
    assert {0, 1} <= set(np.unique(patch))
    for p in run({0: patch}):
        assert np.isfinite(p.probabilities).all()
        assert 255 not in p.mask


def test_a_class_without_labels_is_never_predicted(run, scene):
    doubled = {i: (scene.masks[i] * 2).astype(np.uint8) for i in (0, 8)}
    for p in run(doubled, classes=4):
        assert set(np.unique(p.mask)) <= {0, 2}
        assert (p.probabilities[[1, 3]] == 0).all()


def test_no_label_at_all_is_the_users_to_mend(scene):
    for labels in ({}, {0: np.full((48, 64), 255, np.uint8)}):
        with pytest.raises(UserError, match="No pixel is labeled yet"):
            fit(scene.frames, labels, scene.flow, 2, COMPACT, QUICK, None, quiet)


def test_flow_alone_without_labels_knows_nothing(run):
    for p in run({}, model=None):
        assert (p.probabilities == np.float16(0.5)).all()


def test_what_beat_raises_ends_the_work(scene, scratch):
    class LostError(Exception):
        pass

    def lost(fraction: float) -> None:
        raise LostError

    labels = {0: scene.masks[0]}
    with pytest.raises(LostError):
        fit(scene.frames, labels, scene.flow, 2, COMPACT, QUICK, None, lost)
    with pytest.raises(LostError):
        list(propagate(scene.frames, labels, scene.flow, 2, COMPACT, QUICK, None, scratch, None, lost))


def test_beat_rises_to_one(scene):
    told: list[float] = []
    fit(scene.frames, {0: scene.masks[0], 5: scene.masks[5]}, scene.flow, 2, COMPACT, QUICK, None, told.append)
    assert told == sorted(told)
    assert told[-1] == 1
    assert max(b - a for a, b in zip([0.0, *told], told, strict=False)) < 0.2


def test_a_model_goes_on_from_the_last_round(scene):
    labels = {0: scene.masks[0], 8: scene.masks[8]}
    first = fit(scene.frames, labels, scene.flow, 2, COMPACT, QUICK, None, quiet)
    second = fit(scene.frames, labels, scene.flow, 2, COMPACT, QUICK, first, quiet)
    assert first != second
    more_classes = {**labels, 4: np.full((48, 64), 2, np.uint8)}
    fit(scene.frames, more_classes, scene.flow, 3, COMPACT, QUICK, first, quiet)


def test_a_model_of_another_segmenter_is_refused(scene, scratch):
    labels = {0: scene.masks[0]}
    model = fit(scene.frames, labels, scene.flow, 2, COMPACT, QUICK, None, quiet)
    other = SegmenterConfig(name="mobilenet_v2", weights=None, input_side=128)
    with pytest.raises(UserError, match=r"fitted on the segmenter 'compact'"):
        list(propagate(scene.frames, labels, scene.flow, 2, other, QUICK, model, scratch, None, quiet))


@pytest.fixture
def random_weights(tmp_path):
    """A mobilenet_v2 whose random weights come from a file: they count as pretrained, so the whole path runs."""
    import torchvision

    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(torchvision.models.mobilenet_v2().state_dict(), tmp_path / "w.pth")
    return SegmenterConfig(name="mobilenet_v2", weights=str(tmp_path / "w.pth"), input_side=128)


def test_pretrained_features_are_tuned_and_go_on_from_the_last_round(run, scene, random_weights):
    labels = {i: scene.masks[i] for i in (0, 3, 8)}
    first = fit(scene.frames, labels, scene.flow, 2, random_weights, QUICK, None, quiet)
    again = fit(scene.frames, labels, scene.flow, 2, random_weights, QUICK, None, quiet)
    second = fit(scene.frames, labels, scene.flow, 2, random_weights, QUICK, first, quiet)
    layers = [torch.load(io.BytesIO(model), weights_only=True)["tuned"] for model in (first, again, second)]
    assert all(torch.equal(layers[0][name], layers[1][name]) for name in layers[0])
    assert any(not torch.equal(layers[0][name], layers[2][name]) for name in layers[0])
    for p in run(labels, model=second, segmenter=random_weights):
        assert error_of(p.mask, scene.masks[p.index]) < 0.12  # six steps on random layers teach little


def test_features_can_be_left_alone(scene, random_weights):
    settings = QUICK.model_copy(update={"tuning_steps": 0})
    model = fit(scene.frames, {0: scene.masks[0]}, scene.flow, 2, random_weights, settings, None, quiet)
    assert torch.load(io.BytesIO(model), weights_only=True)["tuned"] is None


def test_a_class_that_comes_late_is_learned_on_top_of_the_last_round(run, scene, random_weights):
    """The corner of the last frames is a third class, which the first round never saw."""
    masks = [mask.copy() for mask in scene.masks]
    for mask in masks[5:]:
        mask[:12, :16] = 2
    before = fit(scene.frames, {0: masks[0]}, scene.flow, 3, random_weights, QUICK, None, quiet)
    labels = {0: masks[0], 7: masks[7]}
    model = fit(scene.frames, labels, scene.flow, 3, random_weights, QUICK, before, quiet)
    shown = run(labels, model=model, classes=3, segmenter=random_weights)
    assert (shown[7].mask == masks[7]).all()
    assert (shown[8].mask[2:10, 2:14] == 2).all()


def test_threads_are_as_they_were(run, scene):
    before = torch.get_num_threads()
    run({0: scene.masks[0]})
    assert torch.get_num_threads() == before


def test_expected_confusions_count_the_pixels_of_every_frame(run, scene):
    for p in run({0: scene.masks[0], 8: scene.masks[8]}, classes=3):
        assert p.confusion.shape == (3, 3)
        assert p.confusion.sum() == pytest.approx(48 * 64, rel=1e-3)
        predicted = np.bincount(p.mask[::2, ::2].ravel(), minlength=3) * 4
        assert np.allclose(p.confusion.sum(axis=0), predicted, rtol=1e-3)
        if p.index in (0, 8):
            assert np.allclose(p.confusion, np.diag(predicted))


@pytest.mark.parametrize("wanted", [None, [3, 7]])
def test_side_by_side_or_one_by_one_it_is_the_same(run, scene, wanted):
    labels = {0: scene.masks[0], 8: scene.masks[8]}
    model = fit(scene.frames, labels, scene.flow, 2, COMPACT, QUICK, None, quiet)
    before, made = torch.get_num_threads(), {}
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            made[threads] = run(labels, wanted, model)
    finally:
        torch.set_num_threads(before)
    assert [p.index for p in made[1]] == [p.index for p in made[3]] == (wanted or list(range(9)))
    for one, other in zip(made[1], made[3], strict=True):
        assert np.array_equal(one.mask, other.mask)
        assert np.array_equal(one.warped_mask, other.warped_mask)
        assert np.array_equal(one.probabilities, other.probabilities)
