"""What `fewclicks doctor` looks at."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from connectors.label_studio.tool import LabelStudioTool
from flows.tools import label_studio_tool
from workspace.errors import UserError
from workspace.layout import Layout


class Health(StrEnum):
    GOOD = "good"
    NOTE = "note"  # works without
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    what: str
    health: Health
    found: str
    remedy: str = ""


def checkup(folder: Path | None) -> list[Finding]:
    """Everything that can be checked on this machine, and the project in `folder` if one is given."""
    findings = [_python(), *_packages(), _opencv(), _gpu(), _label_studio_program(), _disk(folder or Path.cwd())]
    return findings + (_project(folder) if folder is not None else [])


def _opencv() -> Finding:
    import cv2

    from flows.opencv import REPAIR, has_contrib

    if has_contrib():
        return Finding("OpenCV", Health.GOOD, f"{cv2.__version__} with contrib")
    return Finding("OpenCV", Health.BAD, f"{cv2.__version__} without its contrib modules", REPAIR)


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11)
    return Finding("Python", Health.GOOD if good else Health.BAD, found, "" if good else "Use Python 3.11 or newer.")


def _packages() -> list[Finding]:
    findings = []
    try:
        wanted = [Requirement(line) for line in requires("fewclicks") or ()]
    except PackageNotFoundError:
        return [Finding("fewclicks", Health.BAD, "is not installed", "Run `pip install .` in its folder.")]
    for requirement in wanted:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            found = ""
        if not found or not requirement.specifier.contains(found, prereleases=True):
            findings.append(Finding(requirement.name, Health.BAD, found or "missing", f'pip install "{requirement}"'))
    return findings or [Finding("packages", Health.GOOD, f"{len(wanted)} requirements are met")]


def _gpu() -> Finding:
    import torch

    if torch.cuda.is_available():
        return Finding("GPU", Health.GOOD, torch.cuda.get_device_name(0))
    return Finding("GPU", Health.NOTE, f"none; {torch.get_num_threads()} CPU threads", "Fitting takes longer without.")


def _label_studio_program() -> Finding:
    from connectors.label_studio.installation import installed_binary

    program = installed_binary()
    if program is None:
        return Finding("Label Studio", Health.NOTE, "not installed", "`fewclicks serve DIR` installs it on first use.")
    return Finding("Label Studio", Health.GOOD, str(program))


def _disk(folder: Path) -> Finding:
    there = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
    free = shutil.disk_usage(there).free / 2**30
    health = Health.GOOD if free > 10 else Health.NOTE if free > 2 else Health.BAD
    return Finding("disk", health, f"{free:.0f} GiB free", "" if free > 10 else "A video needs about 2 MB per frame.")


def _project(folder: Path) -> list[Finding]:
    layout = Layout(folder.resolve())
    try:
        config = layout.config()
    except UserError as error:
        return [Finding("settings", Health.BAD, error.message, error.hint)]
    findings = [Finding("settings", Health.GOOD, str(layout.config_file)), _weights(layout)]
    try:
        tool = label_studio_tool(layout, config)
    except UserError as error:
        return [*findings, Finding("Label Studio server", Health.NOTE, error.message, error.hint)]
    return [*findings, _server(tool)]


def _weights(layout: Layout) -> Finding:
    segmenter = layout.config().segmenter
    if segmenter.weights is None:
        return Finding(
            "segmenter", Health.NOTE, f"{segmenter.name} from nothing", "Pretrained weights save most clicks."
        )
    return Finding("segmenter", Health.GOOD, f"{segmenter.name}, weights {segmenter.weights}")


def _server(tool: LabelStudioTool) -> Finding:
    try:
        return Finding("Label Studio server", Health.GOOD, tool.check())
    except UserError as error:
        return Finding("Label Studio server", Health.BAD, error.message, error.hint)
