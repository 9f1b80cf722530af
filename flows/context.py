"""What a step works with: the workspace's files, settings and facts, the labeling tool, and how progress is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from connectors.labeling_tool import LabelingTool
from flows.keeping import facts_of
from flows.opencv import require_contrib
from flows.shared_settings import check_shared
from selection.strategies import strategy
from workspace.config import Config
from workspace.errors import UserError
from workspace.facts import Facts, Lease
from workspace.layout import Layout


class ShowProgress(Protocol):
    """Called often with what is going on and how far it is (0 to 1)."""

    def __call__(self, what: str, fraction: float) -> None: ...


def silent(what: str, fraction: float) -> None:
    """Shows nothing."""


@dataclass(frozen=True)
class Context:
    layout: Layout
    config: Config
    facts: Facts
    tool: LabelingTool
    show: ShowProgress = field(default=silent)
    may_select: bool = True  # False: nobody is asked about new samples, whatever the budget
    reviews: LabelingTool | None = None  # where labels are looked at again


def open_context(
    root: Path, tool: LabelingTool, show: ShowProgress = silent, reviews: LabelingTool | None = None
) -> Context:
    require_contrib()
    layout = Layout(root.resolve())
    config = layout.config()
    strategy(config.selection.strategy)  # a misspelled name is told now, not after hours
    facts = facts_of(layout)
    try:
        if config.workspace.remote is not None:
            check_shared(layout, facts)
    except UserError:
        facts.close()
        raise
    return Context(layout, config, facts, tool, show, reviews=reviews)


def beating(context: Context, lease: Lease, what: str) -> Callable[[float], None]:
    """What long work calls often, with the fraction done: renews the lease and shows progress."""

    def beat(fraction: float) -> None:
        lease.beat()
        context.show(what, fraction)

    return beat
