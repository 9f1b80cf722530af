"""Clicks to a mask by SAM, SAM 2 or EdgeTAM, from the optional package transformers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from assist.clicks import Box, Click
from workspace.errors import UserError

DEFAULT = "facebook/sam2.1-hiera-tiny"
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)  # of all three, as of ImageNet
_STD = np.array([0.229, 0.224, 0.225], np.float32)
_KEEPS_PROPORTIONS = ("sam", "sam_hq")  # the first SAM pads to a square, its successors squeeze into one
_SURE = 8.0  # the logit of a mask that is given as yes or no
_HINT = "Set assist.weights to a folder saved by save_pretrained, or to a name on the Hugging Face hub."


@dataclass(frozen=True, slots=True)
class Embedded:
    """An image of (height, width) pixels as the model sees it; `down`, `right`: its pixels per image's pixel."""

    height: int
    width: int
    down: float
    right: float
    embeddings: Any


class Sam:
    """Kirillov et al. 2023, arXiv:2304.02643; Ravi et al. 2024, arXiv:2408.00714; Zhou et al. 2025, arXiv:2501.07256.

    Everything about the image is in `look`; a click asks the mask decoder only. One click alone is ambiguous: the best
    of three masks is taken, as the papers have it. The mask before goes in as the dense prompt.
    """

    def __init__(self, weights: str | None = None) -> None:
        """weights: a folder saved by transformers, a name on the hub, or None for DEFAULT.

        UserError without the package, or where there are no such weights.
        """
        self._model, name = _loaded(DEFAULT if weights is None else weights)
        self._kind = str(self._model.config.model_type)
        prompts = self._model.config.prompt_encoder_config
        self._side = int(prompts.image_size)
        self._mask_side = 4 * self._side // int(prompts.patch_size)
        self.version = f"{self._kind}-{name}"[:58]

    def look(self, image: NDArray[np.uint8]) -> Embedded:
        height, width = image.shape[:2]
        size = (self._side, self._side)
        if self._kind in _KEEPS_PROPORTIONS:
            scale = self._side / max(height, width)
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
        resized = cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_LINEAR)
        pixels = np.zeros((self._side, self._side, 3), np.float32)  # what is beside the image is the mean colour
        pixels[: size[1], : size[0]] = (resized.astype(np.float32) / 255 - _MEAN) / _STD
        with torch.no_grad():
            embeddings = self._model.get_image_embeddings(torch.from_numpy(pixels).permute(2, 0, 1)[None])
        return Embedded(height, width, size[1] / height, size[0] / width, embeddings)

    def segment(
        self, looked: Embedded, clicks: Sequence[Click], box: Box | None, previous: NDArray[np.bool_] | None
    ) -> NDArray[np.bool_]:
        started = previous is not None and bool(previous.any())
        asked: dict[str, Any] = {"multimask_output": len(clicks) == 1 and box is None and not started}
        if clicks:
            points = [[(click.x + 0.5) * looked.right - 0.5, (click.y + 0.5) * looked.down - 0.5] for click in clicks]
            asked["input_points"] = torch.tensor([[points]], dtype=torch.float32)
            asked["input_labels"] = torch.tensor([[[int(click.positive) for click in clicks]]])
        if box is not None:
            edges = [
                box.left * looked.right, box.top * looked.down, box.right * looked.right, box.bottom * looked.down,
            ]  # fmt: skip
            asked["input_boxes"] = torch.tensor([[edges]], dtype=torch.float32)
        if started:
            assert previous is not None
            asked["input_masks"] = self._dense(looked, previous)
        with torch.no_grad():
            answer = self._model(image_embeddings=looked.embeddings, **asked)
        masks, scores = answer.pred_masks[0, 0], answer.iou_scores[0, 0]
        logits = masks[int(scores.argmax())].float().numpy()
        return self._in_the_image(looked, logits)

    def mend(self, looked: Embedded, clicks: Sequence[Click], previous: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return self.segment(looked, clicks, None, previous)

    def _dense(self, looked: Embedded, mask: NDArray[np.bool_]) -> torch.Tensor:
        """(1, 1, mask side, mask side) logits."""
        part = self._part(looked)
        small = cv2.resize(mask.astype(np.float32), part, interpolation=cv2.INTER_AREA)
        square = np.zeros((self._mask_side, self._mask_side), np.float32)
        square[: part[1], : part[0]] = small
        return torch.from_numpy((2 * square - 1) * _SURE)[None, None]

    def _in_the_image(self, looked: Embedded, logits: NDArray[np.float32]) -> NDArray[np.bool_]:
        width, height = self._part(looked)
        inside = np.ascontiguousarray(logits[:height, :width])
        full = cv2.resize(inside, (looked.width, looked.height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(full > 0)

    def _part(self, looked: Embedded) -> tuple[int, int]:
        """Columns and rows of the small mask that the image covers."""
        scale = self._mask_side / self._side
        covered = (looked.width * looked.right * scale, looked.height * looked.down * scale)
        return min(max(1, round(covered[0])), self._mask_side), min(max(1, round(covered[1])), self._mask_side)


def _loaded(weights: str) -> tuple[Any, str]:
    """The model, and a short name for it."""
    if find_spec("transformers") is None:
        raise UserError("The backend 'sam' needs the package transformers.", "pip install 'fewclicks[sam]'")
    import transformers

    path = Path(weights).expanduser()
    local = path.is_dir()
    if not local and (path.is_absolute() or weights.startswith((".", "~")) or path.exists()):
        raise UserError(f"assist.weights is {weights!r}, which is no folder.", _HINT)
    logging = transformers.utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        model, found = transformers.AutoModelForMaskGeneration.from_pretrained(
            str(path) if local else weights,
            local_files_only=local or os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0"),
            dtype=torch.float32,
            output_loading_info=True,
        )
    except Exception as error:  # the package lets through what its hub client, the network and the files raise
        raise UserError(
            f"The weights {weights!r} of SAM cannot be loaded: {' '.join(str(error).split())[:200]}.", _HINT
        ) from None
    finally:
        if shown:
            logging.enable_progress_bar()
    if found["missing_keys"]:
        raise UserError(f"{weights} holds no whole SAM: it lacks {sorted(found['missing_keys'])[0]!r}.", _HINT)
    return model.eval().requires_grad_(False), path.name
