"""The steps that compute: fit the segmenter to the labels, then propagate to every frame."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flows.chunks_of_a_video import (
    VideoWork,
    fill_flow,
    fit_labels,
    flow_of,
    mask_file,
    probabilities_file,
    propagate_to,
)
from flows.context import Context, beating
from flows.down_weighting import in_the_name
from flows.executors import Executor, chunks, executor_of
from flows.frame_files import FlowFiles, FrameFiles
from flows.labels import by_majority, labels_from_events
from flows.people import estimate_people, uses_reliability
from flows.rounds import stop_reason
from propagation.devices import use_threads
from propagation.estimate import estimated_miou, expected_errors
from propagation.model import error_ratio
from selection.clicks import frame_clicks
from workspace.facts import Lease, NewEvent
from workspace.files import fingerprint, read_arrays, read_mask, read_undamaged, write_array, write_bytes
from workspace.layout import Layout
from workspace.states import State
from workspace.video import Video

_FRAMES_PRICED = 100
FORMAT = 2  # raise it when the same labels and settings lead to other masks than before


def fit(context: Context, lease: Lease) -> bool:
    """Fine-tune on all labels. The model's file is named after everything that goes in: present means done."""
    began = time.monotonic()
    video = context.facts.video(lease.video).video
    it = _work(context, video)
    labels = it.label_set
    before = context.facts.last_event(video.id, "fitted")
    previous = str(before.payload["model"]) if before is not None else ""
    model = fingerprint(
        FORMAT,
        video.sha256,
        labels.files,
        previous,
        context.config.segmenter.model_dump(),
        context.config.propagation.model_dump(),
        context.config.project.class_names,
        context.config.labeling.consolidation,
        *in_the_name(context.config.review),
    )
    path = context.layout.model(video.id, model)
    if not path.exists():
        with _executor(context) as executor:
            pairs = chunks(range(video.frames - 1), executor.size)
            list(executor.run(partial(fill_flow, it), pairs, beating(context, lease, "optical flow")))
            earlier = _previous_model(context.layout, video.id, previous)
            (data,) = executor.run(partial(fit_labels, it), [earlier], beating(context, lease, "fitting"))
        write_bytes(path, data)
    seconds = round(time.monotonic() - began, 3)
    lease.commit(
        State.PROPAGATING,
        lease.round,
        [NewEvent("fitted", {"model": model, "labeled_frames": len(labels), "seconds": seconds})],
    )
    return True


def propagate(context: Context, lease: Lease) -> bool:
    """Masks and probabilities for all frames; frames that an interrupted run had finished are not made again."""
    began = time.monotonic()
    video = context.facts.video(lease.video).video
    fitted = context.facts.last_event(video.id, "fitted")
    assert fitted is not None, "propagating follows fitting"
    model = str(fitted.payload["model"])
    complete(context, lease, video, model)
    lease.check()
    _tidy(context.layout.video(video.id), model)
    estimated = _estimated_miou(context, video, model)
    drawing = _drawing_every_frame(context, video, model)
    reason = stop_reason(context.facts, video, lease.round, context.config.stopping, estimated)
    seconds = round(time.monotonic() - began, 3)
    made = {"model": model, "frames": video.frames, "seconds": seconds, "estimated_miou": round(estimated, 4)}
    events = [NewEvent("propagated", made | {"drawing_every_frame": drawing})]
    if reason is None:
        lease.commit(State.SELECTING, lease.round + 1, events)
    else:
        lease.commit(State.DONE, lease.round, [*events, NewEvent("done", {"reason": reason})])
    return True


def complete(
    context: Context,
    lease: Lease,
    video: Video,
    model: str,
    before: int | None = None,
    anew: Collection[int] = (),
) -> None:
    """Make what is missing of the masks and probabilities of a model.

    before: number of the event from which on labels are not to be used: they came after the others were made
    anew: frames to make again; their files stay until new ones take their place, whatever happens in between
    """
    masks, probabilities = context.layout.masks(video.id, model), context.layout.probabilities(video.id, model)
    missing = [
        index
        for index in range(video.frames)
        if index in anew or not (mask_file(masks, index).exists() and probabilities_file(probabilities, index).exists())
    ]
    if not missing:
        return
    it = _work(context, video, before)
    with _executor(context) as executor:
        parts = chunks(missing, executor.size)
        list(executor.run(partial(propagate_to, it, model), parts, beating(context, lease, "propagating")))


def _estimated_miou(context: Context, video: Video, model: str) -> float:
    """From what the propagation of every frame left beside its probabilities; leaves each frame's expected errors."""
    folder = context.layout.probabilities(video.id, model)
    ratio = error_ratio(read_undamaged(context.layout.model(video.id, model)))
    total = np.zeros((len(context.config.project.classes),) * 2)
    errors = np.zeros(video.frames, np.float32)
    for index in range(video.frames):
        confusion = read_arrays(probabilities_file(folder, index))["confusion"]
        total += confusion
        errors[index] = expected_errors(confusion, ratio)
    write_array(context.layout.frame_errors(video.id, model), errors)  # outlives the probabilities
    return estimated_miou(total, ratio)


def _drawing_every_frame(context: Context, video: Video, model: str) -> int:
    """Modelled clicks of drawing the masks of all frames from nothing, from at most so many of them evenly spaced."""
    classes, folder = len(context.config.project.classes), context.layout.masks(video.id, model)
    some = np.unique(np.linspace(0, video.frames - 1, min(video.frames, _FRAMES_PRICED)).round().astype(int))
    clicks = [frame_clicks(read_mask(mask_file(folder, index)), classes) for index in some]
    return round(float(np.mean(clicks)) * video.frames)


def read_probabilities(
    layout: Layout, video: str, model: str, frame: int
) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """(K, ceil(H / stride), ceil(W / stride)) float16 and the doubt, (ceil(H / stride), ceil(W / stride)) float16.

    As the propagation left them for the next selection.
    """
    file = read_arrays(probabilities_file(layout.probabilities(video, model), frame))
    return file["probabilities"], file["doubt"]


def _work(context: Context, video: Video, before: int | None = None) -> VideoWork:
    """With all labels so far; before: only those noted before the event of this number."""
    folder, rules = context.layout.video(video.id), context.config
    events = context.facts.events(video.id, "label")
    labels = labels_from_events(event for event in events if before is None or event.id < before)
    people = estimate_people(folder, labels, len(rules.project.classes)) if uses_reliability(rules.labeling) else None
    return VideoWork(context.layout, rules, video, labels, by_majority if people is None else people.consolidate)


def _executor(context: Context) -> AbstractContextManager[Executor]:
    threads = context.config.propagation.threads
    use_threads(threads)
    return executor_of(context.config.executor, threads)


def flow_files(context: Context, video: Video, frames: FrameFiles) -> FlowFiles:
    return flow_of(context.layout, context.config, video, frames)


def _previous_model(layout: Layout, video: str, model: str) -> bytes | None:
    path = layout.model(video, model) if model else None
    return read_undamaged(path) if path is not None and path.exists() else None


def _tidy(folder: Path, model: str) -> None:
    """Drop what nobody reads again: older probabilities, and what a killed run had half written."""
    for path in (folder / "probabilities").iterdir():
        if path.name != model:
            shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(folder / "scratch", ignore_errors=True)
    for half_written in folder.rglob(".*.part*"):
        half_written.unlink(missing_ok=True)
