"""Labels that look wrong are looked at again: accepted, corrected or rejected, once, and killed in the middle too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from connectors.labeling_tool import Answer
from connectors.memory import MemoryTool
from flows import machine, review_tasks
from flows.context import Context
from flows.labels import LabelSet, labels_from_events
from flows.machine import Outcome, has_work
from flows.review_tasks import ask_by_hand, ask_reviews, open_reviews, pull_reviews, push_open
from workspace.errors import UserError
from workspace.facts import Lease
from workspace.states import State

VIDEO = "clip-0123456789"
Make = Callable[..., Context]
Truth = Callable[[int], np.ndarray]


class Reviewers(MemoryTool):
    """A tool whose people also press a button; `verdicts`: by frame."""

    def __init__(self, verdicts: dict[int, str] | None = None) -> None:
        super().__init__()
        self.verdicts = verdicts or {}

    def pull(self, keys: Any) -> Iterator[Answer]:
        for answer in super().pull(keys):
            yield replace(answer, verdict=self.verdicts.get(self.question(answer.key).sample.frame))


def labels_of(context: Context) -> LabelSet:
    events = context.facts.events(VIDEO, "label")
    return LabelSet(context.layout.video(VIDEO), labels_from_events(events))


@pytest.fixture
def reviewed(make_context: Make, truth: Truth) -> Context:
    """A round of all six frames, which waits in `reviewing` or went on to `done`; frame 3 was labeled wrong."""

    def wrong(question: Any) -> np.ndarray:
        mask = truth(question.sample.frame)
        return 1 - mask if question.sample.frame == 3 else mask

    context = make_context(
        MemoryTool(answer=wrong),
        selection={"budget": 6},
        stopping={"rounds": 1, "quality": None},
        review={"before_training": True, "samples": 2},
    )
    context = replace(context, reviews=Reviewers())
    machine.advance(context, VIDEO)
    return context


def test_the_loop_reviews_before_it_trains_and_learns_from_what_was_said(reviewed: Context, truth: Truth) -> None:
    reviewers = reviewed.reviews
    assert isinstance(reviewers, Reviewers)
    row = reviewed.facts.video(VIDEO)
    assert row.state is State.REVIEWING
    assert not has_work(reviewed, row)
    asked = {question.sample.frame: question for question in reviewers.open_questions()}
    assert 3 in asked
    assert len(asked) <= 2
    assert "Is this label right?" in asked[3].note
    np.testing.assert_array_equal(asked[3].prediction, 1 - truth(3))  # the first label is shown
    assert machine.advance(reviewed, VIDEO) is Outcome.WAITING
    assert set(reviewers.times_asked().values()) == {1}  # looked again, asked nobody again
    assert reviewed.facts.last_event(VIDEO, "fitted") is None

    clicks = reviewed.facts.tally(VIDEO)
    for question in asked.values():
        reviewers.annotate(question.key, truth(question.sample.frame), "second@example.com")
    assert has_work(reviewed, reviewed.facts.video(VIDEO))
    assert machine.advance(reviewed, VIDEO) is Outcome.DONE
    np.testing.assert_array_equal(labels_of(reviewed)[3], truth(3))
    verdicts = {e.payload["frame"]: e.payload["verdict"] for e in reviewed.facts.events(VIDEO, "reviewed")}
    assert verdicts[3] == "correct"
    assert all(verdict == "accept" for frame, verdict in verdicts.items() if frame != 3)
    every = [e for e in reviewed.facts.events(VIDEO, "label") if e.payload["sample"] == "f000003"]
    assert len(every) == 2  # the first label is history, not gone
    after = reviewed.facts.tally(VIDEO)
    assert (after.asked, after.labeled) == (clicks.asked, clicks.labeled) == (6, 6)
    assert after.clicks > clicks.clicks  # a second look costs clicks


def test_rejected_skipped_and_withdrawn(make_context: Make, truth: Truth) -> None:
    context = make_context(
        MemoryTool(answer=lambda question: truth(question.sample.frame)),
        selection={"budget": 6},
        stopping={"rounds": 1, "quality": None},
    )
    reviewers = Reviewers({0: "reject"})
    context = replace(context, reviews=reviewers)
    assert machine.advance(context, VIDEO) is Outcome.DONE
    before = dict(labels_of(context))
    lease = context.facts.claim(VIDEO, 60)
    assert lease is not None
    assert ask_reviews(context, lease, [(0, "a"), (1, "b"), (2, "c"), (99, "has no label")]) == 3
    assert push_open(context, lease) == 3
    assert push_open(context, lease) == 0
    lease.release()
    keys = {item.frame: item.key(VIDEO) for item in open_reviews(context, VIDEO)}
    reviewers.annotate(keys[0], truth(0))
    reviewers.skip(keys[1])
    reviewers.delete(keys[2])
    list(pull_reviews(context))
    list(pull_reviews(context))
    verdicts = [(e.payload["frame"], e.payload["verdict"]) for e in context.facts.events(VIDEO, "reviewed")]
    assert sorted(verdicts) == [(0, "reject"), (1, "skipped"), (2, "withdrawn")]
    after = labels_of(context)
    assert set(after) == set(before) - {0}
    for frame in after:
        np.testing.assert_array_equal(after[frame], before[frame])


@pytest.mark.parametrize("where", ["record", "commit", "push"])
def test_killed_in_the_middle_it_asks_once_and_takes_each_answer_once(
    make_context: Make, truth: Truth, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends just before each write of the step in turn; another one goes on."""

    def wrong(question: Any) -> np.ndarray:
        return 1 - truth(question.sample.frame) if question.sample.frame == 3 else truth(question.sample.frame)

    context = make_context(
        MemoryTool(answer=wrong), selection={"budget": 6}, stopping={"rounds": 1, "quality": None},
        review={"before_training": True},
    )  # fmt: skip
    reviewers = Reviewers()
    context = replace(context, reviews=reviewers)
    owner, name = (reviewers, "push") if where == "push" else (Lease, where)
    original = getattr(owner, name)
    left = [0]

    def dying(*arguments: Any) -> Any:
        if review_tasks_active() and left[0] > 0:
            left[0] -= 1
            raise KeyboardInterrupt
        return original(*arguments)

    def review_tasks_active() -> bool:
        return context.facts.video(VIDEO).state is State.REVIEWING

    monkeypatch.setattr(owner, name, dying)
    for _ in range(4):
        left[0] = 1
        try:
            machine.advance(context, VIDEO)
        except KeyboardInterrupt:
            left[0] = 0
            machine.advance(context, VIDEO)
        for question in reviewers.open_questions():
            reviewers.annotate(question.key, truth(question.sample.frame))
    left[0] = 0
    assert machine.advance(context, VIDEO) is Outcome.DONE
    assert set(reviewers.times_asked().values()) == {1}
    assert len(list(context.facts.events(VIDEO, "review_asked"))) == 1
    reviewed = [e.payload["frame"] for e in context.facts.events(VIDEO, "reviewed")]
    assert len(reviewed) == len(set(reviewed)) == len(reviewers.times_asked())
    np.testing.assert_array_equal(labels_of(context)[3], truth(3))


