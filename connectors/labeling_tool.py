"""What the loop needs from a labeling tool, in our words. Every call is safe to repeat."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from workspace.click_sequence import ClickSequence
from workspace.mask import MaskArray
from workspace.sample import Granularity, Sample


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One sample to ask people about.

    `key` is video/round/sample and the same on every attempt: a tool must never hold two open tasks with one key.
    `prediction`: (height, width) uint8 shown first, 255 where there is none; None to show nothing.
    """

    key: str
    video: str
    video_name: str
    round: int
    sample: Sample
    image: Path
    height: int
    width: int
    prediction: MaskArray | None = None
    model: str = ""  # fingerprint of what made the prediction
    superpixels: Path | None = None  # .npy of the frame's superpixel ids, (height, width) int32; for a superpixel only
    opinions: int = 1  # how many different people are asked
    note: str = ""  # what the person is told beside the picture, where the tool shows it


@dataclass(frozen=True, slots=True)
class Effort:
    """What an answer really cost, counted in the annotator's browser; modelled clicks are something else.

    `clicks`: presses of a mouse button, Submit included;  `keys`: keys pressed;  `active_seconds`: time in which
    something was pressed or moved within the last 5 s;  `wall_seconds`: time since the task was opened.
    """

    clicks: int
    keys: int
    active_seconds: float
    wall_seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """One finished annotation of one question.

    `mask`: (height, width) uint8, 255 where the annotator said nothing or the sample does not reach; None if skipped.
    `seconds`: time with the task open.
    `changed_regions`: how many regions the annotator drew, changed or removed; None if the tool cannot tell.
    `raw` is the tool's own record, kept as it came.
    """

    key: str
    annotation: str
    annotator: str
    mask: MaskArray | None
    skipped: bool
    seconds: float
    finished_at: str  # ISO 8601, UTC
    changed_regions: int | None = None
    effort: Effort | None = None  # None where nobody counted
    clicked: tuple[ClickSequence, ...] = ()  # per mask that was clicked with help
    verdict: str | None = None  # of a review: accept, correct or reject; None where none was given
    raw: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Progress:
    """Which of the asked keys have all the opinions asked for (skipped counts), are open, or are gone from the tool."""

    answered: frozenset[str]
    open: frozenset[str]
    gone: frozenset[str]


class LabelingTool(Protocol):
    """Implemented by `connectors.memory.MemoryTool` and `connectors.label_studio.tool.LabelStudioTool`.

    Errors: `ToolUnavailable` when the tool does not answer or refuses the token (nothing was lost, try again), and
    `UserError` when the user must act (the project was deleted, say).
    `granularities`: what it can ask about.
    """

    granularities: frozenset[Granularity]

    def push(self, questions: Iterable[Question], before_write: Callable[[], None]) -> int:
        """Ask; a key that is already there is skipped, surplus copies of a key are removed. Returns how many are new.

        A key that is there already, but was asked of fewer people than `opinions`, is opened for one who has not
        answered it yet; it is never closed for somebody.

        `before_write` is called immediately before every write to the outside; it raises if we must not go on.
        """

    def progress(self, keys: Collection[str]) -> Progress:
        """How far people are. A key that was deleted by hand is `gone`."""

    def pull(self, keys: Collection[str]) -> Iterator[Answer]:
        """Every finished answer to these keys; several per key if several answered, those in order of annotation id."""

    def link(self, keys: Collection[str]) -> str:
        """Where a person clicks to answer these; an address or a sentence."""
