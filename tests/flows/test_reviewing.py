"""Labels of a project in the order in which to look at them again, by the real signals."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import numpy as np
import pytest

from connectors.memory import MemoryTool
from fewclicks.__main__ import main
from flows.context import Context
from flows.labels import label_payload
from flows.reviewing import ToReview, disagreements, expected_overlaps, to_review
from workspace.config import PropagationConfig, SegmenterConfig
from workspace.facts import Event, NewEvent
from workspace.files import write_image
from workspace.label import Label
from workspace.sample import Sample

VIDEO, FRAMES, HEIGHT, WIDTH = "clip-0123456789", 6, 32, 48


def still(source: int, target: int) -> np.ndarray:
    return np.zeros((HEIGHT, WIDTH, 2), np.float32)


def square(class_id: int = 1) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[8:24, 10:26] = class_id
    return mask


def test_the_wrong_label_comes_first_with_its_reason() -> None:
    labels = {index: square() for index in range(8)}
    labels[5] = square(2)
    pictures = [np.where(square()[..., None] > 0, 200, 30).astype(np.uint8).repeat(3, axis=2) for _ in range(8)]
    seen: list[float] = []
    found = to_review(
        pictures, labels, still, 3, SegmenterConfig(name="compact", weights=None), PropagationConfig(), {}, seen.append
    )
    assert found.frames[found.found.order[0]] == 5
    reason = found.reason(int(found.found.order[0]), ("ground", "car", "van"))
    assert reason == "van at x 10, y 8, 16x16 px: the labels before and after say car (100% of it)"
    assert found.reason(int(found.found.order[-1]), ("ground", "car", "van")) == "nothing unusual"
    assert set(found.signs) == {"contradiction", "shift", "doubt"}
    assert seen[-1] == pytest.approx(1)
    assert seen == sorted(seen)


def test_a_shift_and_a_quarrel_are_told_apart() -> None:
    labels = {index: square() for index in range(8)}
    labels[2] = np.roll(square(), 3, axis=1)
    pictures = [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * 8
    found = to_review(
        pictures, labels, still, 2, None, PropagationConfig(), {6: 0.9, 1: 0.0, 3: 0.05}, lambda part: None
    )
    names = ("ground", "car")
    first, second = (int(position) for position in found.found.order[:2])
    assert {int(found.frames[first]), int(found.frames[second])} == {2, 6}
    assert "lies beside where the labels before and after have it" in found.reason(2, names)
    assert found.reason(6, names) == "the annotators disagree"


def test_hasty_clicks_are_a_sign_and_without_any_nothing_changes() -> None:
    labels = {index: square() for index in range(8)}
    pictures = [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * 8

    def order(clicked: dict[int, float] | None) -> ToReview:
        return to_review(pictures, labels, still, 2, None, PropagationConfig(), {}, lambda part: None, clicked=clicked)

    found = order({1: 0.9, 2: 0.92, 4: 0.55, 5: 0.91})
    assert found.frames[found.found.order[0]] == 4
    assert found.reason(int(found.found.order[0]), ("ground", "car")) == "clicked as hasty work is"
    assert found.reason(2, ("ground", "car")) == "nothing unusual"  # of the four the most careful
    without = order({})
    np.testing.assert_array_equal(without.found.order, order(None).found.order)
    assert not without.found.suspicion.any()


def test_the_worst_mask_of_a_frame_counts_and_of_a_corrected_annotation_the_last_version() -> None:
    hasty = [[0.0, 0.5, 0.5, 1, 0.05, 0.05], [0.4, 0.2, 0.9, 0, 0.05, 0.02]]
    patient = [[3.0 * k, 0.5, 0.5, 1, change, 0.1] for k, change in enumerate((0.09, 0.02, 0.004))]

    def event(number: int, frame: int, clicked: list[object] | None) -> Event:
        payload = {"sample": Sample(frame).key, "annotation": "a"} | ({} if clicked is None else {"clicked": clicked})
        return Event(number, 0.0, VIDEO, 1, "label", payload)

    worst = expected_overlaps([event(1, 0, [patient, hasty]), event(2, 1, [patient]), event(3, 2, None)])
    assert set(worst) == {0, 1}
    assert worst[0] < worst[1]
    again = expected_overlaps([event(1, 0, [hasty]), event(2, 0, [patient])])
    assert again == {0: worst[1]}


def answer(context: Context, name: str, mask: np.ndarray, frame: int, annotator: str = "anna") -> Label:
    path = context.layout.labels(VIDEO) / f"{name}.png"
    write_image(path, mask)
    label = Label(Sample(frame), 1, name, annotator, f"labels/{name}.png", False, 1.0, int((mask != 255).sum()))
    context.facts.append(VIDEO, 1, NewEvent("label", label_payload(label)))
    return label


def test_annotators_of_one_sample_disagree_where_both_know(make_context, truth) -> None:
    context = make_context(MemoryTool())
    mask, half = truth(1), truth(1)
    half[:, :10] = 255
    labels = [answer(context, "a", mask, 1), answer(context, "b", half, 1, "ben"), answer(context, "c", mask, 3)]
    video = context.facts.video(VIDEO).video
    assert disagreements(context.layout, video, labels, 2) == {1: 0.0}
    other = np.where(half == 1, np.uint8(0), half)  # no box at all: one class of two, and half of what is left
    labels.append(answer(context, "d", other, 1, "cleo"))
    assert 0.5 < disagreements(context.layout, video, labels, 2)[1] <= 1


def test_two_annotators_of_a_project_are_compared(project: Context, truth, monkeypatch, capsys) -> None:
    for index in (1, 2):
        answer(project, f"a{index}", truth(index), index)
        answer(project, f"b{index}", np.roll(truth(index), index - 1, axis=1), index, "ben@example.org")
    root = project.layout.root
    arguments = [
        f"{root}@anna",
        f"{root}@ben@example.org",
        "--out",
        root / "report",
        "--without",
        "ground",
        "--reference",
    ]
    monkeypatch.setattr(sys, "argv", ["fewclicks", "compare", *map(str, arguments)])
    with pytest.raises(SystemExit):
        main()
    assert "2 images: 1 confident, 1 ambiguous" in capsys.readouterr().out  # 11 of 13 columns overlap
    report = json.loads((root / "report" / "report.json").read_text())
    assert list(report["rubric"]["videos"]) == [VIDEO]
    monkeypatch.setattr(sys, "argv", ["fewclicks", "compare", f"{root}@anna", f"{root}@eve"])
    with pytest.raises(SystemExit):
        main()
    assert "has no labels by 'eve'. Labels are there by anna, ben@example.org." in capsys.readouterr().err


@pytest.fixture
def project(make_context: Callable[..., Context]) -> Context:
    context = make_context(MemoryTool())
    (context.layout.root / "fewclicks.yaml").write_text(
        "project: {classes: [ground, box]}\nsegmenter: {name: compact, weights: null}\n"
    )
    return context


def test_the_command(project: Context, truth, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "argv", ["fewclicks", "review", str(project.layout.root), "--flow-only"])
    with pytest.raises(SystemExit):
        main()
    assert "fewer than two labeled frames" in capsys.readouterr().out
    for index in range(FRAMES):
        answer(project, f"m{index}", truth(index) if index != 3 else np.zeros((HEIGHT, WIDTH), np.uint8), index)
    out = project.layout.root / "order.json"
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--out", str(out)])
    with pytest.raises(SystemExit):
        main()
    first = json.loads(out.read_text())[0]
    assert (first["rank"], first["frame"]) == (1, 3)
    assert "the labels before and after say box" in first["reason"]
    assert first["reason"].split(":")[0] in capsys.readouterr().out
