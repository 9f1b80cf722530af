"""A labeling tool without a server, for tests, demos and dry runs: the same promises as the real one."""

from __future__ import annotations

import json
import sqlite3
import threading
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from connectors.labeling_tool import Answer, LabelingTool, Progress, Question
from workspace.mask import UNKNOWN, MaskArray
from workspace.sample import Granularity, Sample

_COMPLETE = "opinions <= (SELECT count(DISTINCT annotator) FROM annotation WHERE annotation.key = task.key)"
_TABLES = """
CREATE TABLE IF NOT EXISTS task (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, question TEXT NOT NULL, prediction BLOB,
    opinions INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS annotation (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, annotator TEXT NOT NULL, mask BLOB,
    seconds REAL NOT NULL, finished_at TEXT NOT NULL, changed_regions INTEGER);
CREATE TABLE IF NOT EXISTS asked (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL);
"""

_ANSWERED = "SELECT 1 FROM annotation WHERE key = ? AND annotator = ?"


class MemoryTool(LabelingTool):
    """Questions and answers in SQLite: in this process, or with `path` in a file that outlives it.

    Every question and every answer is one transaction, so a process killed with SIGKILL leaves whole ones only, and
    several processes may use one file. With `answer`, every open question is answered by it (None skips) when the loop
    next looks, that is in `progress` and `pull`, so that a kill between push and answer loses nothing.
    """

    granularities = frozenset(Granularity)

    def __init__(self, path: Path | None = None, answer: Callable[[Question], MaskArray | None] | None = None) -> None:
        self._path = path
        self._answer = answer
        self._lock = threading.RLock()
        self._connection = None if path is not None else sqlite3.connect(":memory:", check_same_thread=False)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        with self._transaction() as db:
            for statement in _TABLES.split(";"):
                db.execute(statement)

    # what the loop needs

    def push(self, questions: Iterable[Question], before_write: Callable[[], None]) -> int:
        new = 0
        for question in questions:
            with self._transaction() as db:
                found = db.execute("SELECT opinions FROM task WHERE key = ?", [question.key]).fetchone()
                if found is not None:
                    if found[0] < question.opinions:
                        before_write()
                        db.execute("UPDATE task SET opinions = ? WHERE key = ?", [question.opinions, question.key])
                    continue
                before_write()
                row = [question.key, _question_to_json(question), _pack(question.prediction), question.opinions]
                db.execute("INSERT INTO task (key, question, prediction, opinions) VALUES (?, ?, ?, ?)", row)
                db.execute("INSERT INTO asked (key) VALUES (?)", [question.key])
                new += 1
        return new

    def progress(self, keys: Collection[str]) -> Progress:
        self._play_automatically()
        with self._transaction() as db:
            present = {key for (key,) in db.execute("SELECT key FROM task")}
            done = {key for (key,) in db.execute(f"SELECT key FROM task WHERE {_COMPLETE}")}  # noqa: S608
        wanted = frozenset(keys)
        return Progress(wanted & present & done, wanted & (present - done), wanted - present)

    def pull(self, keys: Collection[str]) -> Iterator[Answer]:
        self._play_automatically()
        wanted = frozenset(keys)
        columns = "a.id, a.key, a.annotator, a.mask, a.seconds, a.finished_at, a.changed_regions, t.question"
        with self._transaction() as db:
            rows = db.execute(f"SELECT {columns} FROM annotation a JOIN task t USING (key) ORDER BY a.id").fetchall()  # noqa: S608
        for number, key, annotator, mask, seconds, finished_at, changed, question in rows:
            if key not in wanted:
                continue
            shape = json.loads(question)
            yield Answer(
                key=key,
                annotation=str(number),
                annotator=annotator,
                mask=_unpack(mask, shape["height"], shape["width"]),
                skipped=mask is None,
                seconds=seconds,
                finished_at=finished_at,
                changed_regions=changed,
                raw={"tool": "memory", "id": number, "key": key, "annotator": annotator},
            )

    def link(self, keys: Collection[str]) -> str:
        where = "memory" if self._path is None else self._path.name
        return f"{len(self.progress(keys).open)} question(s) wait in {where}, which has no page to click on."

    # the people's side

    def annotate(self, key: str, mask: MaskArray, annotator: str = "memory", seconds: float = 0.0) -> None:
        """Answer one question; a second call adds a second annotation. KeyError if it was never asked or is deleted.

        `mask`: (height, width) uint8, 255 = nothing said.
        """
        question = self.question(key)
        if mask.shape != (question.height, question.width) or mask.dtype != np.uint8:
            raise ValueError(
                f"the answer to {key} is {mask.shape} {mask.dtype}, not ({question.height}, {question.width})"
            )
        self._add_annotation(question, mask, annotator, seconds)

    def skip(self, key: str, annotator: str = "memory", seconds: float = 0.0) -> None:
        """The annotator refuses this question; it counts as answered, without a mask."""
        self._add_annotation(self.question(key), None, annotator, seconds)

    def delete(self, key: str) -> None:
        """Somebody removes the task, with its annotations, by hand."""
        with self._transaction() as db:
            if not db.execute("DELETE FROM task WHERE key = ?", [key]).rowcount:
                raise KeyError(key)
            db.execute("DELETE FROM annotation WHERE key = ?", [key])

    def play(self, annotator: Callable[[Question], MaskArray | None], name: str = "simulated") -> int:
        """`name` answers every open question that they have not answered yet (None skips), oldest first. How many.

        Another process may play the same annotator: what it has answered meanwhile is not answered again.
        """
        return sum(
            self._add_annotation(question, annotator(question), name, 0.0, once=True)
            for question in self.open_questions(name)
        )

    def open_questions(self, annotator: str = "") -> list[Question]:
        """Asked, not deleted, with fewer opinions than asked for; in the order in which they were asked.

        `annotator`: without those that this one has answered already.
        """
        query = f"SELECT key FROM task WHERE NOT {_COMPLETE} AND key NOT IN (SELECT key FROM annotation"  # noqa: S608
        with self._transaction() as db:
            rows = db.execute(f"{query} WHERE annotator = ?) ORDER BY id", [annotator])
            keys = [key for (key,) in rows]
        return [self.question(key) for key in keys]

    def question(self, key: str) -> Question:
        """The question as it was asked, prediction included; KeyError if there is none."""
        with self._transaction() as db:
            row = db.execute("SELECT question, prediction FROM task WHERE key = ?", [key]).fetchone()
        if row is None:
            raise KeyError(key)
        question = _question_from_json(row[0])
        return replace(question, prediction=_unpack(row[1], question.height, question.width))

    def times_asked(self) -> dict[str, int]:
        """How often each key became a task, deleted ones included: 1 everywhere if nobody was asked twice."""
        with self._transaction() as db:
            return dict(db.execute("SELECT key, count(*) FROM asked GROUP BY key ORDER BY key").fetchall())

    def _play_automatically(self) -> None:
        if self._answer is not None:
            self.play(self._answer)

    def _add_annotation(
        self, question: Question, mask: MaskArray | None, annotator: str, seconds: float, once: bool = False
    ) -> bool:
        """`once`: not if this annotator has answered. Whether it was added."""
        changed = None if mask is None else changed_classes(question.prediction, mask)
        finished_at = datetime.now(UTC).isoformat()
        row = [question.key, annotator, _pack(mask), seconds, finished_at, changed]
        columns = "key, annotator, mask, seconds, finished_at, changed_regions"
        with self._transaction() as db:
            if once and db.execute(_ANSWERED, [question.key, annotator]).fetchone():
                return False
            db.execute(f"INSERT INTO annotation ({columns}) VALUES (?, ?, ?, ?, ?, ?)", row)  # noqa: S608
        return True

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing. In a file each transaction has its own connection: safe across threads and processes."""
        with self._lock:
            if self._connection is not None:
                with self._connection:
                    yield self._connection
                return
            assert self._path is not None
            with closing(sqlite3.connect(self._path, timeout=30, isolation_level=None)) as db:
                db.execute("BEGIN IMMEDIATE")
                try:
                    yield db
                except BaseException:
                    db.execute("ROLLBACK")
                    raise
                db.execute("COMMIT")


def changed_classes(shown: MaskArray | None, drawn: MaskArray) -> int:
    """How many classes cover other pixels than in the shown prediction: one region per class, as in Label Studio.

    shown, drawn: (H, W) uint8, 255 = no region; without a prediction every class drawn counts.
    """
    before = np.full_like(drawn, UNKNOWN) if shown is None else shown
    differing = before != drawn
    touched = np.union1d(before[differing], drawn[differing])
    return int((touched != UNKNOWN).sum())


def _pack(mask: MaskArray | None) -> bytes | None:
    return None if mask is None else zlib.compress(np.ascontiguousarray(mask, np.uint8).tobytes(), 1)


def _unpack(data: bytes | None, height: int, width: int) -> MaskArray | None:
    return None if data is None else np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, width).copy()


def _question_to_json(question: Question) -> str:
    return json.dumps(
        {
            "key": question.key,
            "video": question.video,
            "video_name": question.video_name,
            "round": question.round,
            "sample": question.sample.key,
            "image": str(question.image),
            "height": question.height,
            "width": question.width,
            "model": question.model,
            "opinions": question.opinions,
            "note": question.note,
            "superpixels": None if question.superpixels is None else str(question.superpixels),
        }
    )


def _question_from_json(text: str) -> Question:
    value = json.loads(text)
    superpixels = value.pop("superpixels", None)
    return Question(
        **{**value, "sample": Sample.parse(value["sample"]), "image": Path(value["image"])},
        superpixels=None if superpixels is None else Path(superpixels),
    )
