"""The table of `fewclicks status`: boxed for a few videos, plain lines for hundreds, which are there at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

HEADINGS = ("video", "frames", "state", "round", "answers", "clicks*", "mIoU**")
_LEFT = {"video", "state", "answers"}
_BOXED = 50  # rows; a thousand in a box take half a second to lay out


def print_table(console: Console, title: str, rows: Sequence[Sequence[str]]) -> None:
    """rows: as many texts as there are headings"""
    if len(rows) > _BOXED:
        console.print(title, markup=False, highlight=False)
        # straight to the file: the console would look for words to wrap and to colour in every line
        console.file.writelines(_plain([HEADINGS, *rows]))
        return
    table = Table(title=title)
    table.add_column("video", overflow="fold")
    for heading in HEADINGS[1:]:
        table.add_column(heading, justify="left" if heading == "state" else "right", no_wrap=heading != "answers")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def summary(states: Iterable[str]) -> str:
    """ "3 videos: 2 waiting, 1 done": most frequent first, ties by name."""
    counted = Counter(states)
    parts = (f"{n} {state}" for state, n in sorted(counted.items(), key=lambda item: (-item[1], item[0])))
    total = counted.total()
    return f"{total} video{'' if total == 1 else 's'}" + (f": {', '.join(parts)}" if total else "")


def _plain(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            text.ljust(width) if heading in _LEFT else text.rjust(width)
            for heading, text, width in zip(HEADINGS, row, widths, strict=True)
        )
        yield "  ".join(cells).rstrip() + "\n"
