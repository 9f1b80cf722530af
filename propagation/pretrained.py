"""Weights of torchvision's networks: from a file or by torchvision's download, never any other."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn

from workspace.errors import UserError


def state_dict(
    weights: str, known: type[torchvision.models.WeightsEnum], setting: str, otherwise: str
) -> dict[str, Tensor]:
    """From a local file, else by torchvision's name.

    weights: a path or one of the names in `known`;  setting: the key in the settings where it stands, and otherwise:
    what the user can do without weights, both for the errors
    Raises UserError if it is neither, the file is no state dict, or the download fails.
    """
    path = Path(weights).expanduser()
    if path.is_file():
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises pickle, zip, value and runtime errors for what is no state dict
            raise UserError(
                f"{weights} is no file of weights: {' '.join(str(error).split())[:200]}.",
                "Give a state dict saved by torch.save.",
            ) from None
        if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
            raise UserError(f"{weights} holds no state dict.", "Give a state dict saved by torch.save.")
        return state
    if weights not in known.__members__:
        raise UserError(
            f"{setting} is {weights!r}, which is neither a file nor a name that torchvision knows.",
            f"Give the path of a state dict, one of {', '.join(known.__members__)}; or {otherwise}.",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            downloaded: dict[str, Tensor] = known[weights].get_state_dict(
                progress=False, check_hash=True, weights_only=True
            )
            return downloaded
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"The weights {weights!r} cannot be downloaded: {error}.",
            f"Set {setting} to the path of a state dict on this machine, or {otherwise}.",
        ) from None


def load(part: nn.Module, state: Mapping[str, Tensor], whole: Collection[str], weights: str, name: str) -> None:
    """The weights of a network into the part of it that is kept.

    state: of the whole network;  whole: the names in the whole network's own state dict, so that heads which are cut
    off may be there or not, of any number of classes, but a stranger's weights are refused;  name: of the network
    Half precision is widened. Raises UserError if they do not fit.
    """
    strangers = [key for key in state if key not in whole and not key.startswith("aux_classifier.")]
    own = part.state_dict()
    wanted = {key: value.float() if value.is_floating_point() else value for key, value in state.items() if key in own}
    try:
        if strangers:
            raise RuntimeError(f"it has {strangers[0]!r}, which {name} has not")
        part.load_state_dict(wanted)
    except RuntimeError as error:
        raise UserError(
            f"{weights} does not fit {name}: {' '.join(str(error).split())[:200]}.",
            f"Give a state dict of torchvision's {name}.",
        ) from None
