"""Sums over the event log of a video, kept in the transaction that appends to it: `status` need not read the log.

They are derived, never facts: `recount` makes them again from the log and comes to the same numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from workspace.databases import is_postgres

_IMPORTED = "imported"  # the source of labels that nobody was asked for


@dataclass(frozen=True, slots=True)
class Tally:
    """Of one video, in samples: asked about, labeled by somebody, only skipped, withdrawn; and modelled clicks.

    Of an annotation that was corrected the last version counts.
    """

    asked: int = 0
    labeled: int = 0
    skipped: int = 0
    withdrawn: int = 0
    clicks: int = 0


def create_tables(connection: Connection) -> None:
    for statement in (
        # the last version of every annotation
        """CREATE TABLE answer (
            video TEXT NOT NULL, round INTEGER NOT NULL, sample TEXT NOT NULL, annotation TEXT NOT NULL,
            skipped INTEGER NOT NULL, clicks INTEGER NOT NULL,
            PRIMARY KEY (video, round, sample, annotation)) {without_rowid}""",
        """CREATE TABLE tally (
            video TEXT PRIMARY KEY, asked INTEGER NOT NULL, labeled INTEGER NOT NULL, skipped INTEGER NOT NULL,
            withdrawn INTEGER NOT NULL, clicks INTEGER NOT NULL)""",
    ):
        connection.execute(text(statement.format(without_rowid="" if is_postgres(connection) else "WITHOUT ROWID")))


def count(connection: Connection, video: str | None, round_number: int, kind: str, payload: Mapping[str, Any]) -> None:
    """Add an event that has just been appended. One without the fields that its kind has counts nothing."""
    if video is None:
        return
    if kind == "selected":
        change = Tally(asked=len(payload.get("samples", ())))
    elif kind == "withdrawn":
        change = Tally(withdrawn=1)
    elif kind == "label" and "sample" in payload and "annotation" in payload and payload.get("source") != _IMPORTED:
        change = _answered(connection, video, round_number, payload)
    else:
        return
    connection.execute(
        text(
            "INSERT INTO tally (video, asked, labeled, skipped, withdrawn, clicks)"
            " VALUES (:video, :asked, :labeled, :skipped, :withdrawn, :clicks)"
            " ON CONFLICT (video) DO UPDATE SET asked = tally.asked + excluded.asked,"
            " labeled = tally.labeled + excluded.labeled, skipped = tally.skipped + excluded.skipped,"
            " withdrawn = tally.withdrawn + excluded.withdrawn, clicks = tally.clicks + excluded.clicks"
        ),
        {"video": video} | {name: getattr(change, name) for name in Tally.__slots__},
    )


def read_tallies(connection: Connection, video: str | None = None) -> dict[str, Tally]:
    """Video id -> sums, of one video or of all; a video about which nobody was asked has none."""
    where = " WHERE video = :video" if video else ""
    query = f"SELECT video, asked, labeled, skipped, withdrawn, clicks FROM tally{where}"  # noqa: S608 - a constant
    return {row[0]: Tally(*row[1:]) for row in connection.execute(text(query), {"video": video})}


def recount(connection: Connection) -> None:
    """Make all sums from the log."""
    if is_postgres(connection):
        _replay(connection)
        return
    for statement in (
        "DELETE FROM answer",
        "DELETE FROM tally",
        # ascending ids: a later version replaces an earlier one
        """INSERT INTO answer (video, round, sample, annotation, skipped, clicks)
            SELECT video, round, json_extract(payload, '$.sample') AS sample,
                json_extract(payload, '$.annotation') AS annotation, COALESCE(json_extract(payload, '$.skipped'), 0),
                COALESCE(json_extract(payload, '$.clicks.correcting'), 0)
            FROM event WHERE kind = 'label' AND video IS NOT NULL AND sample IS NOT NULL AND annotation IS NOT NULL
                AND json_extract(payload, '$.source') IS NOT 'imported'
            ORDER BY id
            ON CONFLICT (video, round, sample, annotation)
            DO UPDATE SET skipped = excluded.skipped, clicks = excluded.clicks""",
        """INSERT INTO tally (video, asked, labeled, skipped, withdrawn, clicks)
            SELECT video, SUM(CASE WHEN kind = 'selected' THEN json_array_length(payload, '$.samples') ELSE 0 END),
                0, 0, SUM(kind = 'withdrawn'), 0
            FROM event WHERE kind IN ('selected', 'withdrawn') AND video IS NOT NULL GROUP BY video""",
        """INSERT INTO tally (video, asked, labeled, skipped, withdrawn, clicks)
            SELECT video, 0, SUM(labeled), SUM(1 - labeled), 0, SUM(clicks) FROM (
                SELECT video, MAX(1 - skipped) AS labeled, SUM(clicks) AS clicks
                FROM answer GROUP BY video, round, sample) AS sample WHERE true GROUP BY video
            ON CONFLICT (video) DO UPDATE
            SET labeled = excluded.labeled, skipped = excluded.skipped, clicks = excluded.clicks""",
    ):
        connection.execute(text(statement))


def _replay(connection: Connection) -> None:
    """The same by reading the log event by event: slower, and without a database's own JSON."""
    for table in ("answer", "tally"):
        connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - two constants
    kinds = "SELECT video, round, kind, payload FROM event WHERE kind IN ('selected', 'withdrawn', 'label') ORDER BY id"
    for row in connection.execute(text(kinds)).all():
        count(connection, row.video, row.round, row.kind, json.loads(row.payload))


def _answered(connection: Connection, video: str, round_number: int, payload: Mapping[str, Any]) -> Tally:
    """What an answer, or a new version of one, changes; and note it."""
    place = {"video": video, "round": round_number, "sample": payload["sample"]}
    before = _of_sample(connection, place)
    connection.execute(
        text(
            "INSERT INTO answer (video, round, sample, annotation, skipped, clicks)"
            " VALUES (:video, :round, :sample, :annotation, :skipped, :clicks)"
            " ON CONFLICT (video, round, sample, annotation)"
            " DO UPDATE SET skipped = excluded.skipped, clicks = excluded.clicks"
        ),
        place
        | {
            "annotation": payload["annotation"],
            "skipped": int(payload.get("skipped", False)),
            "clicks": payload.get("clicks", {}).get("correcting", 0),
        },
    )
    after = _of_sample(connection, place)
    return Tally(
        labeled=after.labeled - before.labeled,
        skipped=after.skipped - before.skipped,
        clicks=after.clicks - before.clicks,
    )


def _of_sample(connection: Connection, place: Mapping[str, Any]) -> Tally:
    """What all answers to one sample come to."""
    query = (
        "SELECT COUNT(*), COALESCE(MAX(1 - skipped), 0), COALESCE(SUM(clicks), 0) FROM answer"
        " WHERE video = :video AND round = :round AND sample = :sample"
    )
    answers, labeled, clicks = connection.execute(text(query), place).one()
    return Tally(labeled=labeled, skipped=int(answers > 0) - labeled, clicks=clicks)
