"""What every backend of the click server promises; a new one is tested by being registered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from assist.backends import sam
from assist.backends.interface import mask_of_clicks, mask_of_history
from assist.backends.registry import BACKENDS, click_backend
from assist.clicks import Box, Click
from assist.robot import overlap
from workspace.errors import UserError


def picture(height: int, width: int) -> np.ndarray:
    """A reddish disk on a bluish ground, both a little noisy."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width]
    disk = (rows - height / 2) ** 2 + (columns - width / 2) ** 2 < (min(height, width) / 3.5) ** 2
    image = np.where(disk[..., None], [200, 70, 60], [40, 90, 170]) + rng.normal(0, 6, (height, width, 3))
    return np.clip(image, 0, 255).astype(np.uint8)


def disk_of(image: np.ndarray) -> np.ndarray:
    return (image[..., 0] > 120).astype(np.uint8)


@pytest.fixture(params=sorted(BACKENDS), scope="module")
def backend(request, tiny_model, tmp_path_factory):
    weights = tiny_sam2(tmp_path_factory.mktemp("sam2")) if request.param == "sam" else None
    return click_backend(request.param, tiny_model, weights)


@pytest.fixture(params=sorted(set(BACKENDS) - {"sam"}), scope="module")
def knowing(request, tiny_model):
    """A backend that knows something: the tiny SAM has random weights."""
    return click_backend(request.param, tiny_model)


