from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from urllib.error import URLError

import cv2
import pytest
import torch
import torchvision
from torch.nn.utils.fusion import fuse_conv_bn_eval

from propagation import torchvision_features
from propagation.devices import reduced_precision, torch_device, use_threads
from propagation.segmenters import features
from propagation.torchvision_features import last_of_each_stride
from workspace.config import SegmenterConfig
from workspace.errors import UserError

CPU = torch.device("cpu")


def image(height: int = 64, width: int = 96) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))


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


def test_mobilenet_v2_is_bit_for_bit_what_it_was_before_other_backbones_came():
    """Its blocks one after the other, batch norms folded into the convolutions before them, channels last."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        layers = torchvision.models.mobilenet_v2().features[:18].eval()
    for block in layers.modules():
        if isinstance(block, torch.nn.Sequential):
            for (at, first), (after, second) in pairwise(list(block.named_children())):
                if isinstance(first, torch.nn.Conv2d) and isinstance(second, torch.nn.BatchNorm2d):
                    setattr(block, at, fuse_conv_bn_eval(first, second))
                    setattr(block, after, torch.nn.Identity())
    layers.to(memory_format=torch.channels_last)
    mean, std = (torch.tensor(v)[:, None, None] for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    x = ((image() - mean) / std).to(memory_format=torch.channels_last)
    expected = [x]
    with torch.no_grad():
        for number, layer in enumerate(layers):
            x = layer(x)
            if number in (1, 3, 6, 10, 13, 17):
                expected.append(x)
    made = features(SegmenterConfig(name="mobilenet_v2", weights=None), CPU, 7)
    for level, before in zip(made(image()), expected, strict=True):
        assert torch.equal(level, before)


@pytest.mark.parametrize(
    ("name", "heard"), [("resnet18", ["relu", "layer1", "layer2"]), ("lraspp_mobilenet_v3_large", [])]
)
def test_maps_are_what_the_whole_network_computes_there(name, heard, tmp_path):
    """Compared with what passes the same places in the unfolded network, with batch norms that do something."""
    heard = heard or [f"backbone.{number}" for number in (1, 3, 6, 12)]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        options = {"weights_backbone": None} if "lraspp" in name else {}
        network = torchvision.models.get_model(name, weights=None, **options).eval()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.5, 2)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    passed: list[torch.Tensor] = []
    for place in heard:
        network.get_submodule(place).register_forward_hook(lambda m, i, out: passed.append(out.clone()))
    made = features(SegmenterConfig(name=name, weights=str(tmp_path / "w.pth")), CPU, 0)
    levels = made(image())
    with torch.no_grad():
        network(levels[0])
    for level, expected in zip(levels[1:], passed, strict=False):
        assert torch.allclose(level, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
    assert len(passed) == len(heard)


def test_the_last_map_of_each_stride_is_a_blocks_own_result():
    """In MobileNetV2 a block widens its maps before it makes them smaller: those in between are no results."""
    network = torchvision.models.mobilenet_v2()
    assert last_of_each_stride(network) == ("features.1", "features.3", "features.6", "features.13", "features.18")


def test_a_network_that_is_not_registered_will_do_if_it_is_convolutional():
    made = features(SegmenterConfig(name="regnet_x_400mf", weights=None), CPU, 0)
    assert [level.shape[3] for level in made(image())] == [96, 48, 24, 12, 6, 3]


@pytest.mark.parametrize("name", ["squeezenet1_1", "vit_b_32"])
def test_a_network_without_maps_at_the_strides_is_refused(name):
    with pytest.raises(UserError, match=rf"segmenter\.name '{name}' does not give the maps.*mobilenet_v2"):
        features(SegmenterConfig(name=name, weights=None), CPU, 0)


def test_weights_with_another_head_fit_and_those_of_a_deeper_network_do_not(tmp_path):
    with torch.random.fork_rng():
        torch.save(torchvision.models.resnet18(num_classes=3).state_dict(), tmp_path / "three.pth")
        torch.save(torchvision.models.resnet34().state_dict(), tmp_path / "deeper.pth")
    assert features(SegmenterConfig(name="resnet18", weights=str(tmp_path / "three.pth")), CPU, 0).pretrained
    with pytest.raises(UserError, match=r"deeper\.pth does not fit resnet18: it has 'layer1\.2"):
        features(SegmenterConfig(name="resnet18", weights=str(tmp_path / "deeper.pth")), CPU, 0)


def test_reduced_precision_widens_again_and_leaves_the_cpu_alone(monkeypatch):
    """What CUDA does, with the CPU's bfloat16 in its place: maps come back as float32 and are nearly the same."""
    made = features(SegmenterConfig(name="resnet18", weights=None), CPU, 0)
    full = made(image())
    with reduced_precision(CPU):
        assert not torch.is_autocast_enabled("cpu")
    monkeypatch.setattr(torchvision_features, "reduced_precision", lambda _: torch.autocast("cpu", torch.bfloat16))
    rough = made(image())
    assert not torch.equal(rough[-1], full[-1])
    for level, exact in zip(rough, full, strict=True):
        assert level.dtype == torch.float32
        assert float((level - exact).abs().max()) < 0.05 * float(exact.abs().max())


def test_an_unknown_segmenter_names_the_known_ones():
    with pytest.raises(UserError, match=r"'resnet'.*compact, .*mobilenet_v2, .*another of torchvision's"):
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


def test_threads_are_set_or_left_as_they_are():
    before, of_opencv = torch.get_num_threads(), cv2.getNumThreads()
    try:
        use_threads(None)
        assert (torch.get_num_threads(), cv2.getNumThreads()) == (before, of_opencv)
        use_threads(2)
        assert (torch.get_num_threads(), cv2.getNumThreads()) == (2, 2)
    finally:
        torch.set_num_threads(before)
        cv2.setNumThreads(of_opencv)
