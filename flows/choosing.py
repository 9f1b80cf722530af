"""The steps that choose: which samples of a video are worth asking about next, or that it is done."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flows.budgets import allowance
from flows.context import Context, beating
from flows.embedding_files import asked_embeddings, frame_embeddings, sample_embeddings
from flows.frame_files import FrameFiles, ScratchFiles
from flows.learning import flow_files
from flows.prices import prices, repriced
from flows.rounds import asked, newest_model, stop_reason
from flows.scoring import ScoredFrame, scored_frames
from selection.candidates import Candidates
from selection.gain import greedy_gain
from selection.granularity import FRAME, MIXED, MIXTURE, first_frames
from selection.strategies import EMBEDDED, UNSCORED, gain_per_click, strategy
from workspace.errors import UserError
from workspace.facts import Lease, NewEvent
from workspace.sample import Granularity, Sample
from workspace.states import State
from workspace.video import Video

_CANDIDATES_IN_ALL = 1_000_000  # held at once, 0.25 GB with embeddings; in longer videos each frame offers its best
# Of what patches promise per click: the best of thousands are those that were judged too kindly, which the mean of
# whole frames is not. Measured: 63 % of the promised error for two thirds of the expected clicks on one street; on
# objects before a background, patches that promised 1.1 times as much as frames made the masks a little worse.
_PATCHES_KEEP = 0.8


@dataclass(frozen=True, slots=True)
class Choice:
    """What a round asks for.

    candidates: how many there were to choose from;  expected_clicks: of all samples, before they were corrected by what
    earlier answers had cost; None without a model
    """

    samples: list[Sample]
    granularity: str
    candidates: int
    expected_clicks: float | None = None


def begin(context: Context, lease: Lease) -> bool:
    """Ask first, or learn first from labels that were imported."""
    if any(event.payload["known_pixels"] for event in context.facts.events(lease.video, "label")):
        lease.commit(State.FITTING, lease.round)
    else:
        lease.commit(State.SELECTING, 1)
    return True


def select(context: Context, lease: Lease) -> bool:
    """Pick the round's samples. The event that names them is what counts: after a kill the same ones are picked."""
    began = time.monotonic()
    video = context.facts.video(lease.video).video
    settings = context.config.selection
    check_tool(context)
    reason = stop_reason(context.facts, video, lease.round - 1, context.config.stopping)
    if reason is not None:
        lease.commit(State.DONE, lease.round - 1, [NewEvent("done", {"reason": reason})])
        return True
    left = allowance(context)
    if not context.may_select or left == 0:
        return False  # another video's turn, or another day
    choice = (
        samples_with_model(context, lease, video)
        if newest_model(context.facts, video.id)
        else _first(context, lease, video)
    )
    if not choice.samples:
        nothing_left = {"reason": "everything was asked about", "exhausted": True}
        lease.commit(State.DONE, lease.round - 1, [NewEvent("done", nothing_left)])
        return True
    payload = {
        "samples": [sample.key for sample in choice.samples[:left]],
        "strategy": settings.strategy,
        "granularity": choice.granularity,
        "seed": settings.seed,
        "candidates": choice.candidates,
        "expected_clicks": choice.expected_clicks,
        "seconds": round(time.monotonic() - began, 3),
    }
    lease.commit(State.PUSHING, lease.round, [NewEvent("selected", payload)])
    return True


def reopen(context: Context, lease: Lease) -> bool:
    """A finished video goes on when its stopping rule was loosened and there is something left to ask."""
    video = context.facts.video(lease.video).video
    if stop_reason(context.facts, video, lease.round, context.config.stopping) is not None:
        return False
    lease.commit(State.SELECTING, lease.round + 1, [NewEvent("reopened", {})])
    return True


def check_tool(context: Context) -> None:
    """UserError, before anybody is asked, if the labeling tool cannot ask about samples of the chosen granularity."""
    wanted = context.config.selection.granularity
    kinds = {Granularity.FRAME, Granularity.PATCH} if wanted == MIXED else {Granularity(wanted.split(":")[0])}
    if not kinds <= context.tool.granularities:
        can = ", ".join(sorted(context.tool.granularities))
        raise UserError(
            f"selection.granularity is {wanted!r}, but the labeling tool of this project asks about: {can}.",
            f"Set selection.granularity to {can}.",
        )


