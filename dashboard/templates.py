"""The pages' templates. Whatever is put into one is escaped."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from dashboard import wording


def templates() -> Environment:
    """Those in dashboard/pages, with the filters that write numbers; a name that a template lacks is an error."""
    pages = Environment(
        loader=PackageLoader("dashboard", "pages"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    for name in ("percent", "number", "duration", "moment"):
        pages.filters[name] = getattr(wording, name)
    return pages
