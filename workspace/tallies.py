"""Sums over the event log, kept in the transaction that appends to it: `status` and dashboard need not read the log.

They are derived, never facts: `recounting` makes them again from the log and comes to the same numbers. All are
integers, so that adding and taking away again leaves nothing behind.
"""

# Every name put into a statement below is a constant of this file; values are always bound.
# ruff: noqa: S608

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from workspace.databases import is_postgres

IMPORTED = "imported"  # the source of labels that nobody was asked for
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Tally:
    """Of one video, in samples: asked about, labeled by somebody, only skipped, withdrawn; and modelled clicks.

    Of an annotation that was corrected the last version counts.
    pixels: labeled, of each sample the most that one person knew;  judged: samples of which it was judged whether
    people agree;  disagreement: sum over these, in ten-thousandths;  failed: steps
    """

    asked: int = 0
    labeled: int = 0
    skipped: int = 0
    withdrawn: int = 0
    clicks: int = 0
    pixels: int = 0
    judged: int = 0
    disagreement: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Work:
    """What people did, each annotation by itself. `day`: UTC, YYYY-MM-DD, on which it was finished.

    answers, skipped: annotations;  drawing, correcting: modelled clicks, from nothing and of what was shown
    seconds_ms: with the task open, in milliseconds;  counted: annotations with real clicks and active time, and these
    frames, frame_drawing: answers that are whole frames, and modelled clicks of drawing them from nothing
    """

    video: str
    day: str
    annotator: str
    answers: int = 0
    skipped: int = 0
    drawing: int = 0
    correcting: int = 0
    seconds_ms: int = 0
    counted: int = 0
    counted_clicks: int = 0
    counted_ms: int = 0
    frames: int = 0
    frame_drawing: int = 0


SUMS = Tally.__slots__
DONE = Work.__slots__[3:]
DETAILS = (
    "annotator", "day", "skipped", "clicks", "drawing", "seconds_ms", "pixels", "counted", "counted_clicks",
    "counted_ms",
)  # fmt: skip
# one annotation's part in the work of its day
AS_WORK = {
    "answers": "1 - skipped",
    "skipped": "skipped",
    "drawing": "drawing",
    "correcting": "clicks",
    "seconds_ms": "seconds_ms",
    "counted": "counted",
    "counted_clicks": "counted_clicks",
    "counted_ms": "counted_ms",
    "frames": "(1 - skipped) * CASE WHEN sample LIKE '%.%' THEN 0 ELSE 1 END",
    "frame_drawing": "drawing * (1 - skipped) * CASE WHEN sample LIKE '%.%' THEN 0 ELSE 1 END",
}


CLICKS_BY_ROUND = (
    "CREATE TABLE spent (video TEXT NOT NULL, round INTEGER NOT NULL, clicks BIGINT NOT NULL,"
    " PRIMARY KEY (video, round))"
)


def create_tables(connection: Connection) -> None:
    """Make them, empty; those of an earlier version are dropped, for `recounting` to fill."""
    # a table that is its own index; sums of milliseconds may be large
    end = "" if is_postgres(connection) else " WITHOUT ROWID"
    for statement in (
        *(f"DROP TABLE IF EXISTS {name}" for name in ("answer", "tally", "work", "spent")),
        # the last version of every annotation
        f"""CREATE TABLE answer (
            video TEXT NOT NULL, round INTEGER NOT NULL, sample TEXT NOT NULL, annotation TEXT NOT NULL,
            annotator TEXT NOT NULL, day TEXT NOT NULL, skipped INTEGER NOT NULL, clicks INTEGER NOT NULL,
            drawing INTEGER NOT NULL, seconds_ms BIGINT NOT NULL, pixels BIGINT NOT NULL, counted INTEGER NOT NULL,
            counted_clicks INTEGER NOT NULL, counted_ms BIGINT NOT NULL,
            PRIMARY KEY (video, round, sample, annotation)){end}""",
        f"CREATE TABLE tally (video TEXT PRIMARY KEY, {', '.join(f'{name} BIGINT NOT NULL' for name in SUMS)})",
        # each also summed up over all videos (video = '') and over all days and people (day = '')
        f"""CREATE TABLE work (video TEXT NOT NULL, day TEXT NOT NULL, annotator TEXT NOT NULL,
            {", ".join(f"{name} BIGINT NOT NULL" for name in DONE)},
            PRIMARY KEY (video, day, annotator)){end}""",
        CLICKS_BY_ROUND,
    ):
        connection.execute(text(statement))