def _first(context: Context, lease: Lease, video: Video) -> Choice:
    """Whole frames, diverse or spread over time: there is no model yet that could tell one patch from another."""
    settings = context.config.selection
    budget = first_frames(settings.budget, settings.granularity, video.height, video.width, settings.superpixel_size)
    asked_frames = np.array(sorted({sample.frame for sample in asked(context.facts, video.id)}), np.int64)
    open_frames = np.setdiff1d(np.arange(video.frames), asked_frames)
    embeddings = frame_embeddings(context, lease, video)
    candidates = Candidates(
        frame=open_frames,
        embedding=embeddings[open_frames],
        frames=video.frames,
        asked_frame=asked_frames,
        asked_embedding=embeddings[asked_frames],
    )
    picks = strategy(settings.strategy)(candidates, budget, _rng(context, lease))
    return Choice([Sample(int(open_frames[pick])) for pick in picks], FRAME, len(open_frames))


def samples_with_model(context: Context, lease: Lease, video: Video) -> Choice:
    """By what the newest masks and probabilities say about every open sample."""
    settings = context.config.selection
    names: tuple[str, ...] = MIXTURE if settings.granularity == MIXED else (settings.granularity,)
    asked_of: dict[int, list[Sample]] = {}
    for sample in sorted(asked(context.facts, video.id), key=lambda sample: sample.key):
        asked_of.setdefault(sample.frame, []).append(sample)
    offered, seen = _offers(context, lease, video, names, asked_of)
    offers, factors = repriced(offered, prices(context.facts, video.id))
    if settings.granularity != MIXED:
        name = settings.granularity
        candidates = _candidates(context, lease, video, name, offers[name], asked_of)
        picks = strategy(settings.strategy)(candidates, settings.budget, _rng(context, lease))
        return _choice(offers[name], picks, name, seen[name], factors[name])
    name, picks = _best_granularity(offers, _frame_clicks(offers) * settings.budget)
    if strategy(settings.strategy) is not gain_per_click:
        candidates = _candidates(context, lease, video, name, offers[name], asked_of)
        picks = strategy(settings.strategy)(candidates, len(picks), _rng(context, lease))
    return _choice(offers[name], picks, name, seen[name], factors[name])


def _choice(offered: list[ScoredFrame], picks: NDArray[np.int64], name: str, seen: int, factor: float) -> Choice:
    cost = np.concatenate([scored.scores.cost for scored in offered]) if offered else np.zeros(0, np.float32)
    return Choice(_samples(offered, picks), name, seen, round(float(cost[picks].sum()) / factor, 1))


