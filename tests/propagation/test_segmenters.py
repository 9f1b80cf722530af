from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchvision

from propagation.devices import torch_device
from propagation.segmenters import SEGMENTERS, features
from workspace.config import SegmenterConfig
from workspace.errors import UserError

CPU = torch.device("cpu")


def image(height: int = 64, width: int = 96) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", sorted(SEGMENTERS))
@pytest.mark.parametrize("size", [(32, 32), (64, 96)])
def test_every_segmenter_keeps_the_contract(name, size):
    config = SegmenterConfig(name=name, weights=None)
    before = torch.get_rng_state()
    made, again = features(config, CPU, 3), features(config, CPU, 3)
    assert torch.equal(torch.get_rng_state(), before)
    levels = made(image(*size))
    assert tuple(level.shape[1] for level in levels) == tuple(made.channels)
    for level, same in zip(levels, again(image(*size)), strict=True):
        assert torch.equal(level, same)
        assert torch.isfinite(level).all()
        assert size[0] % level.shape[2] == 0
        assert size[0] // level.shape[2] == size[1] // level.shape[3]
    assert not made.pretrained


def test_the_seed_decides_a_random_backbone():
    config = SegmenterConfig(name="mobilenet_v2", weights=None)
    one, other = (features(config, CPU, seed)(image())[-1] for seed in (0, 1))
    assert not torch.equal(one, other)


def test_a_local_file_of_half_precision_gives_torchvisions_features(tmp_path: Path):
    with torch.random.fork_rng():
        torch.manual_seed(5)
        network = torchvision.models.mobilenet_v2().half().float().eval()
    file = tmp_path / "weights.pth"
    torch.save({k: v.half() if v.is_floating_point() else v for k, v in network.state_dict().items()}, file)
    made = features(SegmenterConfig(name="mobilenet_v2", weights=str(file)), CPU, 0)
    assert made.pretrained
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (image() - mean[:, None, None]) / std[:, None, None]
    with torch.no_grad():
        expected = network.features[:18](x)
    assert torch.allclose(made(image())[-1], expected, rtol=1e-3, atol=1e-5)


def test_an_unknown_segmenter_names_the_known_ones():
    with pytest.raises(UserError, match=r"'resnet'.*compact, mobilenet_v2"):
        features(SegmenterConfig(name="resnet"), CPU, 0)


def test_an_unknown_name_of_weights_says_what_may_stand_there():
    with pytest.raises(UserError, match=r"'nowhere.pth'.*IMAGENET1K_V1.*null"):
        features(SegmenterConfig(weights="nowhere.pth"), CPU, 0)


@pytest.mark.parametrize("content", [b"", b"not weights"])
def test_a_file_that_is_no_state_dict(tmp_path: Path, content: bytes):
    file = tmp_path / "bad.pth"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"bad\.pth is no file of weights"):
        features(SegmenterConfig(weights=str(file)), CPU, 0)


def test_weights_of_another_network(tmp_path: Path):
    file = tmp_path / "other.pth"
    torch.save({"layer": torch.zeros(2)}, file)
    with pytest.raises(UserError, match=r"other\.pth does not fit mobilenet_v2"):
        features(SegmenterConfig(weights=str(file)), CPU, 0)


def test_weights_that_cannot_be_downloaded_are_never_replaced(monkeypatch: pytest.MonkeyPatch):
    def no_network(*args: object, **kwargs: object) -> None:
        raise URLError("no route")

    monkeypatch.setattr(torchvision.models.MobileNet_V2_Weights, "get_state_dict", no_network)
    with pytest.raises(UserError, match=r"'DEFAULT' cannot be downloaded.*no route.*path of a state dict.*null"):
        features(SegmenterConfig(), CPU, 0)


def test_devices():
    assert torch_device("cpu").type == "cpu"
    assert torch_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(UserError, match="'tpu'"):
        torch_device("tpu")
    with pytest.raises(UserError, match="cuda:99"):
        torch_device("cuda:99")