def count(
    connection: Connection, video: str | None, round_number: int, kind: str, payload: Mapping[str, Any], at: float
) -> None:
    """Add an event that has just been appended. One without the fields that its kind has counts nothing."""
    if video is None:
        return
    if kind == "selected":
        change = Tally(asked=len(payload.get("samples", ())))
    elif kind == "withdrawn":
        change = Tally(withdrawn=1)
    elif kind == "failed":
        change = Tally(failed=1)
    elif kind == "agreement" and "disagreement" in payload and not payload.get("asked_more"):
        change = Tally(judged=1, disagreement=round(10_000 * payload["disagreement"]))
    elif kind == "label" and "sample" in payload and "annotation" in payload and payload.get("source") != IMPORTED:
        change = _answered(connection, video, round_number, payload, at)
        _add(connection, "spent", {"video": video, "round": round_number}, {"clicks": change.clicks})
    else:
        return
    _add(connection, "tally", {"video": video}, {name: getattr(change, name) for name in SUMS})


def read_tallies(connection: Connection, video: str | None = None) -> dict[str, Tally]:
    """Video id -> sums, of one video or of all; a video about which nobody was asked has none."""
    where = " WHERE video = :video" if video else ""
    query = f"SELECT video, {', '.join(SUMS)} FROM tally{where}"
    return {row[0]: Tally(*row[1:]) for row in connection.execute(text(query), {"video": video})}


def read_work(
    connection: Connection, by: tuple[str, ...], video: str | None, first: str | None, last: str | None
) -> list[Work]:
    """Work from day `first` to day `last`, summed up over what `by` leaves out of video, day and annotator ("")."""
    keys = ", ".join(name if name in by else f"'' AS {name}" for name in Work.__slots__[:3])
    sums = ", ".join(f"CAST(SUM({name}) AS BIGINT)" for name in DONE)  # PostgreSQL would give decimals
    # a sum that is there already spares the rows that went into it
    if video is None and "video" not in by:
        level = "video = '' AND day <> ''"
    elif first is None and last is None and not {"day", "annotator"} & set(by):
        level = "video <> '' AND day = ''"
    else:
        level = "video <> '' AND day <> ''"
    limits = {"video = :video": video, "day >= :first": first, "day <= :last": last}
    where = " AND ".join([level, *(clause for clause, value in limits.items() if value is not None)])
    query = f"SELECT {keys}, {sums} FROM work WHERE {where}"
    query += f" GROUP BY {', '.join(by)} ORDER BY {', '.join(by)}" if by else " HAVING COUNT(*) > 0"
    values = {"video": video, "first": first, "last": last}
    return [Work(*row) for row in connection.execute(text(query), values)]


def read_rounds(connection: Connection, video: str, after: int = 0) -> dict[int, tuple[Tally, Work]]:
    """Round -> its answers, of one video from round `after` on; samples in the first, annotations in the second."""
    query = (
        "SELECT round, CAST(SUM(sample_labeled) AS BIGINT), CAST(SUM(1 - sample_labeled) AS BIGINT),"
        f" CAST(SUM(sample_pixels) AS BIGINT), {', '.join(f'CAST(SUM({name}) AS BIGINT)' for name in DONE)} FROM ("
        f"SELECT round, sample, MAX(1 - skipped) AS sample_labeled, MAX(pixels) AS sample_pixels,"
        f" {', '.join(f'SUM({formula}) AS {name}' for name, formula in AS_WORK.items())}"
        " FROM answer WHERE video = :video AND round >= :after GROUP BY round, sample) AS one GROUP BY round"
    )
    found = {}
    for number, labeled, skipped, pixels, *done in connection.execute(text(query), {"video": video, "after": after}):
        sums = dict(zip(DONE, done, strict=True))
        tally = Tally(labeled=labeled, skipped=skipped, pixels=pixels, clicks=sums["correcting"])
        found[number] = (tally, Work(video, "", "", **sums))
    return found


def read_spent(connection: Connection, kind: str, most: int) -> Sequence[Row[Any]]:
    """The newest `most` events of a kind of every video, oldest first; `spent`: clicks of round 1 to its own.

    One look at an index per event, however long the log is.
    """
    query = " UNION ALL ".join(
        "SELECT event.*, COALESCE((SELECT CAST(SUM(clicks) AS BIGINT) FROM spent"
        " WHERE spent.video = video.id AND spent.round BETWEEN 1 AND event.round), 0) AS spent"
        " FROM video JOIN event ON event.id = (SELECT one.id FROM event AS one"
        f" WHERE one.video = video.id AND one.kind = :kind ORDER BY one.id DESC LIMIT 1 OFFSET {place})"
        for place in range(most)
    )
    return connection.execute(text(f"{query} ORDER BY id"), {"kind": kind}).all()


