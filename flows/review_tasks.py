"""Labels that look wrong go to people again, and what they say goes back into the labels: once, with history kept."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from connectors.labeling_tool import Answer, LabelingTool, Question
from flows.context import Context, beating
from flows.labels import LabelSet, label_payload, labels_from_events
from flows.superpixel_files import superpixel_ids
from selection.clicks import correcting_clicks, frame_clicks
from workspace.errors import UserError
from workspace.facts import Lease, NewEvent
from workspace.files import fingerprint, read_mask, write_image, write_json
from workspace.label import Label
from workspace.mask import UNKNOWN, MaskArray, check_mask
from workspace.sample import Sample
from workspace.states import State
from workspace.video import Video

ACCEPT, CORRECT, REJECT = "accept", "correct", "reject"


@dataclass(frozen=True, slots=True)
class Review:
    """One frame whose labels are looked at again. `number`: of the batch it was asked in, from 1 in each video.

    `reason`: why, in words;  `replaces`: round, sample key, annotation and source of every label that was shown
    """

    number: int
    round: int
    frame: int
    reason: str
    replaces: tuple[tuple[int, str, str, str], ...]

    def key(self, video: str) -> str:
        return f"{video}/review-{self.number}/{Sample(self.frame).key}"


def review(context: Context, lease: Lease) -> bool:
    """The step between pull and fit, where `review.before_training` is set: ask once, then wait for the answers."""
    name = f"review_asked/{lease.video}/{lease.round}"
    if not any(event.payload.get("name") == name for event in context.facts.events(lease.video, "review_asked")):
        ask_reviews(context, lease, suspicious(context, lease), name)
    push_open(context, lease)
    events, waiting = collect_reviews(context, lease)
    if waiting:
        lease.record(events)
        return False
    lease.commit(State.FITTING, lease.round, events)
    return True


def has_news(context: Context, video: str, round_number: int) -> bool:
    """Whether `review` would do anything now, found out without the lease."""
    name = f"review_asked/{video}/{round_number}"
    if not any(event.payload.get("name") == name for event in context.facts.events(video, "review_asked")):
        return True
    pushed = {event.payload["number"] for event in context.facts.events(video, "review_pushed")}
    waiting = open_reviews(context, video)
    if any(item.number not in pushed for item in waiting) or not waiting:
        return True
    return not _tool(context).progress([item.key(video) for item in waiting]).open


def suspicious(context: Context, lease: Lease) -> list[tuple[int, str]]:
    """Frame and reason of the labels to look at again, the worst first: with a reason, and not looked at since."""
    # with torch; whoever only asks and waits does without
    from flows.flow_method import flow_method
    from flows.frame_files import FlowFiles, FrameFiles
    from flows.reviewing import video_to_review

    video = context.facts.video(lease.video).video
    folder, compute = flow_method(context.config.propagation)
    flow = FlowFiles(context.layout.flow(video.id) / folder, FrameFiles(context.layout, video), compute)
    names = context.config.project.class_names
    found = video_to_review(
        context.layout, context.facts, video, flow, len(names), None, context.config.propagation,
        beating(context, lease, "looking for wrong labels"),
    )  # fmt: skip
    if found is None:
        return []
    fresh = {
        event.sample.frame
        for event in labels_from_events(context.facts.events(video.id, "label"))
        if not event.annotation.startswith("review-")
    }
    chosen = [
        (int(found.frames[position]), found.reason(position, names))
        for position in found.found.order.tolist()
        if found.found.strongest[position] and int(found.frames[position]) in fresh
    ]
    return chosen[: context.config.review.samples]


def ask_reviews(context: Context, lease: Lease, frames: Sequence[tuple[int, str]], name: str | None = None) -> int:
    """Note that these frames are to be reviewed, with their reasons; `push_open` asks. Returns how many.

    Frames that wait for a review already are left out. name: two batches of one name are one.
    """
    waiting = {item.frame for item in open_reviews(context, lease.video)}
    number = 1 + sum(1 for _ in context.facts.events(lease.video, "review_asked"))
    labels = LabelSet(context.layout.video(lease.video), labels_from_events(context.facts.events(lease.video, "label")))
    sources = {
        (event.round, event.payload["sample"], event.payload["annotation"]): str(event.payload.get("source", ""))
        for event in context.facts.events(lease.video, "label")
    }
    rows = []
    for frame, reason in frames:
        if frame in waiting or frame not in labels:
            continue
        write_image(_shown_file(context, lease.video, number, frame), labels[frame])
        replaces = [
            [label.round, label.sample.key, label.annotation, sources[label.round, label.sample.key, label.annotation]]
            for label in labels.of_frame(frame)
        ]
        rows.append({"frame": frame, "reason": reason, "replaces": replaces})
    if rows or name is not None:
        payload = {"number": number, "name": name, "frames": rows}
        lease.record([NewEvent("review_asked", payload, dedupe=name or f"review_asked/{lease.video}#{number}")])
    return len(rows)


def ask_by_hand(context: Context, video: str, frames: Sequence[tuple[int, str]]) -> str:
    """Ask about these frames now, whatever state the video is in; one line that says what happened."""
    lease = context.facts.claim(video, context.config.lease.seconds)
    if lease is None:
        return f"{video}: another process is at it, or it is held; nobody was asked."
    try:
        asked = ask_reviews(context, lease, frames)
        push_open(context, lease)
    finally:
        lease.release()
    waiting = [item.key(video) for item in open_reviews(context, video)]
    return f"{video}: {asked} label(s) to look at again, {len(waiting)} open: {_tool(context).link(waiting)}"


def push_open(context: Context, lease: Lease) -> int:
    """Put what was noted into the tool, each once: after a kill the rest only. Returns how many are new."""
    pushed = {event.payload["number"] for event in context.facts.events(lease.video, "review_pushed")}
    return _push(context, lease, [item for item in open_reviews(context, lease.video) if item.number not in pushed])


def push_again(context: Context, lease: Lease) -> int:
    """Ask everything that is open once more, for a labeling project that is new and empty."""
    return _push(context, lease, open_reviews(context, lease.video))


def open_reviews(context: Context, video: str) -> list[Review]:
    """Asked, and without a verdict so far."""
    done = {(event.payload["number"], event.payload["frame"]) for event in context.facts.events(video, "reviewed")}
    return [item for item in every_review(context, video) if (item.number, item.frame) not in done]


def every_review(context: Context, video: str) -> list[Review]:
    return [
        Review(
            event.payload["number"], event.round, row["frame"], row["reason"],
            tuple((int(r), str(s), str(a), str(source)) for r, s, a, source in row["replaces"]),
        )
        for event in context.facts.events(video, "review_asked")
        for row in event.payload["frames"]
    ]  # fmt: skip


def collect_reviews(context: Context, lease: Lease) -> tuple[list[NewEvent], int]:
    """The events of the verdicts that are in, and how many reviews still wait.

    Those of this round are read again: a verdict that was changed later makes a new version of the label.
    """
    unsettled = {item.key(lease.video) for item in open_reviews(context, lease.video)}
    looked_at = {
        item.key(lease.video): item
        for item in every_review(context, lease.video)
        if item.round == lease.round or item.key(lease.video) in unsettled
    }
    if not looked_at:
        return [], 0
    tool = _tool(context)
    lease.check()
    progress = tool.progress(list(looked_at))
    video = context.facts.video(lease.video).video
    events = [
        NewEvent("reviewed", _verdict(looked_at[key], "withdrawn"), dedupe=f"reviewed/{key}/withdrawn")
        for key in sorted(progress.gone & unsettled)
    ]
    for answer in tool.pull(sorted(progress.answered)):
        lease.beat()
        events += _told(context, video, looked_at[answer.key], answer)
    return events, len(progress.open)


def pull_reviews(context: Context) -> Iterator[str]:
    """Make facts of the verdicts that are in, for every video with open reviews; a line per video."""
    for row in context.facts.videos():
        if not open_reviews(context, row.video.id):
            continue
        lease = context.facts.claim(row.video.id, context.config.lease.seconds)
        if lease is None:
            continue
        try:
            push_open(context, lease)
            events, waiting = collect_reviews(context, lease)
            lease.record(events)
            done = sum(event.kind == "reviewed" for event in events)
            yield f"{lease.video}: {done} review(s) in, {waiting} open"
        finally:
            lease.release()


def _push(context: Context, lease: Lease, items: Sequence[Review]) -> int:
    if not items:
        return 0
    video = context.facts.video(lease.video).video
    questions = (_question(context, video, item) for item in items)
    new = _tool(context).push(questions, lease.check)
    lease.record(
        [
            NewEvent("review_pushed", {"number": number}, dedupe=f"review_pushed/{lease.video}/{number}")
            for number in sorted({item.number for item in items})
        ]
    )
    return new


def _question(context: Context, video: Video, item: Review) -> Question:
    return Question(
        key=item.key(video.id),
        video=video.id,
        video_name=video.name,
        round=item.round,
        sample=Sample(item.frame),
        image=context.layout.frame(video, item.frame),
        height=video.height,
        width=video.width,
        prediction=read_mask(_shown_file(context, video.id, item.number, item.frame)),
        note=f"Is this label right?  {item.reason}",
    )


def _told(context: Context, video: Video, item: Review, answer: Answer) -> Iterator[NewEvent]:
    """The verdict, and a new version of every label that was shown: unchanged, corrected, or none any more."""
    folder = context.layout.video(video.id)
    content = fingerprint(answer.annotation, answer.mask if answer.mask is not None else b"", answer.verdict)[:8]
    annotation = f"review-{re.sub(r'[^A-Za-z0-9_-]', '-', answer.annotation)[:40]}"
    stem = f"r{item.round:02d}.{Sample(item.frame).key}.{annotation}.{content}"
    write_json(folder / "answers" / f"{stem}.json", answer.raw)
    if answer.skipped or (answer.mask is None and answer.verdict != REJECT):
        yield NewEvent("reviewed", _verdict(item, "skipped", answer), f"reviewed/{answer.key}/{content}")
        return
    classes = len(context.config.project.classes)
    shown = read_mask(_shown_file(context, video.id, item.number, item.frame))
    drawn = shown if answer.mask is None else check_mask(answer.mask, video.height, video.width, classes)
    changed = not np.array_equal(drawn, shown)
    # what was painted counts, whichever button stands beside it
    verdict = REJECT if answer.verdict == REJECT else CORRECT if changed else ACCEPT
    drawing = frame_clicks(drawn, classes)
    correcting = correcting_clicks(shown, drawn, drawn != UNKNOWN, drawing) if verdict == CORRECT else 1
    for place, (round_number, key, source) in enumerate(dict.fromkeys((r, s, src) for r, s, _, src in item.replaces)):
        sample = Sample.parse(key)
        file, known = None, 0
        if verdict != REJECT:
            region = sample.region(video.height, video.width, superpixel_ids(context, video, sample))
            part: MaskArray = np.where(region, drawn, np.uint8(UNKNOWN))
            file, known = f"labels/r{round_number:02d}.{key}.{annotation}.{content}.png", int((part != UNKNOWN).sum())
            write_image(folder / file, part)
        label = Label(sample, round_number, annotation, answer.annotator, file, file is None, answer.seconds, known)
        replaced = [a for r, s, a, _ in item.replaces if (r, s) == (round_number, key)]
        payload = label_payload(label) | {
            # the frame was looked at once, however many samples lie in it
            "clicks": {"drawing": 0 if place else drawing, "correcting": 0 if place else correcting},
            "changed_regions": answer.changed_regions,
            "finished_at": answer.finished_at,
            "effort": None,
            "review": {"number": item.number, "verdict": verdict, "replaces": replaced},
        }
        if source:
            payload["source"] = source
        yield NewEvent(
            "label", payload, f"label/{answer.key}/{annotation}/{content}/{round_number}/{key}", round_number
        )
    yield NewEvent("reviewed", _verdict(item, verdict, answer), f"reviewed/{answer.key}/{content}")


def _verdict(item: Review, verdict: str, answer: Answer | None = None) -> dict[str, object]:
    payload: dict[str, object] = {"number": item.number, "frame": item.frame, "verdict": verdict, "reason": item.reason}
    if answer is not None:
        payload |= {"annotator": answer.annotator, "seconds": round(answer.seconds, 3)}
    return payload


def _shown_file(context: Context, video: str, number: int, frame: int) -> Path:
    return context.layout.video(video) / "reviews" / f"{number:04d}.{Sample(frame).key}.png"


def _tool(context: Context) -> LabelingTool:
    if context.reviews is None:
        raise UserError(
            "Nobody can be asked to review labels here.", "Set label_studio.url, or start `fewclicks serve`."
        )
    return context.reviews
