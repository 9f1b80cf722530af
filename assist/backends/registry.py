"""Backends by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from assist.backends.classic import Classic
from assist.backends.interface import ClickBackend
from workspace.errors import UserError


def _classic(model: Path | None) -> ClickBackend:
    if model is not None:
        raise UserError(f"The backend 'classic' takes no model, but {model} is given.", "Leave it out.")
    return Classic()


BACKENDS: dict[str, Callable[[Path | None], ClickBackend]] = {"classic": _classic}
"""Name to what makes the backend from the folder of a trained model, or None."""


def click_backend(name: str, model: Path | None = None) -> ClickBackend:
    """UserError for an unknown name, or a model that cannot be used."""
    make = BACKENDS.get(name)
    if make is None:
        raise UserError(f"There is no assist backend {name!r}.", f"Choose one of: {', '.join(sorted(BACKENDS))}.")
    return make(model)
