"""Makes a project folder with a settings file in which every key is explained."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import yaml

from workspace.config import parse_config
from workspace.errors import UserError
from workspace.facts import Facts
from workspace.files import write_bytes
from workspace.layout import Layout


def create_project(folder: Path, name: str | None, classes: Sequence[str] | None, background: str | None) -> Layout:
    """UserError if there is a project already or a value is wrong; then nothing is written."""
    layout = Layout(folder.resolve())
    if layout.config_file.exists():
        raise UserError(f"{layout.config_file} is there already.", "Edit it, or choose another folder.")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file.", "Give the name of a folder.")
    text = settings_text(name or _title(layout.root.name), classes, background)
    parse_config(yaml.safe_load(text), "The new project")
    try:
        write_bytes(layout.config_file, text.encode())
        layout.videos.mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f"{layout.root} cannot be written: {error.strerror}.") from None
    Facts.of(layout).close()
    return layout


def settings_text(name: str, classes: Sequence[str] | None, background: str | None) -> str:
    """configs/default.yaml with the project's own values in it; its comments stay."""
    text = files("configs").joinpath("default.yaml").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^(  name: )\S+", lambda m: m[1] + _scalar(name), text, count=1)
    if classes:
        lines = "".join(f"    - {_scalar(item)}\n" for item in classes)
        text = re.sub(r"(?m)(?<=\n)(    - \S+\n)+", lambda _: lines, text, count=1)
    return re.sub(r"(?m)^(  background: )\S+", lambda m: m[1] + _scalar(background), text, count=1)


def _scalar(value: str | None) -> str:
    """One YAML scalar on one line, quoted where it must be."""
    if value is None:
        return "null"
    return yaml.safe_dump(value, allow_unicode=True, width=10_000, default_style='"').splitlines()[0]


def _title(folder: str) -> str:
    """A title of legal length from a folder's name."""
    return (folder if len(folder) >= 3 else f"fewclicks {folder}".strip())[:50]
