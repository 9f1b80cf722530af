"""Labels and predictions from elsewhere in the loop: learned from or shown, and never above people's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from connectors.export.png import export_png
from connectors.memory import MemoryTool
from flows.context import Context
from flows.importing import find_video, import_labels, import_predictions
from flows.labels import LabelSet, labels_from_events
from flows.machine import Outcome, advance
from flows.progress import project_rows, round_rows
from flows.rounds import asked, asked_in, clicks_spent, newest_model, shown_model
from workspace.errors import UserError
from workspace.files import read_mask
from workspace.sample import Sample, question_key

CLIP = "clip-0123456789"
COLORS = np.zeros((2, 3), np.uint8)
MakeContext = Callable[..., Context]
Truth = Callable[[int], np.ndarray]


@pytest.fixture
def source(tmp_path_factory: pytest.TempPathFactory) -> Callable[[dict[int, np.ndarray]], Path]:
    def make(masks: dict[int, np.ndarray]) -> Path:
        folder = tmp_path_factory.mktemp("source")
        export_png(masks.items(), folder, ["ground", "box"], COLORS, lambda done: None)
        return folder

    return make


def run(act, context: Context, path: Path, first: int = 0):
    video = context.facts.video(CLIP).video
    beats: list[float] = []
    done = act(context.layout, context.config, context.facts, video, path, first, (), beats.append)
    assert beats == sorted(beats)
    assert beats[-1] == 1.0
    return done


def labels(context: Context) -> LabelSet:
    every = labels_from_events(context.facts.events(CLIP, "label"))
    return LabelSet(context.layout.video(CLIP), every)


def test_labels_are_learned_from_before_anybody_is_asked(make_context: MakeContext, truth: Truth, source) -> None:
    tool = MemoryTool()
    context = make_context(tool)
    done = run(import_labels, context, source({0: truth(0), 4: truth(4)}))
    assert (done.frames, done.new, done.empty) == ((0, 4), 2, 0)
    assert advance(context, CLIP) is Outcome.WAITING
    model = newest_model(context.facts, CLIP)
    assert (read_mask(context.layout.masks(CLIP, model) / "000004.png") == truth(4)).all()
    first = asked_in(context.facts, CLIP, 1)
    assert not {sample.frame for sample in first} & {0, 4}  # labeled already
    shown = tool.question(question_key(CLIP, 1, first[0])).prediction
    assert shown is not None
    assert (shown == read_mask(context.layout.masks(CLIP, model) / f"{first[0].frame:06d}.png")).all()
    assert clicks_spent(context.facts, CLIP) == 0
    assert [(row["round"], row["answers"]) for row in round_rows(context.facts, CLIP)] == [(1, 0)]
    assert project_rows(context.facts, 2)[0][4:7] == (2, 0, 0)
    tool.play(lambda question: truth(question.sample.frame))
    advance(context, CLIP)
    assert set(labels(context)) == {0, 4} | {sample.frame for sample in first}


def test_peoples_labels_count_more_whenever_they_came(make_context: MakeContext, truth: Truth, source) -> None:
    tool = MemoryTool()
    context = make_context(tool)
    advance(context, CLIP)
    theirs = asked_in(context.facts, CLIP, 1)
    tool.play(lambda question: truth(question.sample.frame))
    advance(context, CLIP)
    wrong = {index: 1 - truth(index) for index in range(6)}
    assert run(import_labels, context, source(wrong)).new == 6
    for index in range(6):
        human = index in {sample.frame for sample in theirs}
        assert (labels(context)[index] == (truth(index) if human else wrong[index])).all()
    assert asked(context.facts, CLIP) >= {Sample(index) for index in range(6)}


def test_importing_again_does_nothing_or_replaces(make_context: MakeContext, truth: Truth, source) -> None:
    context = make_context(MemoryTool())
    path = source({2: truth(2)})
    assert run(import_labels, context, path).new == 1
    assert run(import_labels, context, path).new == 0
    assert run(import_labels, context, source({2: truth(3)})).new == 1
    assert (labels(context)[2] == truth(3)).all()
    assert run(import_labels, context, path).new == 1
    assert (labels(context)[2] == truth(2)).all()
    event = list(context.facts.events(CLIP, "label"))[-1]
    assert (event.round, event.payload["source"], event.payload["annotator"]) == (0, "imported", "imported")
    assert event.payload["clicks"] == {"drawing": 0, "correcting": 0}


def test_predictions_are_shown_in_the_first_round_and_teach_nothing(
    make_context: MakeContext, truth: Truth, source
) -> None:
    tool = MemoryTool()
    context = make_context(tool, selection={"budget": 6}, stopping={"rounds": 1})
    assert run(import_predictions, context, source({1: truth(0), 3: truth(3)})).new == 2
    path = source({1: truth(1), 3: truth(3)})
    assert run(import_predictions, context, path).new == 2
    assert run(import_predictions, context, path).new == 0
    advance(context, CLIP)
    assert newest_model(context.facts, CLIP) == ""
    for index in range(6):
        shown = tool.question(question_key(CLIP, 1, Sample(index))).prediction
        assert (shown is None) == (index not in (1, 3))
        assert shown is None or (shown == truth(index)).all()
    with pytest.raises(UserError, match="past the selection of its first round"):
        run(import_predictions, context, path)
    tool.play(lambda question: truth(question.sample.frame))
    advance(context, CLIP)
    clicks = {event.payload["sample"]: event.payload["clicks"] for event in context.facts.events(CLIP, "label")}
    assert clicks["f000001"]["correcting"] == 1  # accepted as it was
    assert clicks["f000002"]["correcting"] == clicks["f000002"]["drawing"] > 1
    assert shown_model(context.facts, CLIP, 2) == newest_model(context.facts, CLIP) != ""


def test_nothing_is_written_when_one_mask_does_not_fit(make_context: MakeContext, truth: Truth, source) -> None:
    context = make_context(MemoryTool())
    before = sorted(context.layout.video(CLIP).rglob("*"))
    for act in (import_labels, import_predictions):
        for masks, first, message in (
            ({0: truth(0), 1: truth(1)[:-1]}, 0, "'000001' is 48x31, the video is 48x32"),
            ({0: truth(0), 6: truth(5)}, 0, "would be frame 6, but frames are 0 to 5"),
            ({0: truth(0)}, 1, "would be frame -1"),
        ):
            with pytest.raises(UserError, match=message):
                run(act, context, source(masks), first)
        with pytest.raises(UserError, match="There are no labels at"):
            run(act, context, context.layout.root / "none")
    assert sorted(context.layout.video(CLIP).rglob("*")) == before
    assert not list(context.facts.events(CLIP, "label"))
    assert context.facts.claim(CLIP, 10) is not None  # and the lease is free


def test_a_video_that_somebody_works_on_is_left_alone(make_context: MakeContext, truth: Truth, source) -> None:
    context = make_context(MemoryTool())
    lease = context.facts.claim(CLIP, 60)
    assert lease is not None
    with pytest.raises(UserError, match="Another process is working on"):
        run(import_labels, context, source({0: truth(0)}))
    lease.release()


def test_videos_are_found_by_id_and_by_name(make_context: MakeContext) -> None:
    context = make_context(MemoryTool())
    assert find_video(context.facts, CLIP) == find_video(context.facts, "clip")
    with pytest.raises(UserError, match="There is no video 'x'"):
        find_video(context.facts, "x")
