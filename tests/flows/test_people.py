"""Several people per sample: asked as configured, one more only where they disagree, and the bad one is found out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from connectors.labeling_tool import Question
from connectors.memory import MemoryTool
from flows import machine
from flows.labels import labels_from_events
from flows.people import estimate_people, one_per_person, people_rows
from flows.steps import Step
from quality.consolidation import majority
from workspace.files import read_mask, write_image
from workspace.label import Label
from workspace.sample import Sample
from workspace.states import State

VIDEO = "clip-0123456789"
TWO = {"labeling": {"overlap": 2, "extra_opinions": 1, "max_disagreement": 0.05}, "stopping": {"rounds": 1}}
Draw = Callable[[Question], np.ndarray]


def make_label(folder: Path, sample: Sample, annotator: str, mask: np.ndarray, annotation: str = "") -> Label:
    name = f"{sample.key}.{annotator}{annotation}.png"
    write_image(folder / name, mask)
    return Label(sample, 1, annotation or annotator, annotator, name, False, 1.0, int((mask != 255).sum()))


@pytest.fixture
def draws(truth) -> tuple[Draw, Draw]:
    """Who sees the box, and who sees it ten pixels too far down: a third of both boxes differs, 5 % of the frame."""
    return lambda q: truth(q.sample.frame), lambda q: np.roll(truth(q.sample.frame), 10, axis=0)


def asked_out(context) -> bool:
    """Advance the video up to its first fit, which is not what is tested here; True once people have said enough."""

    def run(state: State, step: Step, context, lease) -> bool:
        return state is not State.FITTING and step(context, lease)

    machine.advance(context, VIDEO, run)
    return context.facts.video(VIDEO).state is State.FITTING


def opinions(context) -> dict[str, int]:
    found: dict[str, set[str]] = {}
    for event in context.facts.events(VIDEO, "label"):
        found.setdefault(event.payload["sample"], set()).add(event.payload["annotator"])
    return {sample: len(people) for sample, people in found.items()}


def test_two_who_agree_are_enough(make_context, draws) -> None:
    good, _ = draws
    tool = MemoryTool()
    context = make_context(tool, **TWO)
    assert not asked_out(context)
    assert tool.play(good, "ann") == 2
    assert tool.play(good, "ann") == 0  # nobody answers twice
    assert not asked_out(context)
    assert tool.play(good, "ben") == 2
    assert asked_out(context)
    assert tool.play(good, "cem") == 0
    assert set(opinions(context).values()) == {2}
    judged = [event.payload for event in context.facts.events(VIDEO, "agreement")]
    assert [(j["opinions"], j["disagreement"], j["asked_more"]) for j in judged] == [(2, 0.0, False)] * 2


def test_one_more_is_asked_only_about_the_sample_on_which_people_disagree(make_context, draws) -> None:
    good, bad = draws
    tool = MemoryTool()
    context = make_context(tool, **TWO)
    asked_out(context)
    first = tool.open_questions()[0].key
    tool.play(good, "ann")
    tool.play(lambda q: bad(q) if q.key == first else good(q), "ben")
    assert not asked_out(context)
    assert not asked_out(context)  # looked at again: nobody is asked once more
    assert [q.key for q in tool.open_questions()] == [first]
    assert tool.open_questions("ann") == []  # a third person, not one of the two
    assert tool.play(good, "cem") == 1
    assert asked_out(context)  # two against one, and no fourth is asked
    assert sorted(opinions(context).values()) == [2, 3]
    assert set(tool.times_asked().values()) == {1}


def test_one_more_is_asked_while_others_are_still_answering(make_context, draws) -> None:
    good, bad = draws
    tool = MemoryTool()
    context = make_context(tool, **TWO)
    asked_out(context)
    first, second = (q.key for q in tool.open_questions())
    for name, draw in (("ann", good), ("ben", bad)):
        tool.annotate(first, draw(tool.question(first)), name)
    tool.annotate(second, good(tool.question(second)), "ann")
    (row,) = context.facts.videos()
    assert machine.has_work(context, row)
    assert not asked_out(context)
    assert {q.key for q in tool.open_questions("cem")} == {first, second}
    assert not machine.has_work(context, context.facts.videos()[0])  # until somebody answers


def test_disagreement_for_ever_ends_at_the_most_opinions(make_context, draws) -> None:
    rng = np.random.default_rng(0)
    tool = MemoryTool()
    context = make_context(tool, **TWO)
    asked_out(context)
    people = 0
    while True:
        people += 1
        tool.play(lambda q: rng.integers(0, 2, (q.height, q.width)).astype(np.uint8), f"person {people}")
        if asked_out(context):
            break
    assert people == 3
    (event,) = context.facts.events(VIDEO, "reliability")
    assert set(event.payload["annotators"]["pixels"]) == {"person 1", "person 2", "person 3"}


def test_all_skipping_is_an_answer_and_teaches_nothing(make_context) -> None:
    tool = MemoryTool()
    context = make_context(tool, **TWO)
    asked_out(context)
    samples = len(tool.open_questions())
    assert [tool.play(lambda q: None, name) for name in ("ann", "ben")] == [samples] * 2
    asked_out(context)
    assert {e.payload["skipped"] for e in context.facts.events(VIDEO, "label") if e.round == 1} == {True}
    assert tool.open_questions() == [] or tool.open_questions()[0].round == 2


def test_a_single_opinion_pays_for_nothing_more(make_context, draws) -> None:
    good, _ = draws
    tool = MemoryTool(answer=good)
    context = make_context(tool)
    assert asked_out(context)
    assert list(context.facts.events(VIDEO, "agreement")) == []
    assert list(context.facts.events(VIDEO, "reliability")) == []


def test_the_bad_one_is_found_and_outvoted_even_when_they_come_first(make_context, truth) -> None:
    """Four samples, three people, of whom one guesses 60 % of the pixels. The masks beat the majority's."""
    rng = np.random.default_rng(1)

    def careless(share: float) -> Draw:
        def draw(question: Question) -> np.ndarray:
            mask = truth(question.sample.frame)
            guessed = rng.random(mask.shape) < share
            return np.where(guessed, rng.integers(0, 2, mask.shape), mask).astype(np.uint8)

        return draw

    tool = MemoryTool()
    rules = {"labeling": {"overlap": 3, "extra_opinions": 0}, "selection": {"budget": 4}, "stopping": {"rounds": 1}}
    context = make_context(tool, **rules)
    asked_out(context)
    for name, share in {"dan": 0.6, "ben": 0.3, "ann": 0.04}.items():
        assert tool.play(careless(share), name) == 4
    assert asked_out(context)
    folder = context.layout.video(VIDEO)
    labels = labels_from_events(context.facts.events(VIDEO, "label"))
    people = estimate_people(folder, labels, 2)
    assert people.names == ("ann", "ben", "dan")
    assert people.pixels is not None
    # a guess between two classes is wrong half of the time
    np.testing.assert_allclose(people.pixels.accuracy, [0.98, 0.85, 0.7], atol=0.03)
    wrong = {"ours": 0, "majority": 0}
    for sample in {label.sample for label in labels}:
        of = [label for label in labels if label.sample == sample]
        masks = [read_mask(folder / str(label.file)) for label in of]
        wrong["ours"] += int((people.consolidate(of, masks) != truth(sample.frame)).sum())
        wrong["majority"] += int((majority(masks) != truth(sample.frame)).sum())
    assert wrong["ours"] < 0.6 * wrong["majority"]
    rows = people_rows(context.layout.videos, context.facts, 2)
    accuracy = {row["annotator"]: row["accuracy_pixels"] for row in rows}
    assert accuracy["ann"] > accuracy["ben"] > accuracy["dan"]
    assert [row["answers"] for row in rows] == [4, 4, 4]


