"""The steps that choose: which frames of a video are worth asking about next, or that it is done."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from flows.context import Context, beating
from flows.frame_files import FrameFiles
from flows.learning import read_probabilities
from flows.rounds import asked, newest_model, stop_reason
from propagation.embeddings import embed
from selection.candidates import Candidates
from selection.strategies import strategy
from selection.uncertainty import entropy
from workspace.facts import Lease, NewEvent
from workspace.files import fingerprint, read_array, write_array
from workspace.sample import Sample
from workspace.states import State
from workspace.video import Video


def begin(context: Context, lease: Lease) -> bool:
    lease.commit(State.SELECTING, 1)
    return True


def select(context: Context, lease: Lease) -> bool:
    """Pick the round's samples. The event that names them is what counts: after a kill the same ones are picked."""
    began = time.monotonic()
    video = context.facts.video(lease.video).video
    settings = context.config.selection
    asked_frames = sorted({sample.frame for sample in asked(context.facts, video.id)})
    open_frames = np.setdiff1d(np.arange(video.frames), asked_frames)
    reason = stop_reason(context.facts, video, lease.round - 1, context.config.stopping)
    if reason is not None:
        lease.commit(State.DONE, lease.round - 1, [NewEvent("done", {"reason": reason})])
        return True
    embeddings = _embeddings(context, lease, video)
    candidates = Candidates(
        frame=open_frames,
        embedding=embeddings[open_frames],
        uncertainty=_uncertainty(context, lease, video, open_frames),
        frames=video.frames,
        asked_frame=np.array(asked_frames, np.int64),
        asked_embedding=embeddings[asked_frames],
    )
    # seeded by round, not by what ran before: a repeated selection is the same selection
    rng = np.random.default_rng([settings.seed, lease.round])
    picks = strategy(settings.strategy)(candidates, settings.budget, rng)
    samples = [Sample(int(open_frames[pick])) for pick in picks]
    payload = {
        "samples": [sample.key for sample in samples],
        "strategy": settings.strategy,
        "granularity": settings.granularity,
        "seed": settings.seed,
        "candidates": len(open_frames),
        "seconds": round(time.monotonic() - began, 3),
    }
    lease.commit(State.PUSHING, lease.round, [NewEvent("selected", payload)])
    return True


def reopen(context: Context, lease: Lease) -> bool:
    """A finished video goes on when its stopping rule was loosened and there are frames left."""
    video = context.facts.video(lease.video).video
    if stop_reason(context.facts, video, lease.round, context.config.stopping) is not None:
        return False
    lease.commit(State.SELECTING, lease.round + 1, [NewEvent("reopened", {})])
    return True


def _embeddings(context: Context, lease: Lease, video: Video) -> NDArray[np.float32]:
    """(frames, D) float32, computed once per backbone."""
    name = fingerprint(video.sha256, context.config.segmenter.model_dump())
    path = context.layout.video(video.id) / "embeddings" / f"{name}.npy"
    if not path.exists():
        beat = beating(context, lease, "embedding frames")
        write_array(
            path,
            embed(FrameFiles(context.layout, video), context.config.segmenter, context.config.propagation, beat),
        )
    return np.asarray(read_array(path), np.float32)


def _uncertainty(context: Context, lease: Lease, video: Video, frames: NDArray[np.int64]) -> NDArray[np.float32] | None:
    """Mean entropy of each frame's probabilities; None before the first propagation."""
    model = newest_model(context.facts, video.id)
    if not model:
        return None
    beat = beating(context, lease, "scoring frames")
    scores = np.empty(len(frames), np.float32)
    for n, frame in enumerate(frames):
        scores[n] = entropy(read_probabilities(context.layout, video.id, model, int(frame))).mean()
        beat((n + 1) / len(frames))
    return scores
