"""A trained model in a folder: model.json says which encoder, click.pt and box.pt hold what was learned on it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from workspace.errors import UserError
from workspace.files import fingerprint, read_json, write_bytes, write_json

FORMAT = 2
_HINT = "Make one with `fewclicks assist train --data FOLDER --out DIR`."


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """encoder, weights: as segmenter.name and segmenter.weights. The weights themselves are never in the folder."""

    encoder: str
    weights: str | None
    data: tuple[str, ...]
    format: int = FORMAT


def save_record(folder: Path, record: ModelRecord) -> None:
    write_json(folder / "model.json", asdict(record))


def load_record(folder: Path) -> ModelRecord:
    """UserError if there is none, or one of another program."""
    if not (folder / "model.json").is_file():
        raise UserError(f"There is no assist model in {folder}.", _HINT)
    value = read_json(folder / "model.json")
    try:
        record = ModelRecord(**{**value, "data": tuple(value["data"])})
    except (TypeError, KeyError):
        raise UserError(f"{folder / 'model.json'} is no assist model's.", _HINT) from None
    if record.format != FORMAT or not isinstance(record.encoder, str):
        raise UserError(f"{folder / 'model.json'} is of format {record.format!r}, not {FORMAT}.", _HINT)
    return record


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    write_bytes(path, buffer.getvalue())


def load_state(path: Path) -> dict[str, Any]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises pickle, zip, value and runtime errors for what is no state dict
        raise UserError(f"{path} cannot be read: {' '.join(str(error).split())[:200]}.", _HINT) from None
    if not isinstance(state, dict):
        raise UserError(f"{path} holds no model.", _HINT)
    return state


def load_into(network: nn.Module, path: Path) -> str:
    """The learned weights into `network`; returns 8 hex digits of them."""
    state = load_state(path)
    try:
        network.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError):
        raise UserError(f"{path} does not fit the encoder that model.json names.", _HINT) from None
    network.eval().requires_grad_(False)
    tensors = [value.numpy() for _, value in sorted(state.items()) if isinstance(value, Tensor)]
    return fingerprint(*tensors)[:8]
