"""The steps that speak with people: push questions, wait, pull answers. Asked once, and no answer is lost."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from functools import lru_cache, partial

import numpy as np

from connectors.labeling_tool import Answer, Question
from flows.context import Context
from flows.labels import label_payload, labels_from_events
from flows.people import one_per_person, reliability_of
from flows.review_tasks import collect_reviews, open_reviews, push_again
from flows.rounds import IMPORTED_MODEL, asked_in, shown_model
from flows.superpixel_files import superpixel_file, superpixel_ids
from quality.agreement import disagreement
from selection.clicks import correcting_clicks, drawing_clicks, frame_clicks
from workspace.click_sequence import to_rows
from workspace.errors import UserError
from workspace.facts import Lease, NewEvent
from workspace.files import fingerprint, read_mask, write_image, write_json
from workspace.label import Label
from workspace.mask import UNKNOWN, MaskArray, check_mask
from workspace.sample import Sample, question_key
from workspace.states import State
from workspace.video import Video

_FRAMES_REMEMBERED = 4


def push(context: Context, lease: Lease) -> bool:
    """Ask the round's samples. Repeated after a kill it finds what it had already asked and asks only the rest."""
    video = context.facts.video(lease.video).video
    samples = asked_in(context.facts, lease.video, lease.round)
    model = shown_model(context.facts, lease.video, lease.round)
    context.show("asking", 0.0)
    new = context.tool.push(_questions(context, video, lease.round, samples, model), lease.check)
    lease.commit(
        State.WAITING,
        lease.round,
        [NewEvent("pushed", {"samples": [sample.key for sample in samples], "new": new, "model": model})],
    )
    return True


def wait(context: Context, lease: Lease) -> bool:
    """Go on once every sample of the round is answered, skipped or withdrawn (its task deleted by hand)."""
    keys = {question_key(lease.video, lease.round, s): s for s in asked_in(context.facts, lease.video, lease.round)}
    lease.check()  # the tool removes surplus tasks while it looks, which is a write to the outside
    progress = context.tool.progress(list(keys))
    context.show("waiting for people", len(progress.answered) / max(len(keys), 1))
    labeled = _labeled(context, lease) if progress.gone else set()
    withdrawn = [
        NewEvent("withdrawn", {"sample": keys[key].key}, dedupe=f"withdrawn/{key}")
        for key in sorted(progress.gone)
        if keys[key].key not in labeled
    ]
    asked_more = ask_where_people_disagree(context, lease, {k: keys[k] for k in progress.answered})
    if progress.open or asked_more:
        if withdrawn:
            lease.record(withdrawn)
        return False
    lease.commit(State.PULLING, lease.round, withdrawn)
    return True


def ask_where_people_disagree(context: Context, lease: Lease, answered: Mapping[str, Sample]) -> int:
    """Ask one more person about each answered sample on which people disagree too much; returns about how many.

    Each sample is judged once per number of opinions; the judgement is an `agreement` event. Killed between the asking
    and the event it judges again and asks nobody twice: a tool opens a question for as many people as it is told, once.
    """
    unsettled = to_be_judged(context, lease.video, lease.round, answered)
    if not unsettled:
        return 0
    rules = context.config.labeling
    asked_before = {
        (event.payload["sample"], event.payload["opinions"])
        for event in context.facts.events(lease.video, "agreement")
        if event.round == lease.round and event.payload["asked_more"]
    }
    lease.record(collect(context, lease, unsettled))
    labels = labels_from_events(e for e in context.facts.events(lease.video, "label") if e.round == lease.round)
    folder, judged, more = context.layout.video(lease.video), [], []
    for sample in unsettled.values():
        of_sample = one_per_person([label for label in labels if label.sample == sample])
        masks = [read_mask(folder / label.file) for label in of_sample if label.file is not None]
        differing, opinions = disagreement(masks), len(of_sample)
        again = (
            sample.key,
            opinions,
        ) in asked_before  # the tool counts as an opinion what we do not: never wait for it
        ask = differing > rules.max_disagreement and opinions < rules.overlap + rules.extra_opinions and not again
        if ask:
            more.append((sample, opinions + 1))
        payload = {"sample": sample.key, "opinions": opinions, "disagreement": round(differing, 4), "asked_more": ask}
        named = f"agreement/{lease.video}/{lease.round}/{sample.key}/{opinions}/{ask}"
        judged.append(NewEvent("agreement", payload, named))
    video = context.facts.video(lease.video).video
    model = shown_model(context.facts, lease.video, lease.round)
    questions = _questions(context, video, lease.round, [sample for sample, _ in more], model)
    wanted = dict(more)
    context.tool.push((replace(q, opinions=wanted[q.sample]) for q in questions), lease.check)
    lease.record(judged)
    return len(more)


