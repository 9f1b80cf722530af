"""What the in-memory tool does beyond the contract of all labeling tools (tests/contracts/test_labeling_tool.py)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from connectors.labeling_tool import Question
from connectors.memory import MemoryTool, changed_classes
from connectors.simulated_annotator import answer_from_truth, simulated_annotator
from workspace.sample import Sample, question_key

H, W = 6, 8
VIDEO = "clip-0123456789"


def question(frame: int, prediction: Any = None, sample: Sample | None = None) -> Question:
    sample = sample or Sample(frame)
    return Question(question_key(VIDEO, 1, sample), VIDEO, "clip", 1, sample, Path("x.png"), H, W, prediction)


def test_every_asking_is_counted_even_after_deletion() -> None:
    tool = MemoryTool()
    asked = question(0)
    tool.push([asked], lambda: None)
    tool.delete(asked.key)
    tool.push([asked, question(1)], lambda: None)
    assert tool.times_asked() == {asked.key: 2, question(1).key: 1}


def test_an_automatic_annotator_answers_when_the_loop_looks(tmp_path: Path) -> None:
    truth = np.full((H, W), 3, np.uint8)
    tool = MemoryTool(tmp_path / "tool.db")
    tool.push([question(0)], lambda: None)  # by a process that died before anybody could answer
    again = MemoryTool(tmp_path / "tool.db", lambda q: truth if q.sample.frame == 0 else None)
    again.push([question(1)], lambda: None)
    assert again.progress([question(0).key, question(1).key]).answered == {question(0).key, question(1).key}
    first, second = again.pull([question(0).key, question(1).key])
    np.testing.assert_array_equal(first.mask, truth)
    assert second.skipped
    assert len(list(again.pull([question(0).key]))) == 1


def test_threads_share_one_memory() -> None:
    tool = MemoryTool()
    threads = [threading.Thread(target=tool.push, args=([question(i % 5)], lambda: None)) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tool.times_asked() == {question(i).key: 1 for i in range(5)}


KILLED_IN_PUSH = """
import os, signal, sys
from pathlib import Path
from connectors.labeling_tool import Question
from connectors.memory import MemoryTool
from workspace.sample import Sample, question_key
left = [3]
def before_write():
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
video, samples = "clip-0123456789", [Sample(i) for i in range(6)]
questions = [Question(question_key(video, 1, s), video, "clip", 1, s, Path("x.png"), 6, 8) for s in samples]
MemoryTool(Path(sys.argv[1])).push(questions, before_write)
"""


def test_a_process_killed_in_the_middle_of_a_push_leaves_whole_questions(tmp_path: Path) -> None:
    path = tmp_path / "tool.db"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", KILLED_IN_PUSH, str(path)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    tool = MemoryTool(path)
    assert len(tool.open_questions()) == 3
    assert tool.push([question(i) for i in range(6)], lambda: None) == 3
    assert set(tool.times_asked().values()) == {1}


def test_an_answer_of_the_wrong_size_or_to_nothing_is_refused() -> None:
    tool = MemoryTool()
    tool.push([question(0)], lambda: None)
    with pytest.raises(ValueError, match=r"\(2, 2\)"):
        tool.annotate(question(0).key, np.zeros((2, 2), np.uint8))
    for act in (tool.skip, tool.delete, tool.question):
        with pytest.raises(KeyError):
            act(question(1).key)


def test_changed_classes_are_those_whose_pixels_differ() -> None:
    shown = np.array([[0, 0, 1, 255]], np.uint8)
    assert changed_classes(shown, shown) == 0
    assert changed_classes(shown, np.array([[0, 0, 1, 2]], np.uint8)) == 1
    assert changed_classes(shown, np.array([[0, 1, 1, 255]], np.uint8)) == 2
    assert changed_classes(None, np.array([[0, 1, 255, 255]], np.uint8)) == 2


def test_the_perfect_annotator_keeps_void_unknown_and_stays_inside_the_sample() -> None:
    truth = np.arange(H * W, dtype=np.uint8).reshape(H, W)
    truth[0, 0] = 255
    np.testing.assert_array_equal(answer_from_truth(truth, Sample(0)), truth)
    inside = answer_from_truth(truth, Sample(0, box=(1, 2, 2, 3)))
    np.testing.assert_array_equal(inside[1:3, 2:5], truth[1:3, 2:5])
    assert (inside == 255).sum() == H * W - 6


def test_the_simulated_annotator_looks_up_the_frame_it_is_asked_about() -> None:
    asked: list[tuple[str, int]] = []

    def truth_of(video: str, frame: int) -> Any:
        asked.append((video, frame))
        return np.full((H, W), frame, np.uint8)

    tool = MemoryTool()
    tool.push([question(4), question(2)], lambda: None)
    assert tool.play(simulated_annotator(truth_of)) == 2
    assert asked == [(VIDEO, 4), (VIDEO, 2)]
    with pytest.raises(ValueError, match="the truth of"):
        simulated_annotator(lambda video, frame: np.zeros((2, 2), np.uint8))(question(0))


def test_as_many_different_people_as_wanted_and_later_one_more() -> None:
    tool = MemoryTool()
    sample = Sample(0)
    asked = Question(question_key(VIDEO, 1, sample), VIDEO, "clip", 1, sample, Path("x.png"), H, W, opinions=2)
    tool.push([asked], lambda: None)
    mask = np.zeros((H, W), np.uint8)
    tool.annotate(asked.key, mask, "ann")
    tool.annotate(asked.key, mask, "ann")  # the same person again is no second opinion
    assert tool.progress([asked.key]).open == {asked.key}
    assert tool.open_questions("ann") == []
    assert [q.opinions for q in tool.open_questions("ben")] == [2]
    tool.skip(asked.key, "ben")  # but a skip is
    assert tool.progress([asked.key]).answered == {asked.key}
    writes: list[int] = []
    assert tool.push([replace(asked, opinions=3)], lambda: writes.append(1)) == 0
    assert tool.push([replace(asked, opinions=3)], lambda: writes.append(1)) == 0
    assert tool.push([asked], lambda: writes.append(1)) == 0  # fewer takes nothing back
    assert len(writes) == 1
    assert tool.progress([asked.key]).open == {asked.key}
    assert tool.times_asked() == {asked.key: 1}


def test_an_annotator_who_is_played_by_two_processes_answers_once(tmp_path: Path) -> None:
    mask = np.full((H, W), 3, np.uint8)
    one, other = (MemoryTool(tmp_path / "tool.db") for _ in range(2))
    one.push([question(0), question(1)], lambda: None)

    def meanwhile(_: Question) -> np.ndarray:
        other.play(lambda q: mask)  # the other is through before this answer is stored
        return mask

    assert one.play(meanwhile) == 0
    answers = list(one.pull([question(0).key, question(1).key]))
    assert sorted(answer.key for answer in answers) == sorted([question(0).key, question(1).key])
