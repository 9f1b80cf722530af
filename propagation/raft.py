"""Dense optical flow by a learned network: RAFT, from torchvision."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from torch import Tensor, nn

from propagation.pretrained import load, state_dict
from workspace.errors import UserError

_KNOWN = {
    "raft_small": torchvision.models.optical_flow.Raft_Small_Weights,
    "raft_large": torchvision.models.optical_flow.Raft_Large_Weights,
}
_STRIDE = 8  # of its feature maps
_SMALLEST_SIDE = 128  # px; its four levels of correlation halve a map of an eighth of this three times


class Raft:
    """Where each pixel of one frame lies in another, like `dis_flow`.

    Teed & Deng 2020, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow", arXiv:2003.12039.
    """

    def __init__(self, name: str, weights: str, max_side: int, device: torch.device) -> None:
        """name: raft_small or raft_large;  weights: a name that torchvision knows or a path
        max_side: the longer side in pixels at which flow is computed; larger frames are made smaller for it
        Raises UserError if the weights cannot be had.
        """
        self._network = _network(name, weights).to(device)
        self._max_side, self._device = max_side, device

    def __call__(self, source: NDArray[np.uint8], target: NDArray[np.uint8]) -> NDArray[np.float32]:
        """source, target: (H, W, 3) uint8 RGB of one size;  returns: (H, W, 2) float32, (dx, dy) in full-size pixels"""
        height, width = source.shape[:2]
        scale = min(1.0, self._max_side / max(height, width))
        small = (max(1, round(height * scale)), max(1, round(width * scale)))
        try:
            with torch.inference_mode():
                flow = self._network(*(_prepared(image, small).to(self._device) for image in (source, target)))[-1][0]
        except torch.OutOfMemoryError:  # it compares all pairs of cells: twice the side takes 16 times the memory
            raise UserError(
                f"RAFT does not fit into the memory of {self._device} at {small[1]}x{small[0]} pixels.",
                f"Set propagation.flow_max_side to less than {self._max_side}, or propagation.flow to dis.",
            ) from None
        found: NDArray[np.float32] = flow.permute(1, 2, 0)[: small[0], : small[1]].float().cpu().numpy()
        if small != (height, width):
            found = np.asarray(cv2.resize(found, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
            found = found * np.array([width / small[1], height / small[0]], np.float32)
        return np.ascontiguousarray(found, np.float32)


def require_weights(name: str, weights: str | None) -> str:
    """The weights, or UserError if there are none: a random network's flow is noise."""
    if weights is None:
        raise UserError(
            f"propagation.flow is {name!r}, but propagation.flow_weights is null.",
            "Set flow_weights to DEFAULT (torchvision's download) or to the path of a state dict, or flow to dis.",
        )
    return weights


def _network(name: str, weights: str) -> nn.Module:
    with torch.random.fork_rng(devices=[]):  # what making the layers draws is overwritten at once
        network: nn.Module = getattr(torchvision.models.optical_flow, name)(weights=None)
    state = state_dict(weights, _KNOWN[name], "propagation.flow_weights", "set propagation.flow to dis")
    load(network, state, network.state_dict().keys(), weights, name)
    return network.eval().requires_grad_(False)


def _prepared(image: NDArray[np.uint8], size: tuple[int, int]) -> Tensor:
    """(1, 3, h, w) float32 in [-1, 1]: at `size` (height, width), padded at the bottom and right by its edge."""
    height, width = size
    if size != image.shape[:2]:
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    bottom, right = (max(_SMALLEST_SIDE, -(-side // _STRIDE) * _STRIDE) - side for side in size)
    padded = np.pad(image, ((0, bottom), (0, right), (0, 0)), mode="edge")
    return torch.from_numpy(np.ascontiguousarray(padded)).permute(2, 0, 1)[None].float() / 127.5 - 1


def once(make: Callable[[], Raft]) -> Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.float32]]:
    """A flow whose network is loaded when the first pair is asked for; all of a video's flow may be on disk already."""
    made: list[Raft] = []

    def flow(source: NDArray[np.uint8], target: NDArray[np.uint8]) -> NDArray[np.float32]:
        if not made:
            made.append(make())
        return made[0](source, target)

    return flow
