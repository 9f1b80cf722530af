"""RAFT with random weights from a file: shape, padding, determinism, and what a user may get wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

from propagation.raft import Raft, once, require_weights
from workspace.errors import UserError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("raft") / "raft_small.pth"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = torchvision.models.optical_flow.raft_small(weights=None)
    torch.save(network.state_dict(), file)
    return str(file)


def image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (37, 50), (64, 200)])
def test_any_size_has_a_flow_for_each_pixel_the_same_twice(weights: str, size: tuple[int, int]) -> None:
    before = torch.get_rng_state()
    flow = Raft("raft_small", weights, 640, CPU)
    assert torch.equal(torch.get_rng_state(), before)
    found = flow(image(*size), image(*size, seed=1))
    assert found.shape == (*size, 2)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert np.array_equal(found, Raft("raft_small", weights, 640, CPU)(image(*size), image(*size, seed=1)))


def test_a_frame_that_needs_no_padding_has_torchvisions_own_flow(weights: str) -> None:
    network = torchvision.models.optical_flow.raft_small(weights=None).eval()
    network.load_state_dict(torch.load(weights, weights_only=True))
    source, target = image(128, 136), image(128, 136, seed=1)
    prepare = torchvision.models.optical_flow.Raft_Small_Weights.DEFAULT.transforms()
    pair = (torch.from_numpy(frame).permute(2, 0, 1)[None] for frame in (source, target))
    with torch.no_grad():
        expected = network(*prepare(*pair))[-1][0].permute(1, 2, 0).numpy()
    assert np.allclose(Raft("raft_small", weights, 640, CPU)(source, target), expected, atol=1e-4)


def test_flow_at_reduced_size_is_in_pixels_of_the_full_frame(weights: str) -> None:
    """A frame of doubled pixels, made smaller to the original, has the original's flow, twice as long."""
    source, target = image(64, 128), image(64, 128, seed=1)
    flow = Raft("raft_small", weights, 128, CPU)
    large = flow(*(np.kron(frame, np.ones((2, 2, 1), np.uint8)) for frame in (source, target)))
    original = flow(source, target)
    assert large.shape == (128, 256, 2)
    # 2x2 means of a bilinear enlargement differ from the original by its curvature; over the frame that averages out
    assert np.allclose(large.mean(axis=(0, 1)), 2 * original.mean(axis=(0, 1)), rtol=0.02, atol=0.02)


def test_the_network_is_loaded_when_the_first_pair_is_asked_for(weights: str) -> None:
    made: list[str] = []

    def make() -> Raft:
        made.append("now")
        return Raft("raft_small", weights, 640, CPU)

    flow = once(make)
    assert made == []
    for _ in range(2):
        flow(image(8, 8), image(8, 8))
    assert made == ["now"]


def test_without_weights_there_is_no_flow() -> None:
    with pytest.raises(UserError, match=r"'raft_small'.*flow_weights is null"):
        require_weights("raft_small", None)


def test_weights_that_are_not_there_or_not_rafts(tmp_path: Path, weights: str) -> None:
    with pytest.raises(UserError, match=r"propagation\.flow_weights is 'nowhere\.pth'.*C_T_V2.*dis"):
        Raft("raft_small", "nowhere.pth", 640, CPU)
    with pytest.raises(UserError, match="does not fit raft_large"):
        Raft("raft_large", weights, 640, CPU)


def test_too_little_memory_says_what_to_make_smaller(weights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = Raft("raft_small", weights, 640, CPU)

    def full(*args: object) -> None:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(flow._network, "forward", full)
    with pytest.raises(UserError, match=r"128x64 pixels.*flow_max_side to less than 640"):
        flow(image(64, 128), image(64, 128))
