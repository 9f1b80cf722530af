"""Contradicted regions weigh less in learning, and other frames are not told of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from connectors.memory import MemoryTool
from flows.chunks_of_a_video import VideoWork, fill_flow, fit_labels, propagate_to
from flows.context import Context
from flows.down_weighting import in_the_name, trusted
from flows.labels import by_majority
from propagation.propagate import propagate
from workspace.config import PropagationConfig, ReviewConfig, SegmenterConfig
from workspace.files import write_bytes, write_image
from workspace.label import Label
from workspace.mask import UNKNOWN
from workspace.sample import Sample

HEIGHT, WIDTH = 40, 60


def still(source: int, target: int) -> np.ndarray:
    return np.zeros((HEIGHT, WIDTH, 2), np.float32)


def square(class_id: int = 1) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[10:30, 20:40] = class_id
    return mask


LABELS = {0: square(), 3: square(), 6: square(2), 9: square(), 12: square()}


def seen(weight: float, labels: dict[int, np.ndarray] | None = None):
    return trusted(labels or LABELS, still, (HEIGHT, WIDTH), weight, 0, lambda part: None)


def test_the_share_of_a_contradicted_region_that_is_learned_is_its_weight() -> None:
    found = seen(0.25)
    assert found.doubtful_px == 400
    taught, known = found.taught[6], found.taught[6] != UNKNOWN
    # of 400 pixels 100 are expected, with a standard deviation of 8.7
    assert 60 < int((taught == 2).sum()) < 140
    assert (taught[known] == LABELS[6][known]).all()
    assert known[LABELS[6] == 0].all()
    np.testing.assert_array_equal(taught, seen(0.25).taught[6])
    assert all(found.taught[index] is LABELS[index] for index in (0, 3, 9, 12))
    assert int((found.carried[6] == UNKNOWN).sum()) == 400
    assert list(found.taught) == list(found.carried) == sorted(LABELS)


def test_nothing_changes_by_default_and_where_nothing_is_contradicted() -> None:
    same = seen(1.0)
    assert same.taught is same.carried is LABELS
    right = {index: square() for index in (0, 3, 6)}
    assert seen(0.1, right).doubtful_px == 0
    assert seen(0.1, {0: square()}).taught[0].max() == 1


class Kept(dict[str, np.ndarray]):
    put, get = dict.__setitem__, dict.__getitem__


@pytest.mark.parametrize(("weight", "neighbour"), [(1.0, 2), (0.2, 1)])
def test_other_frames_are_told_what_was_labeled_before_instead(weight: float, neighbour: int) -> None:
    pictures = [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * 13
    masks = {
        one.index: one.warped_mask
        for one in propagate(
            pictures, LABELS, still, 3, SegmenterConfig(name="compact", weights=None), PropagationConfig(), None,
            Kept(), [6, 7], lambda part: None, seen(weight).carried,
        )
    }  # fmt: skip
    np.testing.assert_array_equal(masks[6], LABELS[6])  # people's pixels win in their own frame
    np.testing.assert_array_equal(masks[7], square(neighbour))


@pytest.mark.parametrize("weight", [1.0, 0.2])
def test_the_loop_fits_and_propagates_with_the_setting(
    make_context: Callable[..., Context], truth: Callable[[int], np.ndarray], monkeypatch: pytest.MonkeyPatch,
    weight: float,
) -> None:  # fmt: skip
    review = {} if weight == 1 else {"review": {"contradicted_weight": weight}}
    context = make_context(MemoryTool(), **review)
    video = context.facts.videos()[0].video
    labels = []
    for index in range(video.frames):
        mask = np.zeros_like(truth(3)) if index == 3 else truth(index)
        write_image(context.layout.labels(video.id) / f"m{index}.png", mask)
        labels.append(Label(Sample(index), 1, f"m{index}", "anna", f"labels/m{index}.png", False, 1.0, mask.size))
    work = VideoWork(context.layout, context.config, video, labels, by_majority)
    fill_flow(work, range(video.frames - 1), lambda part: None)
    given: dict[str, Any] = {}

    def fit(frames: object, labels: Mapping[int, np.ndarray], *rest: object) -> bytes:
        given["taught"] = labels
        return b"model"

    def propagate(frames: object, labels: Mapping[int, np.ndarray], *rest: object) -> Iterator[object]:
        given["people's"], given["carried"] = labels, rest[-1]
        return iter(())

    monkeypatch.setattr("flows.chunks_of_a_video.fit", fit)
    monkeypatch.setattr("flows.chunks_of_a_video.propagate", propagate)
    write_bytes(context.layout.model(video.id, "0"), fit_labels(work, None, lambda part: None))
    propagate_to(work, "0", range(video.frames), lambda part: None)
    unknown = {name: int((labels[3] == UNKNOWN).sum()) for name, labels in given.items()}
    assert unknown["people's"] == 0
    # the box that frame 3 lacks has 192 pixels; flow finds it in the frames around to within some
    assert (unknown["carried"] > 150) == (unknown["taught"] > 100) == (weight < 1)
    assert unknown["carried"] <= 220
    assert sum(int((given["carried"][index] == UNKNOWN).sum()) for index in (0, 1, 2, 4, 5)) < 60


def test_a_model_is_named_after_the_setting_unless_it_is_the_default() -> None:
    assert in_the_name(ReviewConfig(samples=9)) == []
    assert in_the_name(ReviewConfig(contradicted_weight=0.5)) == ["contradicted_weight", 0.5]
