"""Feature maps of SAM 2's image encoder, by the optional package transformers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from propagation.devices import reduced_precision
from workspace.errors import UserError

_DEFAULT = "facebook/sam2.1-hiera-tiny"
_IMAGENET_MEAN = (0.485, 0.456, 0.406)  # SAM 2's own normalisation is ImageNet's
_IMAGENET_STD = (0.229, 0.224, 0.225)


class Sam2Features(nn.Module):
    """The three maps from which SAM 2 tracks and draws masks, with the frame's own colours at stride 1 in front.

    They are its feature pyramid's at strides 4, 8 and 16. Frames keep their proportions; SAM 2 itself squeezes them to
    a square of 1024 pixels, so `segmenter.input_side` near 1024 suits it best.
    Ravi et al. 2024, "SAM 2: Segment Anything in Images and Videos", arXiv:2408.00714.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, weights: str | None) -> None:
        """weights: a folder saved by transformers, a name on the Hugging Face hub, DEFAULT, or None for random ones."""
        super().__init__()
        self.encoder = _random_encoder() if weights is None else _encoder(weights)
        self.pretrained = weights is not None
        self.channels: Sequence[int] = (3, *[self.encoder.config.fpn_hidden_size] * self.encoder.num_feature_levels)
        self.register_buffer("mean", torch.tensor(_IMAGENET_MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(_IMAGENET_STD)[:, None, None])

    def forward(self, image: Tensor) -> list[Tensor]:
        x = (image - self.mean) / self.std
        with reduced_precision(image.device):
            maps = self.encoder(x).fpn_hidden_states
        # from fine to coarse, whichever way round this version of the package has them
        maps = sorted(maps, key=lambda level: -level.shape[-1])
        return [x, *(level.float() for level in maps)]


def _transformers() -> Any:
    if find_spec("transformers") is None:
        raise UserError("The segmenter 'sam2' needs the package transformers.", "pip install 'fewclicks[sam]'")
    import transformers

    return transformers


def _random_encoder() -> Any:
    package = _transformers()
    return package.Sam2VisionModel(package.Sam2VisionConfig())


def _encoder(weights: str) -> Any:
    """The image encoder out of a saved SAM 2, for images or for videos."""
    package = _transformers()
    path = Path(weights).expanduser()
    local = path.is_dir()
    if not local and (path.is_absolute() or weights.startswith((".", "~")) or path.exists()):
        raise UserError(
            f"segmenter.weights is {weights!r}, which is no folder.",
            "Give a folder saved by save_pretrained, a name on the Hugging Face hub, or null for none.",
        )
    name = str(path) if local else _DEFAULT if weights == "DEFAULT" else weights
    offline = local or os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0")
    logging = package.utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        whole, found = package.Sam2VideoModel.from_pretrained(
            name, local_files_only=offline, dtype=torch.float32, output_loading_info=True
        )
    except Exception as error:  # the package lets through what its hub client, the network and the files raise
        raise UserError(
            f"The SAM 2 weights {name!r} cannot be loaded: {' '.join(str(error).split())[:200]}.",
            "Set segmenter.weights to a folder saved by save_pretrained or to a name on the Hugging Face hub.",
        ) from None
    finally:
        if shown:
            logging.enable_progress_bar()
    missing = sorted(key for key in found["missing_keys"] if key.startswith("vision_encoder."))
    if missing or not hasattr(whole, "vision_encoder"):
        raise UserError(
            f"{name} holds no SAM 2: it lacks {missing[0] if missing else 'an image encoder'!r}.",
            "Give a folder or name of a SAM 2 or SAM 2.1 in the transformers format.",
        )
    return whole.vision_encoder
