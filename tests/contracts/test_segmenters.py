"""Every registered segmenter keeps the contract: its maps, its determinism, and that a fit on them helps."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from propagation import fit as fitting
from propagation import propagate as propagating
from propagation.canvas import canvas
from propagation.flow import dis_flow
from propagation.model import from_bytes
from propagation.segmenters import SEGMENTERS, Features, features
from propagation.torchvision_features import CHOSEN
from workspace.config import PropagationConfig, SegmenterConfig

CPU = torch.device("cpu")
SETTINGS = PropagationConfig(decoder_steps=12, flow_loss_weight=0.0, learning_rate=1e-2, device="cpu")
HEIGHT, WIDTH, FRAMES = 48, 64, 5
HEAVY = {"deeplabv3_resnet101", "deeplabv3_resnet50", "fcn_resnet101", "fcn_resnet50", "resnet50", "convnext_tiny"}
EVERY = [pytest.param(name, marks=pytest.mark.slow if name in HEAVY else ()) for name in sorted(SEGMENTERS)]
FITTED = [*sorted(set(SEGMENTERS) - HEAVY), pytest.param("deeplabv3_resnet50", marks=pytest.mark.slow)]
every = pytest.mark.parametrize("made", EVERY, indirect=True, scope="module")


@dataclass(frozen=True)
class Made:
    config: SegmenterConfig
    features: Features


def tiny_sam2(folder: Path) -> str:
    """A SAM 2 of one thousandth of the usual size with random weights, saved as the hub's are."""
    transformers = pytest.importorskip("transformers", reason="the extra fewclicks[sam] is not installed")
    backbone = transformers.Sam2HieraDetConfig(
        hidden_size=8,
        num_attention_heads=1,
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 2, 2],
        global_attention_blocks=[3],
        image_size=[128, 128],
    )
    vision = transformers.Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[32, 32], [16, 16], [8, 8]],
        fpn_hidden_size=32,
    )
    config = transformers.Sam2VideoConfig(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": 32, "image_size": 128},
        mask_decoder_config={"hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 1, "iou_head_hidden_dim": 16},
        image_size=128,
        memory_attention_hidden_size=32,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=32,
        memory_attention_rope_feat_sizes=[8, 8],
        memory_encoder_hidden_size=32,
        memory_encoder_output_channels=8,
        mask_downsampler_embed_dim=32,
        memory_fuser_embed_dim=32,
        memory_fuser_intermediate_dim=32,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.Sam2VideoModel(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    name = str(request.param)
    weights = tiny_sam2(tmp_path_factory.mktemp("sam2")) if name == "sam2" else None
    config = SegmenterConfig(name=name, weights=weights, input_side=64)
    return Made(config, features(config, CPU, 3))


def image(batch: int, height: int, width: int) -> torch.Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(0))


@every
@pytest.mark.parametrize("size", [(32, 32), (64, 96)])
def test_maps_are_as_declared(made: Made, size: tuple[int, int]) -> None:
    levels = made.features(image(2, *size))
    assert tuple(level.shape[1] for level in levels) == tuple(made.features.channels)
    assert len(levels) >= 4
    for level in levels:
        assert level.shape[0] == 2
        assert level.dtype == torch.float32
        assert not level.requires_grad
        assert torch.isfinite(level).all()
        stride = size[0] // level.shape[2]
        assert stride in (1, 2, 4, 8, 16, 32)
        assert tuple(level.shape[2:]) == (size[0] // stride, size[1] // stride)
    assert levels[0].shape[2:] == size
    widths = [level.shape[3] for level in levels]
    assert widths == sorted(widths, reverse=True)  # finest first
    assert sum(made.features.channels) < 1500  # of each of 200,000 pixels the decoder keeps a column


@every
def test_the_seed_decides_and_global_randomness_is_left_alone(made: Made) -> None:
    torch.rand(1)
    before = torch.get_rng_state()
    again = features(made.config, CPU, 3)
    assert torch.equal(torch.get_rng_state(), before)
    for level, same in zip(made.features(image(1, 64, 96)), again(image(1, 64, 96)), strict=True):
        assert torch.equal(level, same)


@every
def test_a_frame_has_the_same_maps_alone_and_in_a_batch(made: Made) -> None:
    both = image(2, 64, 96)
    for together, alone in zip(made.features(both), made.features(both[1:]), strict=True):
        assert torch.allclose(together[1:], alone, rtol=1e-3, atol=1e-3 * float(alone.abs().max()))


@every
def test_all_of_it_moves_to_a_device_and_nothing_is_learned(made: Made) -> None:
    """To the meta device, which has shapes but no numbers: a tensor that stayed behind could not be combined there."""
    assert isinstance(made.features, torch.nn.Module)
    held = [*made.features.parameters(), *made.features.buffers()]
    assert not made.features.training
    assert not any(tensor.requires_grad for tensor in held)
    moved = deepcopy(made.features).to("meta")
    levels = moved(torch.zeros(1, 3, 64, 96, device="meta"))
    assert {level.device.type for level in levels} == {"meta"}


@pytest.mark.parametrize("made", FITTED, indirect=True, scope="module")
def test_a_fit_on_its_maps_finds_the_square(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """A square moves over a ground; two frames of five are labeled. Its decoder alone, on a frame without labels, finds
    most of the square, and what is propagated is better than that no square is there."""
    frames, masks = clip()
    for module in (fitting, propagating):
        monkeypatch.setattr(module, "features", lambda *_: deepcopy(made.features))  # slow to make; fitting changes it
    labels = {0: masks[0], 4: masks[4]}

    def flow(source: int, target: int) -> np.ndarray:
        return dis_flow(frames[source], frames[target], 640)

    model = fitting.fit(frames, labels, flow, 2, made.config, SETTINGS, None, lambda _: None)
    backbone = deepcopy(made.features)
    fitted = from_bytes(model, backbone, CPU)
    with torch.inference_mode():
        sizes = canvas(HEIGHT, WIDTH, made.config.input_side)
        said = fitted.opinion(backbone, sizes, frames[2], CPU).argmax(dim=0).numpy().astype(bool)
    square = masks[2][::2, ::2].astype(bool)
    assert (said & square).sum() / (said | square).sum() > 0.5
    scratch = Scratch()
    for made_of in propagating.propagate(
        frames, labels, flow, 2, made.config, SETTINGS, model, scratch, [1, 2, 3], lambda _: None
    ):
        truth = masks[made_of.index]
        assert (made_of.mask != truth).mean() < 0.3 * (truth == 1).mean()


class Scratch(dict[str, np.ndarray]):
    def put(self, name: str, array: np.ndarray) -> None:
        self[name] = array

    def get(self, name: str) -> np.ndarray:  # type: ignore[override]
        return self[name]


def clip() -> tuple[list[np.ndarray], list[np.ndarray]]:
    rng = np.random.default_rng(0)
    ground = np.kron(rng.integers(40, 160, (HEIGHT // 4, WIDTH // 4, 1)), np.ones((4, 4, 3)))
    square = np.kron(rng.integers(100, 255, (5, 5, 1)), np.ones((4, 4, 1))) * [1.0, 0.5, 0.2]
    frames, masks = [], []
    for index in range(FRAMES):
        frame, mask = ground.copy(), np.zeros((HEIGHT, WIDTH), np.uint8)
        where = np.s_[14:34, 8 + 4 * index : 28 + 4 * index]
        frame[where], mask[where] = square, 1
        frames.append((frame + rng.normal(0, 2, frame.shape)).clip(0, 255).astype(np.uint8))
        masks.append(mask)
    return frames, masks


def test_maps_chosen_by_hand_belong_to_registered_segmenters() -> None:
    assert set(CHOSEN) <= set(SEGMENTERS)
