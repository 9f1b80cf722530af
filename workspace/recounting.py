"""All sums beside the event log, made anew from it by the database itself: ten million events take minutes."""

# Every name put into a statement below is a constant; values are always bound.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, text

from workspace.databases import is_postgres
from workspace.tallies import AS_WORK, DETAILS, DONE, IMPORTED, SUMS

CLICKS_OF_ANSWERS = (
    "INSERT INTO spent (video, round, clicks) SELECT video, round, SUM(clicks) FROM answer GROUP BY video, round"
)


class _Sqlite:
    """How a payload is read. Fields that are missing are NULL."""

    events = "event"  # the log, or what the log looks like with its payloads parsed
    day_of_event = "date(at, 'unixepoch')"
    listed = "json_array_length(payload, '$.samples')"
    ascending = "ORDER BY id"  # a later version of an answer replaces an earlier one
    only_newest = ""

    def text(self, name: str) -> str:
        return f"json_extract(payload, '$.{name}')"

    def whole(self, name: str) -> str:
        return f"COALESCE({self.text(name)}, 0)"

    truth = whole

    def scaled(self, factor: int, name: str) -> str:
        return f"CAST(ROUND({factor} * {self.whole(name)}) AS INTEGER)"

    def is_day(self, value: str) -> str:
        return f"{value} GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'"


class _Postgres(_Sqlite):
    # OFFSET keeps the planner from parsing the text once for every field
    events = "(SELECT id, at, video, round, kind, payload::jsonb AS payload FROM event OFFSET 0) AS event"
    day_of_event = "to_char(to_timestamp(at) AT TIME ZONE 'UTC', 'YYYY-MM-DD')"
    listed = "jsonb_array_length(payload->'samples')"
    # one statement may not change a row twice: only the newest version comes in
    ascending = "ORDER BY video, round, sample, annotation, id DESC"
    only_newest = "DISTINCT ON (video, round, sample, annotation)"

    def text(self, name: str) -> str:
        return f"payload #>> '{{{name.replace('.', ',')}}}'"

    def whole(self, name: str) -> str:
        return f"COALESCE(CAST({self.text(name)} AS NUMERIC)::BIGINT, 0)"

    def truth(self, name: str) -> str:
        return f"CASE WHEN {self.text(name)} = 'true' THEN 1 ELSE 0 END"

    def scaled(self, factor: int, name: str) -> str:
        # half goes up, as in Python; ROUND would take the even neighbour
        return f"FLOOR({factor} * COALESCE(CAST({self.text(name)} AS DOUBLE PRECISION), 0) + 0.5)::BIGINT"

    def is_day(self, value: str) -> str:
        return f"{value} ~ '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}'"


def recount(connection: Connection) -> None:
    """Make all sums from the log."""
    for statement in _statements(_Postgres() if is_postgres(connection) else _Sqlite()):
        connection.execute(text(statement))


def _statements(says: _Sqlite) -> Iterator[str]:
    yield from (f"DELETE FROM {name}" for name in ("answer", "tally", "work", "spent"))
    finished = says.text("finished_at")
    yield f"""INSERT INTO answer (video, round, sample, annotation, {", ".join(DETAILS)})
        SELECT {says.only_newest} video, round,
            {says.text("sample")} AS sample, {says.text("annotation")} AS annotation,
            COALESCE({says.text("annotator")}, ''),
            CASE WHEN {says.is_day(finished)} THEN substr({finished}, 1, 10) ELSE {says.day_of_event} END,
            {says.truth("skipped")}, {says.whole("clicks.correcting")}, {says.whole("clicks.drawing")},
            {says.scaled(1000, "seconds")}, {says.whole("known_pixels")},
            CASE WHEN {says.text("effort.clicks")} IS NULL THEN 0 ELSE 1 END, {says.whole("effort.clicks")},
            {says.scaled(1000, "effort.active_seconds")}
        FROM {says.events} WHERE kind = 'label' AND video IS NOT NULL
            AND {says.text("sample")} IS NOT NULL AND {says.text("annotation")} IS NOT NULL
            AND COALESCE({says.text("source")}, '') <> '{IMPORTED}'
        {says.ascending}
        ON CONFLICT (video, round, sample, annotation)
        DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in DETAILS)}"""
    asked = f"SUM(CASE WHEN kind = 'selected' THEN {says.listed} ELSE 0 END)"
    disagreement = f"CASE WHEN kind = 'agreement' THEN {says.scaled(10_000, 'disagreement')} ELSE 0 END"
    yield f"""INSERT INTO tally (video, {", ".join(SUMS)})
        SELECT video, {asked}, 0, 0, {_count("withdrawn")}, 0, 0, {_count("agreement")}, SUM({disagreement}),
            {_count("failed")}
        FROM {says.events} WHERE video IS NOT NULL AND (kind IN ('selected', 'withdrawn', 'failed')
            OR (kind = 'agreement' AND {says.text("disagreement")} IS NOT NULL AND {says.truth("asked_more")} = 0))
        GROUP BY video"""
    yield f"""INSERT INTO tally (video, {", ".join(SUMS)})
        SELECT video, 0, SUM(labeled), SUM(1 - labeled), 0, SUM(clicks), SUM(pixels), 0, 0, 0 FROM (
            SELECT video, MAX(1 - skipped) AS labeled, SUM(clicks) AS clicks, MAX(pixels) AS pixels
            FROM answer GROUP BY video, round, sample) AS sample WHERE true GROUP BY video
        ON CONFLICT (video) DO UPDATE SET labeled = excluded.labeled, skipped = excluded.skipped,
            clicks = excluded.clicks, pixels = excluded.pixels"""
    yield CLICKS_OF_ANSWERS
    yield f"""INSERT INTO work (video, day, annotator, {", ".join(DONE)})
        SELECT video, day, annotator, {", ".join(f"SUM({formula})" for formula in AS_WORK.values())}
        FROM answer GROUP BY video, day, annotator"""
    yield f"""INSERT INTO work (video, day, annotator, {", ".join(DONE)})
        SELECT '', day, annotator, {", ".join(f"SUM({name})" for name in DONE)}
        FROM work GROUP BY day, annotator"""
    yield f"""INSERT INTO work (video, day, annotator, {", ".join(DONE)})
        SELECT video, '', '', {", ".join(f"SUM({name})" for name in DONE)}
        FROM work WHERE video <> '' GROUP BY video"""


def _count(kind: str) -> str:
    return f"SUM(CASE WHEN kind = '{kind}' THEN 1 ELSE 0 END)"