def test_of_one_person_the_last_opinion_counts(tmp_path: Path) -> None:
    zero, one = np.zeros((1, 2), np.uint8), np.ones((1, 2), np.uint8)
    labels = [
        make_label(tmp_path, Sample(0), "ann", zero, "1"),
        make_label(tmp_path, Sample(0), "ben", zero, "2"),
        make_label(tmp_path, Sample(0), "ann", one, "3"),
    ]
    assert [label.annotation for label in one_per_person(labels)] == ["2", "3"]
    assert estimate_people(tmp_path, labels, 2).pixels is None  # two people: nothing tells who is right


def test_a_superpixel_is_one_vote_however_large(tmp_path: Path) -> None:
    """Three superpixels of 1, 1 and 98 pixels: what counts is three choices, not a hundred pixels."""
    labels = []
    for number, pixels in enumerate((1, 1, 98)):
        mask = np.full((10, 10), 255, np.uint8)
        mask.flat[:pixels] = 1
        for name in ("ann", "ben", "cem"):
            labels.append(make_label(tmp_path, Sample(0, superpixel=("0123abcd", number)), name, mask))
    people = estimate_people(tmp_path, labels, 2)
    assert people.pixels is None
    assert people.choices is not None
    assert people.choices.weight.tolist() == [3, 3, 3]
