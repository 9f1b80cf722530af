"""Few videos in a box, hundreds as plain lines; the same texts in both."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from fewclicks.status_table import HEADINGS, print_table, summary


@pytest.mark.parametrize("count", [0, 1, 50, 51, 300])
def test_every_row_is_there(count: int) -> None:
    rows = [(f"clip-[red]-{n}", "7", "waiting", "1/10", f"{n} of 999", str(n), "-") for n in range(count)]
    out = io.StringIO()
    print_table(Console(file=out, width=120), "a [bold] title", rows)
    lines = out.getvalue().splitlines()
    boxed = any("┃" in line for line in lines)
    assert boxed == (count <= 50)
    for row in rows[:: max(count // 5, 1)]:
        found = [line for line in lines if row[0] in line.replace("│", " ").split()]
        assert len(found) == 1
        assert [cell for cell in found[0].replace("│", " ").split() if cell not in ("of", "999")] == [
            text.split(" ")[0] for text in row
        ]
    assert all(any(heading in line for line in lines) for heading in HEADINGS)


def test_the_summary_counts_states() -> None:
    assert summary([]) == "0 videos"
    assert summary(["done"]) == "1 video: 1 done"
    assert summary(["waiting", "done", "fitting", "done"]) == "4 videos: 2 done, 1 fitting, 1 waiting"
