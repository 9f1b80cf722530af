"""The loop with samples smaller than a frame, on a tiny video with the in-memory tool."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from connectors.memory import MemoryTool
from connectors.simulated_annotator import simulated_annotator
from flows.choosing import samples_with_model
from flows.context import Context
from flows.machine import Outcome, advance, has_work
from flows.rounds import asked, asked_in, newest_model
from flows.superpixel_files import frame_superpixels, superpixel_ids
from selection.strategies import STRATEGIES
from workspace.errors import UserError
from workspace.files import read_mask
from workspace.sample import Granularity, Sample

MakeContext = Callable[..., Context]
Truth = Callable[[int], np.ndarray]
CLIP = "clip-0123456789"


def perfect(truth: Truth) -> MemoryTool:
    return MemoryTool(answer=simulated_annotator(lambda _, frame: truth(frame)))


def selection(granularity: str, budget: int, strategy: str = "gain_per_click") -> dict[str, object]:
    return {"granularity": granularity, "budget": budget, "strategy": strategy, "superpixel_size": 8}


def mask_of(context: Context, frame: int) -> np.ndarray:
    return read_mask(context.layout.masks(CLIP, newest_model(context.facts, CLIP)) / f"{frame:06d}.png")


def granularities(samples: list[Sample]) -> set[Granularity]:
    return {sample.granularity for sample in samples}


def test_the_first_round_asks_whole_frames_and_then_patches(make_context: MakeContext, truth: Truth) -> None:
    context = make_context(perfect(truth), selection=selection("patch:16", 5), stopping={"rounds": 3, "quality": None})
    assert advance(context, CLIP) is Outcome.DONE
    first, second, third = (asked_in(context.facts, CLIP, number) for number in (1, 2, 3))
    # 5 patches of 16x16 are five sixths of a frame of 32x48, and there are never fewer than two
    assert granularities(first) == {Granularity.FRAME}
    assert len(first) == 2
    assert granularities(second + third) == {Granularity.PATCH}
    assert len(second) == len(third) == 5
    assert len(set(second) | set(third)) == 10
    assert not {sample.frame for sample in first} & {sample.frame for sample in second + third}
    for sample in second + third:  # human pixels win, inside the patch
        inside = sample.region(32, 48)
        assert np.array_equal(mask_of(context, sample.frame)[inside], truth(sample.frame)[inside])


def test_only_pixels_inside_the_sample_are_taught(make_context: MakeContext, truth: Truth) -> None:
    tool = MemoryTool(answer=lambda q: truth(q.sample.frame))  # paints the whole frame whatever was asked
    context = make_context(tool, selection=selection("patch:16x8", 3))
    advance(context, CLIP)
    events = [event for event in context.facts.events(CLIP, "label") if event.round == 2]
    assert [event.payload["known_pixels"] for event in events] == [16 * 8] * 3


def test_superpixels_get_one_class_and_cost_one_click(make_context: MakeContext, truth: Truth) -> None:
    context = make_context(perfect(truth), selection=selection("superpixel", 6))
    assert advance(context, CLIP) is Outcome.DONE
    samples = asked_in(context.facts, CLIP, 2)
    assert granularities(samples) == {Granularity.SUPERPIXEL}
    assert len(set(samples)) == 6
    video = context.facts.video(CLIP).video
    for event in context.facts.events(CLIP, "label"):
        if event.round == 2:
            sample = Sample.parse(event.payload["sample"])
            region = sample.region(32, 48, superpixel_ids(context, video, sample))
            label = read_mask(context.layout.video(CLIP) / event.payload["file"])
            dominant = np.bincount(truth(sample.frame)[region]).argmax()
            assert set(label[region].tolist()) == {dominant}
            assert (label[~region] == 255).all()
            assert event.payload["clicks"] == {"drawing": 1, "correcting": 1}


def test_a_superpixel_is_found_again_after_the_settings_changed(make_context: MakeContext, truth: Truth) -> None:
    context = make_context(MemoryTool(), selection=selection("superpixel", 3))
    video = context.facts.video(CLIP).video
    made = frame_superpixels(context, video, 2)
    other = make_context(MemoryTool(), selection=selection("superpixel", 3) | {"superpixel_size": 16})
    assert frame_superpixels(other, video, 2).fingerprint != made.fingerprint
    sample = Sample(2, superpixel=(made.fingerprint, 0))
    assert np.array_equal(superpixel_ids(other, video, sample), made.ids)
    assert frame_superpixels(context, video, 2).fingerprint == made.fingerprint  # the very same from its file
    with pytest.raises(UserError, match=r"superpixels that f000002\.s00000000-1 belongs to"):
        superpixel_ids(context, video, Sample(2, superpixel=("00000000", 1)))


def test_mixed_asks_one_granularity_per_round_for_about_a_frame_of_clicks(
    make_context: MakeContext, truth: Truth
) -> None:
    context = make_context(perfect(truth), selection=selection("mixed", 2), stopping={"rounds": 4, "quality": None})
    advance(context, CLIP)
    chosen = [event.payload["granularity"] for event in context.facts.events(CLIP, "selected")]
    assert chosen[0] == "frame"
    assert set(chosen) <= {"frame", "patch:64", "patch:128"}
    everything = asked(context.facts, CLIP)
    assert len(everything) == sum(len(e.payload["samples"]) for e in context.facts.events(CLIP, "selected"))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_chooses_patches_and_the_same_ones_again(
    make_context: MakeContext, truth: Truth, strategy: str
) -> None:
    context = make_context(MemoryTool(), selection=selection("patch:16", 4, strategy))
    advance(context, CLIP)
    context.tool.play(simulated_annotator(lambda _, frame: truth(frame)))  # type: ignore[attr-defined]
    advance(context, CLIP)
    chosen = asked_in(context.facts, CLIP, 2)
    assert granularities(chosen) == {Granularity.PATCH}
    assert len(set(chosen)) == 4
    lease = context.facts.claim(CLIP, 60)
    assert lease is not None
    again = samples_with_model(context, lease, context.facts.video(CLIP).video)
    # these were asked about meanwhile, so a second look finds others, and a third the same as the second
    assert not set(again.samples) & set(chosen)
    assert again == samples_with_model(context, lease, context.facts.video(CLIP).video)
    lease.release()


def test_it_ends_when_nothing_is_left_to_ask(make_context: MakeContext, truth: Truth) -> None:
    context = make_context(perfect(truth), selection=selection("patch:32", 6), stopping={"rounds": 9, "quality": None})
    assert advance(context, CLIP) is Outcome.DONE
    done = context.facts.last_event(CLIP, "done")
    assert done is not None
    assert done.payload == {"reason": "everything was asked about", "exhausted": True}
    # 6 patches of 32x32 (and 32x16) cover 4 of the 6 frames; the other two have two patches each
    counts = [len(event.payload["samples"]) for event in context.facts.events(CLIP, "selected")]
    assert counts == [4, 4]
    assert not has_work(context, context.facts.video(CLIP))
    assert advance(context, CLIP) is Outcome.DONE
    for frame in range(6):
        assert np.array_equal(mask_of(context, frame), truth(frame))


class FramesOnly(MemoryTool):
    granularities = frozenset({Granularity.FRAME})


@pytest.mark.parametrize("granularity", ["patch:16", "superpixel", "mixed"])
def test_a_tool_that_cannot_ask_it_is_told_before_anything_is_asked(
    make_context: MakeContext, granularity: str
) -> None:
    tool = FramesOnly()
    context = make_context(tool, selection=selection(granularity, 2))
    with pytest.raises(UserError, match=f"'{granularity}', but the labeling tool of this project asks about: frame\\."):
        advance(context, CLIP)
    assert not tool.times_asked()
    assert advance(make_context(tool, selection=selection("frame", 2)), CLIP) is Outcome.WAITING