def to_be_judged(context: Context, video: str, round_number: int, answered: Mapping[str, Sample]) -> dict[str, Sample]:
    """Of the answered samples those not yet judged, whether people agree; none where that does not matter."""
    if context.config.labeling.overlap < 2 or context.config.labeling.extra_opinions < 1:
        return {}
    settled = {
        event.payload["sample"]
        for event in context.facts.events(video, "agreement")
        if event.round == round_number and not event.payload["asked_more"]
    }
    return {key: sample for key, sample in answered.items() if sample.key not in settled}


def pull(context: Context, lease: Lease) -> bool:
    """Store every answer of the round, then fit; or select again if nobody labeled anything so far."""
    lease.record(collect(context, lease))
    lease.record(collect_reviews(context, lease)[0])
    labeled = any(event.payload["known_pixels"] for event in context.facts.events(lease.video, "label"))
    found = reliability_of(context.layout.videos, context.facts, lease.video, len(context.config.project.classes))
    events = [NewEvent("reliability", {"annotators": found})] if found else []
    if labeled:
        lease.commit(State.REVIEWING if context.config.review.before_training else State.FITTING, lease.round, events)
    else:
        lease.commit(State.SELECTING, lease.round + 1, events)
    return True


def collect(context: Context, lease: Lease, only: Mapping[str, Sample] | None = None) -> list[NewEvent]:
    """Write masks and raw records of the answers that are in, and return the events that make them facts.

    `only`: the samples to look at, by key; all of the round by default.
    """
    video = context.facts.video(lease.video).video
    samples = asked_in(context.facts, lease.video, lease.round)
    model = shown_model(context.facts, lease.video, lease.round)
    keys = {question_key(lease.video, lease.round, sample): sample for sample in samples} if only is None else only
    events = []
    lease.check()
    for number, answer in enumerate(context.tool.pull(list(keys)), start=1):
        if answer.key not in keys:
            raise UserError(f"The labeling tool sent an answer to {answer.key!r}, which was not asked in this round.")
        lease.beat()
        events.append(_store(context, video, lease.round, keys[answer.key], answer, model))
        context.show("pulling", min(number / len(keys), 1.0))
    return events


def _questions(
    context: Context, video: Video, round_number: int, samples: list[Sample], model: str
) -> Iterator[Question]:
    # hundreds of patches may lie in a few frames: their prediction is read once
    shown = lru_cache(maxsize=_FRAMES_REMEMBERED)(partial(_shown, context, video, model))
    for sample in samples:
        yield Question(
            key=question_key(video.id, round_number, sample),
            video=video.id,
            video_name=video.name,
            round=round_number,
            sample=sample,
            image=context.layout.frame(video, sample.frame),
            height=video.height,
            width=video.width,
            prediction=shown(sample.frame),
            model=model,
            superpixels=superpixel_file(context, video, sample),
            opinions=context.config.labeling.overlap,
        )


def _shown(context: Context, video: Video, model: str, frame: int) -> MaskArray | None:
    """The prediction that goes with a question; None in the first round, if none was imported for the frame."""
    path = context.layout.masks(video.id, model) / f"{frame:06d}.png"
    if not model or (model.startswith(IMPORTED_MODEL) and not path.exists()):
        return None
    return read_mask(path)


