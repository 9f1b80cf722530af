"""The flow that the settings ask for: computed once, kept in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

from connectors.memory import MemoryTool
from flows.context import Context
from flows.flow_method import flow_method
from flows.frame_files import FrameFiles
from flows.learning import flow_files
from propagation.raft import Raft
from workspace.config import PropagationConfig
from workspace.errors import UserError

CLIP = "clip-0123456789"


def raft_weights(path: Path, seed: int) -> str:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.save(torchvision.models.optical_flow.raft_small(weights=None).state_dict(), path)
    return str(path)


def test_method_size_and_weights_each_have_a_folder(tmp_path: Path) -> None:
    one, other = (raft_weights(tmp_path / f"{seed}.pth", seed) for seed in (0, 1))
    settings = [
        PropagationConfig(),
        PropagationConfig(flow_max_side=320),
        PropagationConfig(flow="raft_small", flow_weights=one),
        PropagationConfig(flow="raft_small", flow_weights=other),
        PropagationConfig(flow="raft_small", flow_weights="DEFAULT"),
        PropagationConfig(flow="raft_large", flow_weights="DEFAULT"),
    ]
    folders = [flow_method(s)[0] for s in settings]
    assert folders[0] == "dis-640"
    assert len(set(folders)) == len(folders)
    assert all(Path(folder).name == folder for folder in folders)
    assert flow_method(settings[2])[0] == folders[2]


def test_raft_without_weights_is_the_users_to_mend() -> None:
    with pytest.raises(UserError, match="flow_weights is null"):
        flow_method(PropagationConfig(flow="raft_large", flow_weights=None))


def test_raft_is_computed_once_per_pair_and_kept(
    make_context: Callable[..., Context], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = raft_weights(tmp_path / "raft.pth", 0)
    context = make_context(MemoryTool(), propagation={"flow": "raft_small", "flow_weights": weights, "device": "cpu"})
    video = context.facts.video(CLIP).video
    computed = []
    original = Raft.__call__
    monkeypatch.setattr(Raft, "__call__", lambda self, *pair: (computed.append(1), original(self, *pair))[1])
    first = flow_files(context, video, FrameFiles(context.layout, video))(0, 1)
    again = flow_files(context, video, FrameFiles(context.layout, video))(0, 1)
    assert first.shape == (video.height, video.width, 2)
    assert np.array_equal(first, again)
    assert len(computed) == 1
