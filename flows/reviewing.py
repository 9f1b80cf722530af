"""Which labels of a video are worth a second look: signs from flow, from a model and from other annotators, in one
order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from flows.frame_files import FrameFiles
from flows.labels import LabelSet, labels_from_events, latest_versions
from propagation.held_out import opinions, witnesses
from propagation.sources import FlowSource, FrameSource
from quality.care_model import SHIPPED
from quality.contradiction import Contradictions, above_usual, contradictions, hidden_contradictions, uncovered, unusual
from quality.review_order import ReviewOrder, review_order
from quality.scores import confusion, miou
from quality.suspicion import Regions, Sign, disbelief, doubts, regions_of, shift
from workspace.click_sequence import from_rows
from workspace.config import PropagationConfig, SegmenterConfig
from workspace.facts import Event, Facts
from workspace.files import read_mask
from workspace.label import Label
from workspace.layout import Layout
from workspace.mask import UNKNOWN, MaskArray
from workspace.sample import Sample
from workspace.video import Video

Beat = Callable[[float], None]

CONTRADICTION, SHIFT, DOUBT, ANNOTATORS, CLICKS = "contradiction", "shift", "doubt", "annotators", "clicks"
# deviations: a contour beside its place, a model alone, or how somebody clicked, is not the worst
MOST = {SHIFT: 3.0, DOUBT: 4.0, CLICKS: 3.0}


@dataclass(frozen=True, slots=True, eq=False)
class ToReview:
    """Labeled frames in the order in which to look at them.

    frames: (N,);  found: as `review_order` gives it, over the positions in `frames`;  signs: per kind one for each
    """

    frames: NDArray[np.int64]
    found: ReviewOrder
    signs: Mapping[str, tuple[Sign, ...]]

    def reason(self, position: int, classes: tuple[str, ...]) -> str:
        """Why the label at `position` of `frames` is suspicious, in words."""
        kind = self.found.strongest[position]
        if kind == ANNOTATORS:
            return "the annotators disagree"
        if kind == CLICKS:
            return "clicked as hasty work is"
        if not kind:
            return "nothing unusual"
        sign = self.signs[kind][position]
        y, x, height, width = sign.box
        where = f"at x {x}, y {y}, {width}x{height} px"
        name, instead = (classes[k] if k < len(classes) else "nothing" for k in (sign.class_id, sign.instead))
        if kind == CONTRADICTION:
            return f"{name} {where}: the labels before and after say {instead} ({sign.share:.0%} of it)"
        if kind == SHIFT:
            return f"{name} {where}: lies beside where the labels before and after have it"
        return f"{name} {where}: the model believes something else"


def to_review(
    frames: FrameSource,
    labels: Mapping[int, MaskArray],
    flow: FlowSource,
    classes: int,
    segmenter: SegmenterConfig | None,
    settings: PropagationConfig,
    disagreement: Mapping[int, float],
    beat: Beat,
    clicked: Mapping[int, float] | None = None,
) -> ToReview:
    """Order the labels of one video.

    frames, labels, flow, classes, segmenter, settings: as for `propagation.fit.fit`; no segmenter: flow alone
    disagreement: per frame that several people labeled, how much they disagree, 0 to 1
    clicked: per frame that was clicked with help, the overlap that its worst mask probably has, 0 to 1
    """
    height, width = frames[0].shape[:2]
    indices = sorted(labels)
    signs: dict[str, tuple[Sign, ...]] = {}
    contradicted: list[Contradictions] = []
    hidden: list[Contradictions] = []
    shifted: list[Sign] = []
    end = 0.4 if segmenter is not None else 1.0
    for one in witnesses(labels, flow, (height, width), lambda part: beat(end * part)):
        label = labels[one.frame]
        told, regions = one.read(labels.__getitem__), regions_of(label)
        contradicted.append(contradictions(label, told, regions))
        hidden.append(hidden_contradictions(label, told, regions))
        shifted.append(shift(label, told, regions))
    signs[CONTRADICTION], signs[SHIFT] = tuple(unusual(uncovered(contradicted, hidden))), tuple(shifted)
    if segmenter is not None:
        believed: dict[int, tuple[NDArray[np.float64], Regions]] = {}
        for said in opinions(frames, labels, classes, segmenter, settings, lambda part: beat(end + (1 - end) * part)):
            regions = regions_of(labels[said.frame])
            believed[said.frame] = disbelief(labels[said.frame], said.model, said.classes, regions), regions
        if len(believed) == len(indices):
            signs[DOUBT] = tuple(doubts([believed[index] for index in indices]))
    scores = {kind: np.array([sign.score for sign in some]) for kind, some in signs.items()}
    scores[CONTRADICTION] = above_usual(scores[CONTRADICTION])
    if disagreement:
        # in tenths: one is little
        scores[ANNOTATORS] = np.array([10 * disagreement.get(index, np.nan) for index in indices])
    if clicked:
        scores[CLICKS] = np.array([10 * (1 - clicked.get(index, np.nan)) for index in indices])
    return ToReview(np.array(indices, np.int64), review_order(scores, MOST), signs)


def video_to_review(
    layout: Layout,
    facts: Facts,
    video: Video,
    flow: FlowSource,
    classes: int,
    segmenter: SegmenterConfig | None,
    settings: PropagationConfig,
    beat: Beat,
) -> ToReview | None:
    """The labels of a video of a project; None for fewer than two labeled frames."""
    every = labels_from_events(facts.events(video.id, "label"))
    labels = LabelSet(layout.video(video.id), every)
    if len(labels) < 2:
        return None
    apart = disagreements(layout, video, every, classes)
    clicked = expected_overlaps(facts.events(video.id, "label"))
    frames = FrameFiles(layout, video, keep=8)
    return to_review(frames, labels, flow, classes, segmenter, settings, apart, beat, clicked)


def expected_overlaps(events: Iterable[Event]) -> dict[int, float]:
    """Per frame of which a mask was clicked with help: the overlap with the truth that the worst probably has, by how
    it was clicked. Of an annotation that was corrected the last version counts."""
    worst: dict[int, float] = {}
    for event in latest_versions(events):
        for rows in event.payload.get("clicked") or ():
            frame = Sample.parse(event.payload["sample"]).frame
            worst[frame] = min(worst.get(frame, 1.0), SHIPPED.predict(from_rows(rows)))
    return worst


def disagreements(layout: Layout, video: Video, labels: list[Label], classes: int) -> dict[int, float]:
    """Per frame of which several people labeled the same sample: 1 less their mean IoU, the worst sample's and
    pair's."""
    of_sample: dict[tuple[int, str], dict[str, MaskArray]] = {}
    for label in labels:
        if label.file is not None and label.known_pixels > 0:
            masks = of_sample.setdefault((label.sample.frame, label.sample.key), {})
            masks[label.annotator] = read_mask(layout.video(video.id) / label.file)
    apart: dict[int, float] = {}
    for (frame, _), masks in sorted(of_sample.items()):
        for one, other in combinations([masks[name] for name in sorted(masks)], 2):
            both = np.where((one == UNKNOWN) | (other == UNKNOWN), np.uint8(UNKNOWN), one)
            agreed = miou(confusion(both, other, classes))
            if not np.isnan(agreed):
                apart[frame] = max(apart.get(frame, 0.0), 1 - agreed)
    return apart