def read_answered(connection: Connection, state: str) -> dict[str, int]:
    """Video in that state -> samples of its present round with any answer; a video without one is left out."""
    query = (
        "SELECT video.id, COUNT(DISTINCT answer.sample) FROM video"
        " JOIN answer ON answer.video = video.id AND answer.round = video.round"
        " WHERE video.state = :state GROUP BY video.id"
    )
    return {row[0]: int(row[1]) for row in connection.execute(text(query), {"state": state})}


def _answered(connection: Connection, video: str, round_number: int, payload: Mapping[str, Any], at: float) -> Tally:
    """What an answer, or a new version of one, changes; and note it."""
    place = {"video": video, "round": round_number, "sample": payload["sample"], "annotation": payload["annotation"]}
    before = _of_sample(connection, place)
    _note_work(connection, place, -1)
    columns = ("video", "round", "sample", "annotation", *DETAILS)
    connection.execute(
        text(
            f"INSERT INTO answer ({', '.join(columns)}) VALUES ({', '.join(f':{name}' for name in columns)})"
            " ON CONFLICT (video, round, sample, annotation)"
            f" DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in DETAILS)}"
        ),
        place | _details(payload, at),
    )
    _note_work(connection, place, 1)
    after = _of_sample(connection, place)
    return Tally(**{n: getattr(after, n) - getattr(before, n) for n in ("labeled", "skipped", "clicks", "pixels")})


def _details(payload: Mapping[str, Any], at: float) -> dict[str, object]:
    clicks, effort = payload.get("clicks") or {}, payload.get("effort") or {}
    finished = str(payload.get("finished_at") or "")
    return {
        "annotator": payload.get("annotator", ""),
        "day": finished[:10] if _DAY.match(finished) else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d"),
        "skipped": int(payload.get("skipped", False)),
        "clicks": clicks.get("correcting", 0),
        "drawing": clicks.get("drawing", 0),
        "seconds_ms": int(1000 * payload.get("seconds", 0) + 0.5),
        "pixels": payload.get("known_pixels", 0),
        "counted": int("clicks" in effort),
        "counted_clicks": effort.get("clicks", 0),
        "counted_ms": int(1000 * effort.get("active_seconds", 0) + 0.5),
    }


def _note_work(connection: Connection, place: Mapping[str, Any], sign: int) -> None:
    """Add one annotation, as it is now, to the work of its day and annotator, or take it away."""
    sums = ", ".join(f"{formula} AS {name}" for name, formula in AS_WORK.items())
    query = (
        f"SELECT video, day, annotator, {sums} FROM answer"
        " WHERE video = :video AND round = :round AND sample = :sample AND annotation = :annotation"
    )
    for row in connection.execute(text(query), place).mappings().all():
        of, day, annotator = row["video"], row["day"], row["annotator"]
        for keys in ((of, day, annotator), ("", day, annotator), (of, "", "")):
            named = dict(zip(Work.__slots__[:3], keys, strict=True))
            _add(connection, "work", named, {name: sign * row[name] for name in DONE})


def _add(connection: Connection, table: str, keys: Mapping[str, Any], sums: Mapping[str, Any]) -> None:
    columns = (*keys, *sums)
    connection.execute(
        text(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(f':{name}' for name in columns)})"
            f" ON CONFLICT ({', '.join(keys)})"
            f" DO UPDATE SET {', '.join(f'{name} = {table}.{name} + excluded.{name}' for name in sums)}"
        ),
        dict(keys) | dict(sums),
    )


def _of_sample(connection: Connection, place: Mapping[str, Any]) -> Tally:
    """What all answers to one sample come to."""
    query = (
        "SELECT COUNT(*), COALESCE(MAX(1 - skipped), 0), COALESCE(SUM(clicks), 0), COALESCE(MAX(pixels), 0) FROM answer"
        " WHERE video = :video AND round = :round AND sample = :sample"
    )
    answers, labeled, clicks, pixels = connection.execute(text(query), place).one()
    return Tally(labeled=labeled, skipped=int(answers > 0) - labeled, clicks=clicks, pixels=pixels)