def tiny_sam2(folder: Path) -> str:
    """A SAM 2 of one thousandth of the usual size with random weights, saved as the hub's are."""
    transformers = pytest.importorskip("transformers", reason="the extra fewclicks[sam] is not installed")
    backbone = transformers.Sam2HieraDetConfig(
        hidden_size=8, num_attention_heads=1, blocks_per_stage=[1, 1, 2, 1], embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 2, 2], global_attention_blocks=[3], image_size=[128, 128],
    )  # fmt: skip
    vision = transformers.Sam2VisionConfig(
        backbone_config=backbone, backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[32, 32], [16, 16], [8, 8]], fpn_hidden_size=32,
    )  # fmt: skip
    decoder = {"hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 1, "iou_head_hidden_dim": 16}
    config = transformers.Sam2Config(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": 32, "image_size": 128},
        mask_decoder_config=decoder,
    )
    return saved(transformers.Sam2Model, config, folder)


def tiny_sam(folder: Path) -> str:
    """The same of the first SAM."""
    transformers = pytest.importorskip("transformers", reason="the extra fewclicks[sam] is not installed")
    vision = {
        "hidden_size": 16, "output_channels": 32, "num_hidden_layers": 1, "num_attention_heads": 1, "mlp_dim": 16,
        "image_size": 64, "patch_size": 16, "window_size": 2, "global_attn_indexes": [0], "num_pos_feats": 16,
    }  # fmt: skip
    prompts = {"hidden_size": 32, "image_size": 64, "patch_size": 16, "image_embedding_size": 4}
    decoder = {"hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 1, "iou_head_hidden_dim": 16}
    config = transformers.SamConfig(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder)
    return saved(transformers.SamModel, config, folder)


def saved(kind, config, folder: Path) -> str:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kind(config).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("size", [(1, 1), (5, 90), (63, 64), (120, 160)])
def test_any_picture_any_clicks_same_answer_and_nothing_given_is_changed(backend, size) -> None:
    image = picture(*size)
    before = image.copy()
    looked = backend.look(image)
    clicks = [Click(size[0] // 2, size[1] // 2, True)]
    if size[1] > 2:
        clicks.append(Click(0, 0, False))
    previous = np.zeros(size, bool)
    for shown, mending in ((None, False), (previous, True), (~previous, False), (~previous, True)):
        for number in range(1, len(clicks) + 1):
            mask = mask_of_clicks(backend, looked, clicks[:number], previous=shown, mending=mending)
            assert mask.shape == size
            assert mask.dtype == bool
            assert all(mask[click.y, click.x] == click.positive for click in clicks[:number])
            again = mask_of_clicks(backend, backend.look(image), clicks[:number], previous=shown, mending=mending)
            np.testing.assert_array_equal(mask, again)
    np.testing.assert_array_equal(image, before)
    assert not previous.any()


def test_one_click_on_a_plain_disk_is_enough(knowing) -> None:
    image = picture(120, 160)
    looked = knowing.look(image)
    mask = mask_of_history(knowing, looked, [Click(60, 80, True)])
    assert overlap(mask, disk_of(image)) > 0.9


def test_a_box_around_a_plain_disk_is_enough(knowing) -> None:
    image = picture(120, 160)
    mask = mask_of_history(knowing, knowing.look(image), (), Box(40.0, 22.0, 118.0, 98.0))
    assert overlap(mask, disk_of(image)) > 0.85
    assert not mask[:, :30].any()


def test_a_wrong_start_is_mended_by_one_click(knowing) -> None:
    image = picture(120, 160)
    truth = disk_of(image)
    start = truth == 1
    start[:60] = False
    mended = mask_of_history(knowing, knowing.look(image), [Click(45, 80, True)], start=start)
    assert overlap(mended, truth) > overlap(start, truth) + 0.2


def test_mending_leaves_alone_what_no_click_is_about(backend) -> None:
    image = picture(240, 640)
    start = np.zeros((240, 640), bool)
    start[100:150, 290:330] = True  # on the disk in the middle
    start[10:30, 600:630] = True  # surplus, far from it
    looked, mask = backend.look(image), start
    clicks = [Click(120, 350, True), Click(100, 310, False)]
    for number, click in enumerate(clicks, 1):
        before, mask = mask, mask_of_clicks(backend, looked, clicks[:number], previous=mask, mending=True)
        assert mask[click.y, click.x] == click.positive
        assert ((mask ^ before) <= (mask if click.positive else before)).all()  # it only adds, or only takes away
        assert mask[10:30, 600:630].all()
    np.testing.assert_array_equal(start.sum(), 50 * 40 + 20 * 30)


def test_a_small_object_in_a_large_picture_is_clicked_on_thrice(knowing) -> None:
    rng = np.random.default_rng(0)
    image = np.clip(np.array([40, 90, 170]) + rng.normal(0, 6, (300, 400, 3)), 0, 255).astype(np.uint8)
    truth = np.zeros((300, 400), np.uint8)
    truth[200:240, 300:330] = 1
    image[truth == 1] = (200, 70, 60)
    clicks = [Click(220, 315, True), Click(180, 315, False), Click(220, 285, False)]
    mask = mask_of_history(knowing, knowing.look(image), clicks)
    assert mask.shape == (300, 400)
    assert overlap(mask, truth) > 0.8
    again = mask_of_history(knowing, knowing.look(image), clicks)
    np.testing.assert_array_equal(mask, again)


def test_the_version_names_the_backend(backend) -> None:
    assert backend.version
    assert len(backend.version) < 60


def test_without_any_hint_the_mask_stays(backend) -> None:
    looked = backend.look(picture(40, 40))
    start = np.eye(40, dtype=bool)
    np.testing.assert_array_equal(mask_of_clicks(backend, looked, (), previous=start), start)


def test_a_backend_that_learns_says_what_it_needs(tmp_path) -> None:
    with pytest.raises(UserError, match="'learned' needs a model"):
        click_backend("learned")
    with pytest.raises(UserError, match="no assist model in"):
        click_backend("learned", tmp_path)


def test_an_unknown_backend_is_named() -> None:
    with pytest.raises(UserError, match="no assist backend 'clasic'"):
        click_backend("clasic")


def test_the_first_sam_keeps_proportions_and_takes_the_same_hints(tmp_path) -> None:
    backend = click_backend("sam", None, tiny_sam(tmp_path))
    assert backend.version.startswith("sam-")
    image = picture(60, 120)
    looked = backend.look(image)
    assert (looked.down, looked.right) == (64 / 120, 64 / 120)
    start = disk_of(image) == 1
    for clicks, box in (([Click(30, 60, True)], None), ([], Box(30.0, 10.0, 80.0, 50.0))):
        for previous in (None, start):
            mask = mask_of_clicks(backend, looked, clicks, box, previous)
            assert mask.shape == (60, 120)
            np.testing.assert_array_equal(mask, mask_of_clicks(backend, backend.look(image), clicks, box, previous))


def test_sam_says_what_it_needs(tmp_path, monkeypatch) -> None:
    with pytest.raises(UserError, match=r"'./nowhere', which is no folder"):
        click_backend("sam", None, "./nowhere")
    (tmp_path / "config.json").write_text('{"model_type": "sam2"}')
    with pytest.raises(UserError, match="cannot be loaded"):
        click_backend("sam", None, str(tmp_path))
    monkeypatch.setattr(sam, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs the package transformers.*fewclicks\[sam\]"):
        click_backend("sam")
