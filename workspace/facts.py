"""The facts: videos with their state and lease, and the append-only event log, in a database through SQLAlchemy."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from sqlalchemy import Connection, Engine, Row, text
from sqlalchemy.exc import DatabaseError, IntegrityError

from workspace.databases import make_schema, now_s, one_writer, postgres_engine, schema_of, sqlite_engine
from workspace.errors import LeaseLost, UserError
from workspace.layout import Layout
from workspace.migrations import migrate
from workspace.owners import is_dead, new_owner
from workspace.redaction import redacted
from workspace.states import FREES, MOST_FAILURES, MOVES, ORDERED, ORDERS, Hold, Order, State
from workspace.tallies import Tally, Work, count, read_answered, read_rounds, read_spent, read_tallies, read_work
from workspace.video import Video

_LONGEST_LEASE_S = 3600.0  # of another configuration, say


@dataclass(frozen=True, slots=True)
class Event:
    """One fact. `at`: seconds since the epoch; `payload`: JSON values only, never a secret."""

    id: int
    at: float
    video: str | None
    round: int
    kind: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class NewEvent:
    """A fact to append; one whose `dedupe` is already in the log is dropped. `round`: None for that of the lease."""

    kind: str
    payload: dict[str, Any]
    dedupe: str | None = None
    round: int | None = None


@dataclass(frozen=True, slots=True)
class VideoState:
    video: Video
    state: State
    round: int
    seq: int
    owner: str | None
    lease_until: float | None
    hold: Hold | None = None
    priority: int = 0
    cron: str | None = None  # when it is looked at, in UTC; None: with the project


class Keeping(Protocol):
    """Has the files of videos on this machine's disk while it works on them, and where others find them afterwards.

    events: the payloads of the video's `kept` facts, oldest first;  beat: called often, raises if the lease is lost
    """

    def fetch(self, video: Video, events: Iterable[Mapping[str, Any]], beat: Callable[[], None]) -> None:
        """Called when a lease was taken: every file that the facts speak of is here afterwards."""

    def keep(self, video: Video, beat: Callable[[], None]) -> dict[str, Any] | None:
        """Called before facts change: every file that is new is safe afterwards. The payload of a `kept` fact."""


class Facts:
    """Everything the workspace knows; safe to open from several processes at once.

    keeping: None where the files lie in the workspace folder only
    """

    def __init__(self, engine: Engine, keeping: Keeping | None = None, read_only: bool = False) -> None:
        self._engine, self._keeping, self._read_only = engine, keeping, read_only

    @classmethod
    def open(cls, path: Path, keeping: Keeping | None = None) -> Facts:
        """Those in an SQLite file, which is made if there is none."""
        engine = sqlite_engine(path)
        try:
            migrate(engine)
        except DatabaseError as error:
            engine.dispose()
            raise UserError(
                f"{path} cannot be used: {error.orig}.",
                "Restore it from a backup, or check the disk and its permissions.",
            ) from None
        except UserError:
            engine.dispose()
            raise
        return cls(engine, keeping)

    @classmethod
    def connect(
        cls, address: str, schema: str, keeping: Keeping | None = None, read_only: bool = False, make: bool = True
    ) -> Facts:
        """Those in a schema of a PostgreSQL database, which is made if there is none; UserError without `make`."""
        engine = postgres_engine(address, schema)
        try:
            make_schema(engine, schema, make)
            migrate(engine)
        except DatabaseError as error:
            engine.dispose()
            reason = " ".join(str(error.orig).split())[:200]
            raise UserError(f"The database of facts.database cannot be used: {reason}.", "Is it running?") from None
        except UserError:
            engine.dispose()
            raise
        return cls(engine, keeping, read_only)

    @classmethod
    def of(cls, layout: Layout, keeping: Keeping | None = None) -> Facts:
        """Those of a project, wherever its settings say they lie.

        keeping: whoever takes leases or adds videos passes it if the project has `workspace.remote`
        """
        config = layout.config()
        if config.facts.database is None:
            return cls.open(layout.database_file, keeping)
        schema = config.facts.schema_name or schema_of(config.project.name)
        unkept = config.workspace.remote is not None and keeping is None
        return cls.connect(config.facts.database, schema, keeping, read_only=unkept)

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add_video(self, video: Video) -> bool:
        """False if a video with this content is already there. Its frames are in its folder."""
        assert not self._read_only, "files of the project must be kept"
        kept = None if self._keeping is None else self._keeping.keep(video, lambda: None)
        try:
            with self._engine.begin() as connection:
                connection.execute(
                    text(
                        "INSERT INTO video (id, name, sha256, frames, width, height, fps, suffix,"
                        " added_at, state, round, seq)"
                        " VALUES (:id, :name, :sha256, :frames, :width, :height, :fps, :suffix, :at, 'ready', 0, 0)"
                    ),
                    {name: getattr(video, name) for name in Video.__slots__} | {"at": time.time()},
                )
                _append(connection, video.id, 0, NewEvent("added", {"name": video.name, "frames": video.frames}))
                if kept is not None:
                    _append(connection, video.id, 0, NewEvent("kept", kept))
        except IntegrityError:
            return False
        return True

    def videos(self) -> list[VideoState]:
        """All videos in the order in which they were added."""
        with self._engine.begin() as connection:
            rows = connection.execute(text("SELECT * FROM video ORDER BY added_at, id")).all()
        return [_video_state(row) for row in rows]

    def video(self, video: str) -> VideoState:
        with self._engine.begin() as connection:
            row = connection.execute(text("SELECT * FROM video WHERE id = :id"), {"id": video}).one_or_none()
        if row is None:
            raise UserError(f"There is no video {video!r}.", "`fewclicks status DIR` lists them.")
        return _video_state(row)

    def find_sha256(self, sha256: str) -> Video | None:
        with self._engine.begin() as connection:
            row = connection.execute(text("SELECT * FROM video WHERE sha256 = :s"), {"s": sha256}).one_or_none()
        return None if row is None else _video_state(row).video

    def append(self, video: str | None, round_number: int, new: NewEvent) -> bool:
        """Append a fact that needs no lease; False if its `dedupe` was there already."""
        with self._engine.begin() as connection:
            return _append(connection, video, round_number, new)

    def events(self, video: str | None = None, kind: str | None = None, after: int = 0) -> Iterator[Event]:
        """Oldest first, read in pages so that a long log never lies in memory."""
        where = "".join([" AND video = :video" if video else "", " AND kind = :kind" if kind else ""])
        query = text(f"SELECT * FROM event WHERE id > :after{where} ORDER BY id LIMIT 1000")  # noqa: S608 - two constants
        while True:
            with self._engine.begin() as connection:
                rows = connection.execute(query, {"after": after, "video": video, "kind": kind}).all()
            for row in rows:
                yield Event(row.id, row.at, row.video, row.round, row.kind, json.loads(row.payload))
            if len(rows) < 1000:
                return
            after = rows[-1].id

    def events_since(self, at: float, kind: str) -> list[Event]:
        """Those of one kind from a time on (seconds since the epoch), oldest first."""
        query = text("SELECT * FROM event WHERE kind = :kind AND at >= :at ORDER BY id")
        with self._engine.begin() as connection:
            rows = connection.execute(query, {"kind": kind, "at": at}).all()
        return [Event(row.id, row.at, row.video, row.round, row.kind, json.loads(row.payload)) for row in rows]

    def prioritize(self, video: str, priority: int) -> bool:
        """Higher goes first, 0 is usual; False if it is so already."""
        return self._set(video, "priority", priority, "prioritized")

    def schedule(self, video: str, cron: str | None) -> bool:
        """When it is looked at: five cron fields, in UTC, checked by who calls; None: with the project. False if it is
        so already."""
        return self._set(video, "cron", cron, "scheduled")

    def _set(self, video: str, column: str, value: int | str | None, kind: str) -> bool:
        row = self.video(video)
        if getattr(row, column) == value:
            return False
        with self._engine.begin() as connection:
            query = f"UPDATE video SET {column} = :value WHERE id = :id"  # noqa: S608 - one of our two columns
            connection.execute(text(query), {"value": value, "id": video})
            payload = {column: value, "before": getattr(row, column)}
            return _append(connection, video, row.round, NewEvent(kind, payload))

    def last_event(self, video: str, kind: str) -> Event | None:
        query = "SELECT * FROM event WHERE video = :video AND kind = :kind ORDER BY id DESC LIMIT 1"
        with self._engine.begin() as connection:
            row = connection.execute(text(query), {"video": video, "kind": kind}).one_or_none()
        return None if row is None else Event(row.id, row.at, row.video, row.round, row.kind, json.loads(row.payload))

    def tallies(self) -> dict[str, Tally]:
        """Video id -> sums over its events; a video without any is left out. Does not read the log."""
        with self._engine.begin() as connection:
            return read_tallies(connection)

    def tally(self, video: str) -> Tally:
        with self._engine.begin() as connection:
            return read_tallies(connection, video).get(video, Tally())

    def work(
        self,
        by: tuple[str, ...] = (),
        video: str | None = None,
        first: str | None = None,
        last: str | None = None,
    ) -> list[Work]:
        """What people did from day `first` to day `last` (YYYY-MM-DD, UTC), summed up over what `by` leaves out.

        by: any of "video", "day", "annotator", in that order. Does not read the log.
        """
        with self._engine.begin() as connection:
            return read_work(connection, by, video, first, last)

    def rounds(self, video: str, after: int = 0) -> dict[int, tuple[Tally, Work]]:
        """Round -> the samples and the annotations answered in it, from round `after` on. Does not read the log."""
        with self._engine.begin() as connection:
            return read_rounds(connection, video, after)

    def answered_now(self) -> dict[str, int]:
        """Video that waits -> how many samples of its round somebody has labeled or skipped; 0 is left out."""
        with self._engine.begin() as connection:
            return read_answered(connection, State.WAITING)

    def position(self) -> int:
        """The number of the newest event; 0 if there is none. It changes whenever anything does."""
        with self._engine.begin() as connection:
            return int(connection.execute(text("SELECT COALESCE(MAX(id), 0) FROM event")).scalar_one())

    def failures(self, most: int) -> list[Event]:
        """The newest failed steps of all videos, newest first."""
        query = "SELECT * FROM event WHERE kind = 'failed' ORDER BY id DESC LIMIT :most"
        with self._engine.begin() as connection:
            rows = connection.execute(text(query), {"most": most}).all()
        return [Event(row.id, row.at, row.video, row.round, row.kind, json.loads(row.payload)) for row in rows]

    def newest(self, kind: str) -> dict[str, Event]:
        """Video id -> its newest event of a kind; a look at an index per video."""
        query = (
            "SELECT event.* FROM video JOIN event ON event.id ="
            " (SELECT MAX(id) FROM event WHERE event.video = video.id AND event.kind = :kind)"
        )
        with self._engine.begin() as connection:
            rows = connection.execute(text(query), {"kind": kind}).all()
        return {
            row.video: Event(row.id, row.at, row.video, row.round, row.kind, json.loads(row.payload)) for row in rows
        }

    def newest_few(self, kind: str, most: int) -> dict[str, list[tuple[Event, int]]]:
        """Video id -> its newest `most` events of a kind, oldest first, each with the clicks of round 1 to its own.

        A look at an index per event, for all videos at once.
        """
        with self._engine.begin() as connection:
            rows = read_spent(connection, kind, most)
        found: dict[str, list[tuple[Event, int]]] = {}
        for row in rows:
            event = Event(row.id, row.at, row.video, row.round, row.kind, json.loads(row.payload))
            found.setdefault(row.video, []).append((event, int(row.spent)))
        return found

    def of_this_round(self, kind: str, state: State) -> dict[str, list[Event]]:
        """Video id -> its events of a kind in the round it is in, oldest first; for all videos in `state` at once."""
        query = (
            "SELECT event.* FROM video JOIN event"
            " ON event.video = video.id AND event.kind = :kind AND event.round = video.round"
            " WHERE video.state = :state ORDER BY event.id"
        )
        with self._engine.begin() as connection:
            rows = connection.execute(text(query), {"kind": kind, "state": state}).all()
        found: dict[str, list[Event]] = {}
        for row in rows:
            event = Event(row.id, row.at, row.video, row.round, row.kind, json.loads(row.payload))
            found.setdefault(row.video, []).append(event)
        return found

    def order(self, video: str, order: Order) -> bool:
        """Pause, resume, cancel or retry; False if that is so already. UserError if it makes no sense now.

        A process that is working on the video finds its lease lost at its next sign of life, and writes nothing more.
        """
        while True:
            row = self.video(video)
            if row.hold not in ORDERS[order]:
                assert row.hold is not None
                raise UserError(
                    f"{video} is {row.hold}, so it cannot {order}.", f"`fewclicks {FREES[row.hold]}` lets it go on."
                )
            wanted = ORDERS[order][row.hold]
            if wanted == row.hold:
                return False
            with self._engine.begin() as connection:
                changed = connection.execute(
                    text(
                        "UPDATE video SET hold = :new WHERE id = :id AND seq = :seq"
                        " AND COALESCE(hold, '') = COALESCE(:old, '')"
                    ),
                    {"new": wanted, "old": row.hold, "id": video, "seq": row.seq},
                ).rowcount
                if changed:
                    payload = {"state": row.state, "hold": wanted, "before": row.hold}
                    return _append(connection, video, row.round, NewEvent(ORDERED[order], payload))

    def claim(self, video: str, seconds: float) -> Lease | None:
        """Take the video's lease for this process; None while a living other process has it, or while it is held.

        One that runs for longer than any does was taken before the clock was set back, and would keep everybody out for
        as long: it may be taken. Its owner, if it lives, is fenced off as always. The video's files are here then; if
        they cannot be brought here the lease is given back, and the error raised.
        """
        assert not self._read_only, "files of the project must be kept"
        owner = new_owner()
        seen = self.video(video)
        dead = seen.owner if seen.owner is not None and is_dead(seen.owner) else None
        with self._engine.begin() as connection:
            now = now_s(connection)
            taken = connection.execute(
                text(
                    "UPDATE video SET owner = :owner, lease_until = :until WHERE id = :id AND seq = :seq"
                    " AND hold IS NULL AND (owner IS NULL OR lease_until < :now OR lease_until > :far OR owner = :dead)"
                ),
                {"owner": owner, "until": now + seconds, "id": video, "seq": seen.seq, "now": now, "dead": dead}
                | {"far": now + max(2 * seconds, _LONGEST_LEASE_S)},
            ).rowcount
        if not taken:
            return None
        lease = Lease(self._engine, seen, owner, seconds, self._keeping)
        if self._keeping is not None:
            try:
                self._keeping.fetch(seen.video, [e.payload for e in self.events(video, "kept")], lease.beat)
            except BaseException:
                lease.release()
                raise
        return lease


class Lease:
    """The right to move one video on. Every write is fenced: owner, state and seq are still ours, no hold.

    A process that was frozen past its lease finds another owner in the row and gets `LeaseLost` before it can write.
    """

    def __init__(
        self, engine: Engine, row: VideoState, owner: str, seconds: float, keeping: Keeping | None = None
    ) -> None:
        self._engine, self._row, self._keeping = engine, row, keeping
        self.video, self.owner, self.seconds = row.video.id, owner, seconds
        self.seq, self.state, self.round = row.seq, row.state, row.round
        self._renewed = time.monotonic()

    def check(self) -> None:
        """Renew; LeaseLost if the video is no longer ours. Call it immediately before every write to the outside."""
        with self._engine.begin() as connection:
            self._renew(connection)
        self._renewed = time.monotonic()

    def beat(self) -> None:
        """Renew if a quarter of the lease has passed: cheap enough for the inside of any loop."""
        if time.monotonic() - self._renewed > self.seconds / 4:
            self.check()

    def record(self, events: Sequence[NewEvent]) -> int:
        """Append facts without moving the video; returns how many were new."""
        kept = self._kept()
        with self._engine.begin() as connection:
            self._renew(connection)
            for new in kept:
                _append(connection, self.video, self.round, new)
            return sum(_append(connection, self.video, self.round, new) for new in events)

    def commit(self, state: State, round_number: int, events: Sequence[NewEvent] = ()) -> None:
        """Move the video to `state` and append the facts of the step, both or neither."""
        if state not in MOVES[self.state]:
            raise ValueError(f"{self.video} cannot go from {self.state} to {state}")
        kept = self._kept()
        with self._engine.begin() as connection:
            self._update(
                connection,
                "state = :new, round = :round, seq = seq + 1, lease_until = :until",
                {"new": state, "round": round_number, "until": now_s(connection) + self.seconds},
            )
            for new in (*kept, *events):
                _append(connection, self.video, self.round, new)
            moved = {"from": self.state, "to": state, "round": round_number}
            _append(connection, self.video, self.round, NewEvent("moved", moved))
        self.seq, self.state, self.round = self.seq + 1, state, round_number

    def fail(self, error: str) -> bool:
        """Note that the present step failed; True if that was once too often in a row, and the video is held now."""
        with self._engine.begin() as connection:
            self._renew(connection)
            _append(connection, self.video, self.round, NewEvent("failed", {"state": self.state, "error": error}))
            failures = connection.execute(text(_FAILURES_IN_A_ROW), {"video": self.video}).scalar_one()
            if failures < MOST_FAILURES:
                return False
            self._update(connection, "hold = :hold", {"hold": Hold.FAILED})
        return True

    def release(self) -> None:
        """Give the lease back; nothing happens if it is no longer ours. One of a held video is given back as well."""
        try:
            with self._engine.begin() as connection:
                self._update(connection, "owner = NULL, lease_until = NULL", {}, even_if_held=True)
        except LeaseLost:
            return

    def _kept(self) -> list[NewEvent]:
        """Before facts speak of files, the files are where others find them."""
        payload = None if self._keeping is None else self._keeping.keep(self._row.video, self.beat)
        return [] if payload is None else [NewEvent("kept", payload)]

    def _renew(self, connection: Connection) -> None:
        self._update(connection, "lease_until = :until", {"until": now_s(connection) + self.seconds})

    def _update(self, connection: Connection, change: str, values: dict[str, Any], even_if_held: bool = False) -> None:
        fence = "id = :id AND owner = :owner AND seq = :seq AND state = :state"
        fence += "" if even_if_held else " AND hold IS NULL"
        changed = connection.execute(
            text(f"UPDATE video SET {change} WHERE {fence}"),  # noqa: S608 - `change` is one of our constants
            values | {"id": self.video, "owner": self.owner, "seq": self.seq, "state": self.state},
        ).rowcount
        if changed != 1:
            raise LeaseLost(f"the lease of {self.video} was taken over by another process, or the video is held")


_FAILURES_IN_A_ROW = """SELECT COUNT(*) FROM event WHERE video = :video AND kind = 'failed' AND id > COALESCE(
    (SELECT MAX(id) FROM event WHERE video = :video AND kind IN ('moved', 'resumed', 'retried')), 0)"""


def _append(connection: Connection, video: str | None, round_number: int, new: NewEvent) -> bool:
    at = time.time()
    place = round_number if new.round is None else new.round
    one_writer(connection)
    done = connection.execute(
        text(
            "INSERT INTO event (at, video, round, kind, payload, dedupe)"
            " VALUES (:at, :video, :round, :kind, :payload, :dedupe) ON CONFLICT (dedupe) DO NOTHING"
        ),
        {
            "at": at,
            "video": video,
            "round": place,
            "kind": new.kind,
            "payload": redacted(json.dumps(new.payload, sort_keys=True)),
            "dedupe": new.dedupe,
        },
    )
    if done.rowcount != 1:
        return False
    count(connection, video, place, new.kind, new.payload, at)
    return True


def _video_state(row: Row[Any]) -> VideoState:
    video = Video(row.id, row.name, row.sha256, row.frames, row.width, row.height, row.fps, row.suffix)
    hold = None if row.hold is None else Hold(row.hold)
    return VideoState(
        video, State(row.state), row.round, row.seq, row.owner, row.lease_until, hold, row.priority, row.cron
    )
