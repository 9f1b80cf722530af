"""A project that is looked at: its name in addresses, its settings and its facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workspace.config import Config
from workspace.facts import Facts
from workspace.layout import Layout


@dataclass(frozen=True, slots=True)
class Project:
    """`slug` names it in addresses."""

    slug: str
    layout: Layout
    config: Config
    facts: Facts


def open_projects(folders: Sequence[Path]) -> list[Project]:
    """One per folder; UserError for one that is no project."""
    projects: list[Project] = []
    for folder in dict.fromkeys(path.resolve() for path in folders):
        layout = Layout(folder)
        config = layout.config()
        base = layout.slug
        taken = {project.slug for project in projects}
        slug = next(name for n in range(1, len(taken) + 2) if (name := base if n == 1 else f"{base}-{n}") not in taken)
        projects.append(Project(slug, layout, config, Facts.of(layout)))
    return projects
