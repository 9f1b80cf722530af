"""What every labeling tool promises for every granularity: in memory, in a file, and on a real Label Studio server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from connectors.label_studio.annotator import LabelStudioAnnotator, corrected_regions
from connectors.label_studio.client import connected, list_tasks
from connectors.label_studio.excerpts import KEY
from connectors.label_studio.tiles import tile_choice, tile_keys
from connectors.labeling_tool import LabelingTool, Question
from connectors.memory import MemoryTool
from workspace.config import ClassConfig
from workspace.mask import UNKNOWN
from workspace.sample import Granularity, Sample, question_key

CLASSES = ("road", "car", "sky")
H, W = 24, 36
IDS = np.zeros((H, W), np.int32)  # superpixel 7 is a rectangle without one of its corners
IDS[4:20, 6:30] = 7
IDS[4:9, 6:12] = 3
SAMPLES = {
    Granularity.FRAME: Sample,
    Granularity.PATCH: partial(Sample, box=(4, 6, 16, 24)),
    Granularity.SUPERPIXEL: partial(Sample, superpixel=("0a1b2c3d", 7)),
}

real = pytest.param(
    "label_studio", marks=[pytest.mark.label_studio, pytest.mark.slow, pytest.mark.xdist_group("label_studio")]
)
pytestmark = [
    pytest.mark.parametrize("kind", ["memory", "memory-file", real]),
    pytest.mark.parametrize("granularity", list(Granularity)),
]


@dataclass
class Bench:
    """A tool, and the hands of the people behind it."""

    tool: Any
    again: Callable[[], LabelingTool]  # the same tool as another process would open it
    images: Path
    annotate: Callable[[str, Any, Any], None]  # key, what was shown, answer (None skips)
    delete: Callable[[str], None]
    keys: Callable[[], list[str]]  # of every task, copies included
    play: Callable[[Callable[[Question], Any]], int]
    granularity: Granularity

    def halves(self, left: int, right: int, cut: int = W // 2) -> Any:
        """An answer: two classes side by side; of a superpixel the left one only."""
        mask = np.full((H, W), left if self.granularity is Granularity.SUPERPIXEL else right, np.uint8)
        mask[:, :cut] = left
        return self.inside(mask)

    def inside(self, mask: Any) -> Any:
        return np.where(SAMPLES[self.granularity](0).region(H, W, IDS), mask, np.uint8(UNKNOWN))

    def question(self, frame: int, prediction: Any = None, video: str = "street-0a1b2c3d4e") -> Question:
        image = self.images / f"{frame:06d}.png"
        if not image.exists():
            cv2.imwrite(str(image), np.full((H, W, 3), frame, np.uint8))
        sample = SAMPLES[self.granularity](frame)
        superpixels = None
        if self.granularity is Granularity.SUPERPIXEL:
            superpixels = self.images / "superpixels.npy"
            np.save(superpixels, IDS)
        return Question(
            question_key(video, 1, sample),
            video,
            'Straße "5" & <b> 😀.mp4',
            1,
            sample,
            image,
            H,
            W,
            prediction,
            "model-1",
            superpixels,
        )


@pytest.fixture
def bench(kind: str, granularity: Granularity, tmp_path: Path, request: pytest.FixtureRequest) -> Bench:
    if kind != "label_studio":
        path = tmp_path / "tool.db" if kind == "memory-file" else None
        tool = MemoryTool(path)
        return Bench(
            tool=tool,
            again=lambda: MemoryTool(path) if path else tool,
            images=tmp_path,
            annotate=lambda key, shown, mask: tool.skip(key) if mask is None else tool.annotate(key, mask),
            delete=tool.delete,
            keys=lambda: [
                key for key in tool.times_asked() if key in tool.progress([key]).open | tool.progress([key]).answered
            ],
            play=tool.play,
            granularity=granularity,
        )
    make = request.getfixturevalue("make_label_studio_tool")
    server = request.getfixturevalue("label_studio_server")
    tool = make(CLASSES, tiles=1)  # tiles of several questions: tests/end_to_end/test_label_studio_samples.py
    images = server.workspace_root / "videos" / "a b#ä?" / tmp_path.name
    images.mkdir(parents=True, exist_ok=True)

    def project() -> Any:
        return tool.tiles_project_id() if granularity is Granularity.SUPERPIXEL else tool.project_id()

    def rows(client: Any) -> list[tuple[int, str]]:
        """Task and key of every question."""
        listed = list_tasks(client, project())
        return [(row.id, key) for row in listed for key in tile_keys(row.data) or [row.data[KEY]]]

    def annotate(key: str, shown: Any, mask: Any) -> None:
        with connected(server.url, server.token) as client:
            task = next(task for task, of_task in rows(client) if of_task == key)
            if mask is None:
                client.annotations.create(id=task, result=[], was_cancelled=True)
            elif granularity is Granularity.SUPERPIXEL:
                known = np.unique(mask[mask != UNKNOWN])
                client.annotations.create(id=task, result=[tile_choice(0, CLASSES[int(k)]) for k in known])
            else:
                # around a patch of this size all of the frame is shown
                client.annotations.create(id=task, result=corrected_regions(shown, mask, CLASSES, None))

    def delete(key: str) -> None:
        with connected(server.url, server.token) as client:
            for task, of_task in rows(client):
                if of_task == key:
                    client.tasks.delete(str(task))

    def keys() -> list[str]:
        with connected(server.url, server.token) as client:
            return [key for _, key in rows(client)]

    def play(annotator: Callable[[Question], Any]) -> int:
        configs = tuple(ClassConfig(name=name) for name in CLASSES)
        return LabelStudioAnnotator(server.url, server.token, project(), configs).play(annotator)

    return Bench(tool, lambda: make(CLASSES, tiles=1), images, annotate, delete, keys, play, granularity)


def nothing() -> None:
    """before_write of a process that may always go on."""


def test_pushing_again_asks_nobody_twice(bench: Bench) -> None:
    questions = [bench.question(i, bench.halves(0, 1)) for i in range(3)]
    assert bench.tool.push(iter(questions), nothing) == 3
    assert bench.tool.push(questions, nothing) == 0
    assert bench.again().push(questions, nothing) == 0
    assert sorted(bench.keys()) == [q.key for q in questions]


def test_the_rest_of_an_interrupted_push_is_pushed(bench: Bench) -> None:
    questions = [bench.question(i) for i in range(4)]
    assert bench.tool.push(questions[1:3], nothing) == 2
    assert bench.again().push(questions, nothing) == 2
    assert sorted(bench.keys()) == [q.key for q in questions]


def test_a_key_twice_in_one_push_is_one_question(bench: Bench) -> None:
    question = bench.question(0)
    assert bench.tool.push([question, question], nothing) == 1
    assert bench.keys() == [question.key]


def test_nothing_to_push_writes_nothing(bench: Bench) -> None:
    def never() -> None:
        raise AssertionError("a write")

    assert bench.tool.push([], never) == 0
    bench.tool.push([bench.question(0)], nothing)
    assert bench.tool.push([bench.question(0)], never) == 0


def test_progress_tells_answered_open_and_gone_apart(bench: Bench) -> None:
    questions = [bench.question(i) for i in range(5)]
    keys = [q.key for q in questions]
    bench.tool.push(questions[:4], nothing)
    bench.annotate(keys[0], None, bench.halves(0, 1))
    bench.annotate(keys[1], None, None)
    bench.delete(keys[2])
    progress = bench.again().progress(keys)
    assert progress.answered == {keys[0], keys[1]}  # skipped counts
    assert progress.open == {keys[3]}
    assert progress.gone == {keys[2], keys[4]}  # deleted by hand; never asked
    assert bench.tool.progress([keys[3]]).open == {keys[3]}
    empty = bench.tool.progress([])
    assert not empty.answered | empty.open | empty.gone


def test_several_annotations_of_one_question_stay_apart(bench: Bench) -> None:
    question = bench.question(0)
    bench.tool.push([question, bench.question(1)], nothing)
    first, second = bench.halves(0, 1), bench.halves(2, 2)
    bench.annotate(question.key, None, first)
    bench.annotate(bench.question(1).key, None, bench.halves(1, 1))
    bench.annotate(question.key, None, second)
    answers = list(bench.tool.pull([question.key]))
    assert [a.key for a in answers] == [question.key] * 2
    assert int(answers[0].annotation) < int(answers[1].annotation)
    np.testing.assert_array_equal(answers[0].mask, first)
    np.testing.assert_array_equal(answers[1].mask, second)
    assert all(a.annotator and a.finished_at and a.raw and not a.skipped for a in answers)


def test_a_skipped_question_is_an_answer_without_a_mask(bench: Bench) -> None:
    question = bench.question(0, bench.halves(0, 1))
    bench.tool.push([question], nothing)
    bench.annotate(question.key, question.prediction, None)
    (answer,) = bench.tool.pull([question.key])
    assert answer.skipped
    assert answer.mask is None


def test_an_empty_annotation_says_nothing_about_any_pixel(bench: Bench) -> None:
    question = bench.question(0)
    bench.tool.push([question], nothing)
    bench.annotate(question.key, None, np.full((H, W), UNKNOWN, np.uint8))
    (answer,) = bench.tool.pull([question.key])
    assert not answer.skipped
    assert (answer.mask == UNKNOWN).all()
    assert answer.changed_regions == 0


def test_an_untouched_prediction_comes_back_as_it_went(bench: Bench) -> None:
    rng = np.random.default_rng(3)
    noisy = bench.inside(rng.choice(np.array([0, 1, 2, UNKNOWN], np.uint8), (H, W)))
    if bench.granularity is Granularity.SUPERPIXEL:
        noisy = bench.halves(2, 2)
    question = bench.question(0, noisy)
    bench.tool.push([question], nothing)
    assert bench.play(lambda asked: asked.prediction) == 1
    (answer,) = bench.tool.pull([question.key])
    np.testing.assert_array_equal(answer.mask, noisy)
    assert answer.changed_regions == 0


def test_a_correction_comes_back_exactly_and_its_regions_are_counted(bench: Bench) -> None:
    shown = bench.halves(0, 1)
    shown[: H if bench.granularity is Granularity.SUPERPIXEL else 9] = 2
    shown = bench.inside(shown)
    corrected = bench.halves(0, 1, cut=W // 2 + 3)  # the border moves, and the third class goes
    question = bench.question(0, shown)
    bench.tool.push([question], nothing)
    bench.annotate(question.key, shown, corrected)
    (answer,) = bench.tool.pull([question.key])
    np.testing.assert_array_equal(answer.mask, corrected)
    # two changed, one removed; of a superpixel one choice, or its two classes
    assert answer.changed_regions in ((1, 2) if bench.granularity is Granularity.SUPERPIXEL else (3,))


def test_the_person_sees_what_was_asked(bench: Bench) -> None:
    question = bench.question(7, bench.halves(0, 1))
    bench.tool.push([question], nothing)
    seen: list[Question] = []

    def look(asked: Question) -> Any:
        seen.append(asked)
        return bench.halves(1, 0)

    assert bench.play(look) == 1
    assert bench.play(look) == 0
    (asked,) = seen
    fields = ("key", "video", "video_name", "round", "sample", "height", "width", "model")
    assert all(getattr(asked, name) == getattr(question, name) for name in fields)
    np.testing.assert_array_equal(asked.prediction, question.prediction)


def test_before_write_comes_before_every_write(bench: Bench) -> None:
    class Stopped(Exception):
        pass

    def stop() -> None:
        raise Stopped

    question = bench.question(0, bench.halves(0, 1))
    with pytest.raises(Stopped):
        bench.tool.push([question], stop)
    # stopped at each write in turn, nothing is ever half there, and going on completes it
    for allowed in range(1, 20):
        left = [allowed]

        def countdown(left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise Stopped

        try:
            new = bench.again().push([question], countdown)
        except Stopped:
            continue
        assert new in (0, 1)
        break
    else:
        pytest.fail("push never ends")
    assert bench.keys() == [question.key]
    np.testing.assert_array_equal(_shown(bench), question.prediction)


def test_only_the_asked_keys_are_pulled(bench: Bench) -> None:
    questions = [bench.question(i) for i in range(3)]
    bench.tool.push(questions, nothing)
    bench.play(lambda asked: bench.halves(0, 1))
    assert [a.key for a in bench.tool.pull([questions[2].key, questions[0].key])] == [
        questions[0].key,
        questions[2].key,
    ]
    assert list(bench.tool.pull([])) == []
    assert list(bench.tool.pull(["street-0a1b2c3d4e/9/f000000"])) == []


def test_keys_of_any_spelling(bench: Bench) -> None:
    odd = ['a"b/1/f000000', "<&>/😀/f000001", "no slash", "100%_/1/f000002"]
    questions = [replace(bench.question(i), key=key) for i, key in enumerate(odd)]
    assert bench.tool.push(questions, nothing) == 4
    assert bench.again().push(questions, nothing) == 0
    assert bench.tool.progress(odd).open == set(odd)
    bench.play(lambda asked: bench.halves(0, 1))
    assert {a.key for a in bench.tool.pull(odd)} == set(odd)


def test_the_link_leads_somewhere(bench: Bench) -> None:
    bench.tool.push([bench.question(0)], nothing)
    assert bench.tool.link([bench.question(0).key])


def _shown(bench: Bench) -> Any:
    seen: list[Any] = []

    def look(asked: Question) -> Any:
        seen.append(asked.prediction)

    bench.play(look)
    (prediction,) = seen
    return prediction