def _offers(
    context: Context, lease: Lease, video: Video, names: tuple[str, ...], asked_of: dict[int, list[Sample]]
) -> tuple[dict[str, list[ScoredFrame]], dict[str, int]]:
    """Per granularity, the frames with their open samples, and how many there were before each frame kept its best."""
    most = max(1, _CANDIDATES_IN_ALL // (video.frames * len(names)))
    rng = _rng(context, lease)
    scratch = ScratchFiles(context.layout.video(video.id) / "scratch" / f"selecting-{lease.round:02d}")
    flow = flow_files(context, video, FrameFiles(context.layout, video))
    model = newest_model(context.facts, video.id)
    offers: dict[str, list[ScoredFrame]] = {name: [] for name in names}
    seen = dict.fromkeys(names, 0)
    beat = beating(context, lease, "scoring samples")
    for of_frame in scored_frames(context, video, model, asked_of, names, flow, scratch, beat):
        for name, scored in of_frame.items():
            seen[name] += len(scored.scores.gain)
            offers[name].append(_thinned(scored, most, context.config.selection.strategy, rng))
    scratch.clear()
    return offers, seen


def _thinned(scored: ScoredFrame, most: int, name: str, rng: np.random.Generator) -> ScoredFrame:
    count = len(scored.scores.gain)
    if count <= most:
        return scored
    if name in UNSCORED:
        rows = rng.choice(count, most, replace=False)
    else:
        worth = scored.scores.gain / scored.scores.cost if name == "gain_per_click" else scored.scores.uncertainty
        rows = np.argsort(-worth, kind="stable")[:most]
    return scored.only(np.sort(rows))


def _best_granularity(offers: dict[str, list[ScoredFrame]], clicks: float) -> tuple[str, NDArray[np.int64]]:
    """The granularity whose greedy picks promise the most gain for about the same clicks, and these picks."""
    promised = {}
    for name, frames in offers.items():
        frame, box, gain, _, motion, cost = _columns(frames)
        picks = greedy_gain(frame, box, motion, gain, cost, max(1, int(clicks)), clicks, _mend(frames))
        spent = float(cost[picks.index].sum())
        # the last sample may not fit in, or a single frame cost more than the clicks: compare what a click buys
        promised[name] = (float(picks.gain.sum()) / spent if spent else 0.0, picks.index)
    keeps = {name: 1.0 if name == FRAME else _PATCHES_KEEP for name in promised}
    best = max(promised, key=lambda name: promised[name][0] * keeps[name])  # ties to the coarser
    return best, promised[best][1]


def _frame_clicks(offers: dict[str, list[ScoredFrame]]) -> float:
    """Expected clicks of a whole frame, on average; 0 if none is left to ask."""
    cost = np.concatenate([scored.scores.cost for scored in offers[FRAME]])
    return float(cost.mean()) if len(cost) else 0.0


def _candidates(
    context: Context,
    lease: Lease,
    video: Video,
    name: str,
    offered: list[ScoredFrame],
    asked_of: dict[int, list[Sample]],
) -> Candidates:
    frame, box, gain, uncertainty, motion, cost = _columns(offered)
    asked_frame = np.array([frame for frame, samples in asked_of.items() for _ in samples], np.int64)
    embedding: NDArray[np.float32] = np.zeros((len(frame), 0), np.float32)
    before: NDArray[np.float32] = np.zeros((len(asked_frame), 0), np.float32)
    if context.config.selection.strategy in EMBEDDED and name == FRAME:
        table = frame_embeddings(context, lease, video)
        embedding, before = table[frame], table[asked_frame]
    elif context.config.selection.strategy in EMBEDDED:
        embedding = sample_embeddings(context, lease, video, frame, box)
        asked_frame, before = asked_embeddings(context, lease, video, name, asked_of)
    return Candidates(
        frame=frame,
        embedding=embedding,
        uncertainty=uncertainty,
        gain=gain,
        cost=cost,
        box=box,
        motion=motion,
        mend=_mend(offered),
        frames=video.frames,
        asked_frame=asked_frame,
        asked_embedding=before,
    )


def _columns(
    frames: list[ScoredFrame],
) -> tuple[
    NDArray[np.int64],
    NDArray[np.int64],
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.float32],
]:
    """Frame, box, gain, uncertainty, motion and cost of all samples, in order."""
    number = np.repeat([scored.frame for scored in frames], [len(scored.scores.gain) for scored in frames])
    box = np.concatenate([scored.scores.box for scored in frames])
    gain, uncertainty, motion, cost = (
        np.concatenate([getattr(scored.scores, column) for scored in frames])
        for column in ("gain", "uncertainty", "motion", "cost")
    )
    return number.astype(np.int64), box, gain, uncertainty, motion, cost


def _mend(frames: list[ScoredFrame]) -> NDArray[np.float32]:
    """Per sample, in the order of `_columns`."""
    return np.repeat([scored.mend for scored in frames], [len(scored.scores.gain) for scored in frames]).astype(
        np.float32
    )


def _samples(frames: list[ScoredFrame], picks: NDArray[np.int64]) -> list[Sample]:
    """The picks in the order in which they are asked: parts of one frame together, frames as they were picked."""
    starts = np.concatenate([[0], np.cumsum([len(scored.scores.gain) for scored in frames])])
    at = np.searchsorted(starts, picks, side="right") - 1
    samples = [frames[n].sample(int(pick - starts[n])) for n, pick in zip(at.tolist(), picks.tolist(), strict=True)]
    whole = all(sample.granularity is Granularity.FRAME for sample in samples)
    return samples if whole else sorted(samples, key=lambda sample: sample.key)


def _rng(context: Context, lease: Lease) -> np.random.Generator:
    """Seeded by round, not by what ran before: a repeated selection is the same selection."""
    return np.random.default_rng([context.config.selection.seed, lease.round])