def test_asked_by_hand_when_the_video_is_done(make_context: Make, truth: Truth) -> None:
    context = make_context(
        MemoryTool(answer=lambda question: truth(question.sample.frame)),
        selection={"budget": 3},
        stopping={"rounds": 1, "quality": None},
    )
    reviewers = Reviewers()
    context = replace(context, reviews=reviewers)
    assert machine.advance(context, VIDEO) is Outcome.DONE
    (frame, *_) = labels_of(context)
    said = ask_by_hand(context, VIDEO, [(frame, "looks odd")])
    assert said.startswith(f"{VIDEO}: 1 label(s) to look at again, 1 open")
    assert ask_by_hand(context, VIDEO, [(frame, "looks odd")]).startswith(f"{VIDEO}: 0 label(s)")  # it waits already
    (question,) = reviewers.open_questions()
    reviewers.annotate(question.key, 1 - truth(frame))
    assert list(pull_reviews(context)) == [f"{VIDEO}: 1 review(s) in, 0 open"]
    assert list(pull_reviews(context)) == []
    np.testing.assert_array_equal(labels_of(context)[frame], 1 - truth(frame))
    lease = context.facts.claim(VIDEO, 60)
    assert lease is not None
    assert "nobody was asked" in ask_by_hand(context, VIDEO, [(frame, "once more")])
    lease.release()
    with pytest.raises(UserError, match="Nobody can be asked"):
        ask_by_hand(replace(context, reviews=None), VIDEO, [(frame, "once more")])


def test_without_anything_suspicious_the_loop_goes_on(make_context: Make, truth: Truth) -> None:
    context = make_context(
        MemoryTool(answer=lambda question: truth(question.sample.frame)),
        selection={"budget": 1},
        stopping={"rounds": 1, "quality": None},
        review={"before_training": True},
    )
    assert machine.advance(replace(context, reviews=Reviewers()), VIDEO) is Outcome.DONE
    (asked,) = context.facts.events(VIDEO, "review_asked")
    assert asked.payload["frames"] == []
    assert review_tasks.every_review(context, VIDEO) == []
