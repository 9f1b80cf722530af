"""Backends by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from assist.backends.classic import Classic
from assist.backends.interface import ClickBackend
from assist.backends.learned import Learned
from workspace.errors import UserError


def _classic(model: Path | None) -> ClickBackend:
    return Classic()  # a model may be there for snapping boxes


def _learned(model: Path | None) -> ClickBackend:
    if model is None:
        raise UserError(
            "The backend 'learned' needs a model, and none is given.",
            "Make one with `fewclicks assist train --data FOLDER --out DIR`, and set assist.model (or --model) to DIR.",
        )
    return Learned.of(model)


BACKENDS: dict[str, Callable[[Path | None], ClickBackend]] = {"classic": _classic, "learned": _learned}
"""Name to what makes the backend from the folder of a trained model, or None."""


def click_backend(name: str, model: Path | None = None) -> ClickBackend:
    """UserError for an unknown name, or a model that cannot be used."""
    make = BACKENDS.get(name)
    if make is None:
        raise UserError(f"There is no assist backend {name!r}.", f"Choose one of: {', '.join(sorted(BACKENDS))}.")
    return make(model)
