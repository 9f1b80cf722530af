"""SAM 2 as features: what a user may get wrong. Its maps are held to tests/contracts/test_segmenters.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from propagation import sam2_features
from propagation.segmenters import features
from workspace.config import SegmenterConfig
from workspace.errors import UserError

CPU = torch.device("cpu")


def made(weights: str | None) -> object:
    return features(SegmenterConfig(name="sam2", weights=weights), CPU, 0)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sam2_features, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs the package transformers.*fewclicks\[sam\]"):
        made(None)


@pytest.mark.parametrize("weights", ["./nowhere", "~/nowhere/sam2", "/nowhere/sam2"])
def test_a_path_that_is_not_there_is_never_looked_for_on_the_hub(weights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    transformers = pytest.importorskip("transformers", reason="the extra fewclicks[sam] is not installed")
    monkeypatch.setattr(transformers.Sam2VideoModel, "from_pretrained", lambda *_, **__: pytest.fail("was asked"))
    with pytest.raises(UserError, match="which is no folder"):
        made(weights)


def test_a_name_that_the_hub_does_not_give(monkeypatch: pytest.MonkeyPatch) -> None:
    transformers = pytest.importorskip("transformers", reason="the extra fewclicks[sam] is not installed")
    asked: list[tuple[str, bool]] = []

    def from_hub(name: str, *, local_files_only: bool, **_: object) -> None:
        asked.append((name, local_files_only))
        raise OSError("We couldn't connect\nto the hub")

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(transformers.Sam2VideoModel, "from_pretrained", from_hub)
    with pytest.raises(UserError, match=r"'facebook/sam2\.1-hiera-tiny' cannot be loaded: We couldn't connect to"):
        made("DEFAULT")
    with pytest.raises(UserError, match="'someone/sam'"):
        made("someone/sam")
    assert asked == [("facebook/sam2.1-hiera-tiny", False), ("someone/sam", False)]


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="the extra fewclicks[sam] is not installed")
    with pytest.raises(UserError, match="cannot be loaded"):
        made(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "sam2_video"}))
    (tmp_path / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(UserError, match="cannot be loaded"):
        made(str(tmp_path))
