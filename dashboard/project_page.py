"""What the page over all videos shows, and what its filters mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from dashboard import charts
from dashboard.close_up import MOST_VIDEOS, close_up
from dashboard.faults import Fault, faults
from dashboard.overview import VideoRow, add_work, people, per_answer, totals, video_rows
from workspace.errors import UserError
from workspace.tallies import Work

if TYPE_CHECKING:
    from dashboard.project import Project

ROWS_PER_PAGE = 100
_FAILURES_SHOWN = 20
_FAILURES_READ = 200  # the same again and again is shown once
_PEOPLE_SHOWN = 50
_QUEUE_SHOWN = 20

SORTS: Mapping[str, Callable[[VideoRow], Any]] = {
    "added": lambda row: 0,
    "name": lambda row: row.state.video.name.lower(),
    "state": lambda row: row.place,
    "waiting": lambda row: row.waiting_since or float("inf"),
    "quality": lambda row: 2.0 if row.estimated is None else row.estimated,
    "saved": lambda row: 2.0 if row.saved is None else row.saved,
    "clicks": lambda row: -row.work.correcting,
    "failed": lambda row: -row.tally.failed,
}


@dataclass(frozen=True, slots=True)
class Filters:
    """projects: slugs, empty for all;  video: part of a name or id;  first, last: days (UTC, both included), or None"""

    projects: tuple[str, ...] = ()
    video: str = ""
    first: str | None = None
    last: str | None = None
    sort: str = "added"
    page: int = 1

    @property
    def is_any(self) -> bool:
        """Whether a project may have videos that are not shown."""
        return bool(self.video or self.page > 1)

    def address(self, **other: Any) -> str:
        """The query that asks for the same with some values changed."""
        changed = replace(self, **other)
        pairs = [("project", slug) for slug in changed.projects]
        pairs += [("video", changed.video), ("from", changed.first or ""), ("to", changed.last or "")]
        pairs += [("sort", changed.sort)] if changed.sort != "added" else []
        pairs += [("page", str(changed.page))] if changed.page > 1 else []
        return "?" + urlencode([(name, value) for name, value in pairs if value])


def read_filters(query: QueryParams, slugs: Sequence[str]) -> Filters:
    """UserError for what makes no sense."""
    wanted = tuple(dict.fromkeys(slug for slug in query.getlist("project") if slug))
    unknown = [slug for slug in wanted if slug not in slugs]
    if unknown:
        raise UserError(f"There is no project {unknown[0]!r} here.")
    sort, page = query.get("sort") or "added", query.get("page") or "1"
    if sort not in SORTS:
        raise UserError(f"The videos cannot be sorted by {sort!r}.")
    if not re.fullmatch(r"[1-9][0-9]{0,5}", page):
        raise UserError(f"There is no page {page!r}.")
    first, last = (_day(query.get(name)) for name in ("from", "to"))
    return Filters(wanted, (query.get("video") or "").strip(), first, last, sort, int(page))


def _day(text: str | None) -> str | None:
    if not text:
        return None
    try:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            raise ValueError
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise UserError(f"{text!r} is no day.", "Write it as 2026-01-31.") from None


def overview_values(projects: Sequence[Project], query: QueryParams, now: float) -> dict[str, Any]:
    """Everything that overview.html needs."""
    filters = read_filters(query, [project.slug for project in projects])
    chosen = [project for project in projects if not filters.projects or project.slug in filters.projects]
    rows: list[VideoRow] = []
    for project in chosen:
        rows += video_rows(project.slug, project.facts, filters.first, filters.last)
    if filters.video:
        part = filters.video.lower()
        rows = [row for row in rows if part in row.state.video.name.lower() or part in row.id]
    known = {(row.project, row.id) for row in rows}
    only = rows[0].id if filters.video and len(rows) == 1 else None
    whole = not filters.video or only is not None  # of some videos the log's sums know no sum over days and people
    by_day = _sum_by("day", chosen, filters, only) if whole else []
    by_person = _sum_by("annotator", chosen, filters, only) if whole else []
    reliabilities = [
        event.payload["annotators"]
        for project in chosen
        for video, event in project.facts.newest("reliability").items()
        if (project.slug, video) in known
    ]
    found = people(by_person, reliabilities)
    work, judged = add_work(row.work for row in rows), sum(row.tally.judged for row in rows)
    ordered = sorted(rows, key=SORTS[filters.sort])
    begin = (filters.page - 1) * ROWS_PER_PAGE
    queue = sorted((row for row in rows if row.open and row.state.hold is None), key=SORTS["waiting"])
    return close_up({project.slug: project for project in chosen}, rows, now) | {
        "filters": filters,
        "most_videos": MOST_VIDEOS,
        "totals": totals(rows),
        "work": work,
        "seconds_per_answer": per_answer(work),
        "agreement": 1 - sum(row.tally.disagreement for row in rows) / 10_000 / judged if judged else None,
        "judged": judged,
        "rows": ordered[begin : begin + ROWS_PER_PAGE],
        "pages": max(1, -(-len(rows) // ROWS_PER_PAGE)),
        "sorts": list(SORTS),
        "queue": queue[:_QUEUE_SHOWN],
        "queued": len(queue),
        "people": found[:_PEOPLE_SHOWN],
        "people_known": whole,
        "failures": _failures(chosen, rows),
        "videos_chart": charts.quality_of_videos(rows) if sum(row.estimated is not None for row in rows) > 1 else None,
        "days_chart": charts.clicks_per_day(by_day) if by_day else None,
        "people_chart": charts.answers_of_people(found) if any(one.work.seconds_ms for one in found) else None,
    }


def _failures(projects: Sequence[Project], rows: Sequence[VideoRow]) -> list[Fault]:
    """The newest of these videos, newest first."""
    names = {(row.project, row.id): row.state.video.name for row in rows}
    if len(rows) <= MOST_VIDEOS:  # older than the newest of the whole project, perhaps
        of = {project.slug: project.facts for project in projects}
        some = [
            (row.project, event)
            for row in rows
            if row.tally.failed
            for event in of[row.project].events(row.id, "failed")
        ]
    else:
        some = [(project.slug, event) for project in projects for event in project.facts.failures(_FAILURES_READ)]
    some = sorted((pair for pair in some if (pair[0], pair[1].video) in names), key=lambda pair: -pair[1].at)
    return faults((slug, names[slug, str(event.video)], event) for slug, event in some)[:_FAILURES_SHOWN]


def _sum_by(key: str, projects: Sequence[Project], filters: Filters, video: str | None) -> list[Work]:
    sums: dict[str, list[Work]] = {}
    for project in projects:
        for part in project.facts.work((key,), video, filters.first, filters.last):
            if part.answers or part.skipped:
                sums.setdefault(getattr(part, key), []).append(part)
    named = {name: add_work(parts) for name, parts in sorted(sums.items())}
    return [replace(work, day=name) if key == "day" else replace(work, annotator=name) for name, work in named.items()]
