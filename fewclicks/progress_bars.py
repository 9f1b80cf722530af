"""Progress bars on the terminal, fed by what the steps report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from flows.context import ShowProgress


@contextmanager
def progress_bars(console: Console) -> Iterator[ShowProgress]:
    """One bar per kind of work; a bar that comes back to its beginning starts anew."""
    columns = (TextColumn("{task.description:<28}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=not console.is_terminal) as progress:
        bars: dict[str, TaskID] = {}

        def show(what: str, fraction: float) -> None:
            if what not in bars or progress.tasks[bars[what]].percentage > 100 * fraction + 1:
                bars[what] = progress.add_task(what, total=1.0)
            progress.update(bars[what], completed=fraction)

        yield show