def _store(context: Context, video: Video, round_number: int, sample: Sample, answer: Answer, model: str) -> NewEvent:
    folder = context.layout.video(video.id)
    # the name says what is inside: an annotation corrected later gets a file of its own, and the log's last one counts
    content = fingerprint(
        answer.key, answer.annotation, answer.mask if answer.mask is not None else b"", answer.skipped
    )
    stem = f"r{round_number:02d}.{sample.key}.{re.sub(r'[^A-Za-z0-9_-]', '-', answer.annotation)[:40]}.{content[:8]}"
    write_json(folder / "answers" / f"{stem}.json", answer.raw)
    file, known, clicks = None, 0, {"drawing": 0, "correcting": 0}
    if answer.mask is not None:
        mask = check_mask(answer.mask, video.height, video.width, len(context.config.project.classes))
        ids = superpixel_ids(context, video, sample)
        # what somebody painted beside the sample was not asked for, and not looked at by the click model
        mask = np.where(sample.region(video.height, video.width, ids), mask, np.uint8(UNKNOWN))
        file, known = f"labels/{stem}.png", int((mask != UNKNOWN).sum())
        write_image(folder / file, mask)
        shown = _shown(context, video, model, sample.frame)
        if shown is None:
            shown = np.full_like(mask, UNKNOWN)
        drawing = drawing_clicks(mask, len(context.config.project.classes), sample, ids)
        if sample.superpixel is not None and len(np.unique(mask[mask != UNKNOWN])) > 1:
            # one click said that it has several classes, and then they were painted
            drawing = 1 + frame_clicks(mask, len(context.config.project.classes))
        clicks = {
            "drawing": drawing,
            "correcting": correcting_clicks(shown, mask, mask != UNKNOWN, drawing),
        }
    label = Label(
        sample, round_number, answer.annotation, answer.annotator, file, answer.skipped, answer.seconds, known
    )
    payload = label_payload(label) | {
        "clicks": clicks,
        "changed_regions": answer.changed_regions,
        "finished_at": answer.finished_at,
        "effort": None if answer.effort is None else asdict(answer.effort),
    }
    # an effort that was counted after the answer had been pulled makes a new version of it, and so do clicks
    counted = "" if answer.effort is None else f"/{fingerprint(asdict(answer.effort))[:8]}"
    if answer.clicked:
        payload["clicked"] = [to_rows(sequence) for sequence in answer.clicked]
        counted += f"/{fingerprint(payload['clicked'])[:8]}"
    return NewEvent("label", payload, dedupe=f"label/{answer.key}/{answer.annotation}/{content}{counted}")


def pull_early(context: Context) -> Iterator[str]:
    """Make facts of the answers that are in, for every video that waits; a line per video."""
    for lease in _waiting(context):
        yield f"{lease.video}: {lease.record(collect(context, lease))} new answer(s) stored"


def ask_again(context: Context) -> Iterator[str]:
    """Ask the open samples of every waiting video once more, for a labeling project that is new and empty.

    Answers that were pulled before stay, and their samples are not asked again.
    """
    for lease in _waiting(context):
        video = context.facts.video(lease.video).video
        labeled = _labeled(context, lease)
        samples = [s for s in asked_in(context.facts, lease.video, lease.round) if s.key not in labeled]
        model = shown_model(context.facts, lease.video, lease.round)
        new = context.tool.push(_questions(context, video, lease.round, samples, model), lease.check)
        lease.record([NewEvent("asked_again", {"samples": [sample.key for sample in samples], "new": new})])
        yield f"{lease.video}: {new} sample(s) asked again"
    for lease in _of_state(context, *State):
        if open_reviews(context, lease.video):
            yield f"{lease.video}: {push_again(context, lease)} review(s) asked again"


def _waiting(context: Context) -> Iterator[Lease]:
    """The lease of every waiting video that nobody else is working on; given back after each turn."""
    return _of_state(context, State.WAITING)


def _of_state(context: Context, *states: State) -> Iterator[Lease]:
    for row in context.facts.videos():
        lease = context.facts.claim(row.video.id, context.config.lease.seconds) if row.state in states else None
        if lease is not None:
            try:
                if lease.state in states:
                    yield lease
            finally:
                lease.release()


def _labeled(context: Context, lease: Lease) -> set[str]:
    """Sample keys of the round that have an answer in the log already."""
    labels = context.facts.events(lease.video, "label")
    return {event.payload["sample"] for event in labels if event.round == lease.round}
