"""Backends by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from assist.backends.classic import Classic
from assist.backends.interface import ClickBackend
from assist.backends.learned import Learned
from assist.backends.sam import Sam
from workspace.errors import UserError


def _classic(model: Path | None, weights: str | None) -> ClickBackend:
    return Classic()  # a model may be there for snapping boxes


def _learned(model: Path | None, weights: str | None) -> ClickBackend:
    if model is None:
        raise UserError(
            "The backend 'learned' needs a model, and none is given.",
            "Make one with `fewclicks assist train --data FOLDER --out DIR`, and set assist.model (or --model) to DIR.",
        )
    return Learned.of(model)


def _sam(model: Path | None, weights: str | None) -> ClickBackend:
    return Sam(weights)  # a model may be there for snapping boxes


BACKENDS: dict[str, Callable[[Path | None, str | None], ClickBackend]] = {
    "classic": _classic,
    "learned": _learned,
    "sam": _sam,
}
"""Name to what makes the backend from the folder of a trained model, or None, and weights of others, or None."""


def click_backend(name: str, model: Path | None = None, weights: str | None = None) -> ClickBackend:
    """UserError for an unknown name, or a model or weights that cannot be used."""
    make = BACKENDS.get(name)
    if make is None:
        raise UserError(f"There is no assist backend {name!r}.", f"Choose one of: {', '.join(sorted(BACKENDS))}.")
    return make(model, weights)
