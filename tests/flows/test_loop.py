"""What the loop does with what people do, on a tiny video with the in-memory tool."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from connectors.labeling_tool import Answer
from connectors.memory import MemoryTool
from flows.asking import ask_again, pull_early
from flows.context import Context
from flows.machine import Outcome, advance, has_work
from flows.progress import project_rows, round_rows, waiting_for
from flows.rounds import asked_in, clicks_spent, newest_model
from selection.clicks import frame_clicks
from workspace.errors import UserError
from workspace.facts import NewEvent
from workspace.files import read_array, read_mask
from workspace.sample import question_key
from workspace.states import State

MakeContext = Callable[..., Context]
Truth = Callable[[int], np.ndarray]
CLIP = "clip-0123456789"


def keys(context: Context, number: int = 1) -> list[str]:
    return [question_key(CLIP, number, sample) for sample in asked_in(context.facts, CLIP, number)]


def frame_of(key: str) -> int:
    return int(key.rsplit("f", 1)[1])


def answer_all(tool: MemoryTool, truth: Truth) -> None:
    tool.play(lambda question: truth(question.sample.frame))


def test_round_by_round_until_done(make_context: MakeContext, truth: Truth) -> None:
    tool = MemoryTool()
    context = make_context(tool)
    assert has_work(context, context.facts.video(CLIP))
    for number in (1, 2):
        assert advance(context, CLIP) is Outcome.WAITING
        assert not has_work(context, context.facts.video(CLIP))
        assert f"round {number}, waiting for 2 of 2 answers" in waiting_for(context, context.facts.video(CLIP))
        answer_all(tool, truth)
        assert has_work(context, context.facts.video(CLIP))
    assert advance(context, CLIP) is Outcome.DONE
    assert advance(context, CLIP) is Outcome.DONE
    assert set(tool.times_asked().values()) == {1}
    assert len(tool.times_asked()) == 4
    model = newest_model(context.facts, CLIP)
    for key in keys(context, 1) + keys(context, 2):  # human pixels always win
        mask = read_mask(context.layout.masks(CLIP, model) / f"{frame_of(key):06d}.png")
        assert np.array_equal(mask, truth(frame_of(key)))
    rows = round_rows(context.facts, CLIP)
    assert [(row["round"], row["samples"], row["answers"]) for row in rows] == [(1, 2, 2), (2, 2, 2)]
    # a box and a ground around it: 4 + 1 vertices and regions for the box, 8 + 1 for the ground with its hole
    assert rows[0]["clicks"] >= rows[0]["clicks_corrected"] > 0


def test_the_first_prediction_is_shown_in_the_second_round(make_context: MakeContext, truth: Truth) -> None:
    tool = MemoryTool()
    context = make_context(tool)
    advance(context, CLIP)
    assert all(tool.question(key).prediction is None for key in keys(context, 1))
    answer_all(tool, truth)
    advance(context, CLIP)
    model = newest_model(context.facts, CLIP)
    for key in keys(context, 2):
        shown = read_mask(context.layout.masks(CLIP, model) / f"{frame_of(key):06d}.png")
        assert np.array_equal(tool.question(key).prediction, shown)


def test_skipped_and_withdrawn_samples_do_not_hold_the_round_up(make_context: MakeContext, truth: Truth) -> None:
    tool = MemoryTool()
    context = make_context(tool, selection={"budget": 3})
    advance(context, CLIP)
    first, second, third = keys(context, 1)
    tool.skip(first)
    tool.delete(second)
    tool.annotate(third, truth(frame_of(third)))
    assert advance(context, CLIP) is Outcome.WAITING
    assert context.facts.video(CLIP).round == 2
    assert not set(keys(context, 2)) & {first, second, third}
    assert [event.payload["sample"] for event in context.facts.events(CLIP, "withdrawn")] == [second.rsplit("/", 1)[1]]
    row = project_rows(context.facts, 2)[0]
    assert row[4:8] == (6, 1, 1, 1)  # asked, answered, skipped, withdrawn


def test_a_round_in_which_nobody_labels_leads_to_the_next(make_context: MakeContext, truth: Truth) -> None:
    tool = MemoryTool()
    context = make_context(tool)
    advance(context, CLIP)
    for key in keys(context, 1):
        tool.skip(key)
    assert advance(context, CLIP) is Outcome.WAITING
    assert (context.facts.video(CLIP).round, newest_model(context.facts, CLIP)) == (2, "")
    for key in keys(context, 2):
        tool.annotate(key, np.full((32, 48), 255, np.uint8))  # empty: teaches nothing either
    assert advance(context, CLIP) is Outcome.DONE
    assert newest_model(context.facts, CLIP) == ""


def test_it_ends_when_every_frame_was_asked(make_context: MakeContext, truth: Truth) -> None:
    context = make_context(
        MemoryTool(answer=lambda q: truth(q.sample.frame)),
        selection={"budget": 4},
        stopping={"rounds": 9, "quality": None},
    )
    assert advance(context, CLIP) is Outcome.DONE
    assert context.facts.last_event(CLIP, "done").payload["reason"] == "none of 6 frames is left to ask about"
    assert [len(event.payload["samples"]) for event in context.facts.events(CLIP, "selected")] == [4, 2]
    assert not has_work(context, context.facts.video(CLIP))


def test_it_ends_when_the_clicks_are_spent(make_context: MakeContext, truth: Truth) -> None:
    tool = MemoryTool(answer=lambda q: truth(q.sample.frame))
    context = make_context(tool, stopping={"rounds": 9, "clicks": 1, "quality": None})
    assert advance(context, CLIP) is Outcome.DONE
    assert "(stopping.clicks)" in context.facts.last_event(CLIP, "done").payload["reason"]
    assert context.facts.video(CLIP).round == 1


def test_a_finished_video_goes_on_when_more_is_allowed(make_context: MakeContext, truth: Truth) -> None:
    tool = MemoryTool(answer=lambda q: truth(q.sample.frame))
    assert advance(make_context(tool, stopping={"rounds": 1, "quality": None}), CLIP) is Outcome.DONE
    more = make_context(tool, stopping={"rounds": 2, "quality": None})
    assert has_work(more, more.facts.video(CLIP))
    assert advance(more, CLIP) is Outcome.DONE
    assert more.facts.video(CLIP).round == 2
    assert set(tool.times_asked().values()) == {1}


def test_answers_are_pulled_early_and_survive_a_deleted_task(make_context: MakeContext, truth: Truth) -> None:
    tool = MemoryTool()
    context = make_context(tool)
    advance(context, CLIP)
    first, second = keys(context, 1)
    tool.annotate(first, truth(frame_of(first)))
    assert list(pull_early(context)) == [f"{CLIP}: 1 new answer(s) stored"]
    assert list(pull_early(context)) == [f"{CLIP}: 0 new answer(s) stored"]
    tool.delete(first)
    tool.annotate(second, truth(frame_of(second)))
    advance(context, CLIP)
    assert not list(context.facts.events(CLIP, "withdrawn"))  # it was answered before it was deleted
    assert len(list(context.facts.events(CLIP, "label"))) == 2


def test_asking_again_in_a_new_project_asks_what_is_open(make_context: MakeContext, truth: Truth) -> None:
    old = MemoryTool()
    context = make_context(old)
    advance(context, CLIP)
    first, second = keys(context, 1)
    old.annotate(first, truth(frame_of(first)))
    list(pull_early(context))
    new = MemoryTool()
    again = make_context(new)
    assert list(ask_again(again)) == [f"{CLIP}: 1 sample(s) asked again"]
    assert list(new.times_asked()) == [second]
    assert again.facts.video(CLIP).state is State.WAITING
    answer_all(new, truth)
    assert advance(again, CLIP) is Outcome.WAITING
    assert again.facts.video(CLIP).round == 2


def test_several_annotators_are_kept_apart_and_the_majority_counts(make_context: MakeContext, truth: Truth) -> None:
    tool = MemoryTool()
    context = make_context(tool, selection={"budget": 1}, stopping={"rounds": 1, "quality": None})
    advance(context, CLIP)
    (key,) = keys(context, 1)
    good, wrong = truth(frame_of(key)), np.zeros((32, 48), np.uint8)
    for name, mask in (("ann", wrong), ("bob", good), ("cid", good)):
        tool.annotate(key, mask, annotator=name)
    advance(context, CLIP)
    labels = list(context.facts.events(CLIP, "label"))
    assert [event.payload["annotator"] for event in labels] == ["ann", "bob", "cid"]
    assert len({event.payload["file"] for event in labels}) == 3
    mask = read_mask(context.layout.masks(CLIP, newest_model(context.facts, CLIP)) / f"{frame_of(key):06d}.png")
    assert np.array_equal(mask, good)


def test_an_answer_that_nobody_asked_for_is_refused(make_context: MakeContext, truth: Truth) -> None:
    class Confused(MemoryTool):
        def pull(self, keys: object):
            yield Answer("other/1/f000000", "1", "ann", truth(0), False, 1.0, "2026-01-01T00:00:00Z")

    tool = Confused(answer=lambda q: truth(q.sample.frame))
    context = make_context(tool)
    with pytest.raises(UserError, match="'other/1/f000000', which was not asked"):
        advance(context, CLIP)
    assert context.facts.video(CLIP).state is State.PULLING
    assert context.facts.video(CLIP).owner is None  # the lease is given back


def test_a_held_video_is_left_alone(make_context: MakeContext) -> None:
    tool = MemoryTool()
    context = make_context(tool)
    lease = context.facts.claim(CLIP, 60)
    assert advance(context, CLIP) is Outcome.BUSY
    assert not tool.times_asked()
    lease.release()


def test_an_annotation_corrected_after_it_was_pulled_counts_once(make_context: MakeContext, truth: Truth) -> None:
    tool = MemoryTool()
    context = make_context(tool)
    advance(context, CLIP)
    first, _ = keys(context, 1)
    tool.annotate(first, truth(frame_of(first)))
    list(pull_early(context))
    (early,) = context.facts.events(CLIP, "label")
    corrected = early.payload | {"clicks": {"drawing": 7, "correcting": 5}}  # the same annotation, a later version
    assert context.facts.append(CLIP, 1, NewEvent("label", corrected))
    assert clicks_spent(context.facts, CLIP) == 5
    row = round_rows(context.facts, CLIP)[0]
    assert (row["answers"], row["clicks"], row["clicks_corrected"]) == (1, 7, 5)
    assert project_rows(context.facts, 2)[0][4:] == (2, 1, 0, 0, 5, None)


def test_enough_quality_ends_the_loop_and_wanting_more_goes_on(make_context: MakeContext, truth: Truth) -> None:
    tool = MemoryTool(answer=lambda question: truth(question.sample.frame))
    assert advance(make_context(tool, stopping={"rounds": 2, "quality": 0.3}), CLIP) is Outcome.DONE
    strict = make_context(tool, stopping={"rounds": 2, "quality": 1.0})
    done = strict.facts.last_event(CLIP, "done").payload["reason"]
    assert "30 % was wanted (stopping.quality)" in done
    (row,) = round_rows(strict.facts, CLIP)
    assert 0.3 <= row["estimated_miou"] < 1
    made, frames = strict.facts.last_event(CLIP, "propagated").payload, strict.facts.video(CLIP).video.frames
    errors = read_array(strict.layout.frame_errors(CLIP, made["model"]))
    assert errors.shape == (frames,)
    assert 0 < errors.mean() < 1
    classes = len(strict.config.project.classes)
    masks = sorted(strict.layout.masks(CLIP, made["model"]).glob("*.png"))
    assert made["drawing_every_frame"] == sum(frame_clicks(read_mask(path), classes) for path in masks)
    assert has_work(strict, strict.facts.video(CLIP))
    assert advance(strict, CLIP) is Outcome.DONE
    assert len(round_rows(strict.facts, CLIP)) == 2
