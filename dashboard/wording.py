"""Numbers as people read them on the pages."""

from __future__ import annotations

from datetime import UTC, datetime

NOTHING = "–"


def percent(share: float | None, digits: int = 1) -> str:
    """0.123 as "12.3 %"."""
    return NOTHING if share is None else f"{100 * share:.{digits}f} %"


def number(value: float | None) -> str:
    """12345 as "12,345"."""
    return NOTHING if value is None else f"{value:,.0f}"


def duration(seconds: float | None) -> str:
    """Two units at most: "4.2 s", "3 min 20 s", "5 h 10 min", "2 d 3 h"."""
    if seconds is None:
        return NOTHING
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    for size, name, below, smaller in ((60, "min", 1, "s"), (3600, "h", 60, "min"), (86400, "d", 3600, "h")):
        if whole < {60: 3600, 3600: 86400}.get(size, float("inf")):
            rest = whole % size // below
            return f"{whole // size} {name}" + (f" {rest} {smaller}" if rest else "")
    raise AssertionError


def moment(at: float | None) -> str:
    """ "2026-01-31 13:05", UTC."""
    return NOTHING if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
