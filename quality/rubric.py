"""A rubric: each mistake costs a share of the image's mark, and the mark says pass, look again or redo."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from quality.comparison import crowded_classes
from quality.contour import instance_distance
from quality.matching import iou_matrix, partners
from workspace.config import RubricConfig
from workspace.instance import Instance, together

OMISSION, EXTRA, INACCURATE = "omission", "extra", "inaccurate"
WRONG_CLASS, MISSING_PART, TRACKING_ID, ATTRIBUTE = "wrong_class", "missing_part", "tracking_id", "attribute"
PASS, LOOK_AGAIN, REDO = "pass", "look again", "redo"

_SAME_OBJECT_IOU = 0.5  # below it a label and a reference are two things: one omitted, one extra
_EIGHT = np.ones((3, 3), bool)


@dataclass(frozen=True, slots=True)
class Mistake:
    """kind: a key of the rubric;  y, x: where, in pixels;  class_id: the reference's (the label's for `extra`)"""

    kind: str
    class_id: int
    y: int
    x: int


@dataclass(frozen=True, slots=True)
class Grade:
    """score: 0 to 1;  verdict: `pass`, `look again` or `redo`;  reason: in words, empty for a pass without a mistake"""

    score: float
    verdict: str
    reason: str


def mistakes(
    label: Sequence[Instance], reference: Sequence[Instance], rubric: RubricConfig, ids: dict[str, str | None]
) -> list[Mistake]:
    """What is wrong with the label of one image.

    label, reference: its instances;  ids: which id of the label each track of the reference had last; empty for the
    first image of a video, and changed here, so give images in their order
    Instances below `ignore_below_px`, crowds, and classes with more than `crowd_above` instances are left out.
    Inaccurate instances are mistakes once there are `inaccurate_instances` of them in the image, since the rubric
    says so.
    """
    label, reference = (
        [one for one in some if not one.crowd and one.area >= rubric.ignore_below_px] for some in (label, reference)
    )
    crowded = crowded_classes(label, reference, rubric.crowd_above)
    label, reference = ([one for one in some if one.class_id not in crowded] for some in (label, reference))
    pairs = partners(iou_matrix(label, reference), _SAME_OBJECT_IOU)
    met = {j: label[i] for i, j in pairs}
    found, inaccurate = [], []
    for j, wanted in enumerate(reference):
        got = met.get(j)
        if got is None:
            found.append(_at(OMISSION, wanted))
            continue
        if got.class_id != wanted.class_id:
            found.append(_at(WRONG_CLASS, wanted))
        if got.attributes != wanted.attributes and wanted.attributes:
            found.append(_at(ATTRIBUTE, wanted))
        if wanted.track is not None:
            if ids.get(wanted.track, got.track) != got.track:
                found.append(_at(TRACKING_ID, wanted))
            ids[wanted.track] = got.track
        if lacks_a_part(got, wanted, rubric.inaccurate_px, rubric.ignore_below_px):
            found.append(_at(MISSING_PART, wanted))
        elif instance_distance(got, wanted).mean_px >= rubric.inaccurate_px:
            inaccurate.append(_at(INACCURATE, wanted))
    if len(inaccurate) >= rubric.inaccurate_instances:
        found += inaccurate[:1]  # one mistake: the rubric's penalty is for the image
    matched = {i for i, _ in pairs}
    found += [_at(EXTRA, one) for i, one in enumerate(label) if i not in matched]
    return found


def lacks_a_part(got: Instance, wanted: Instance, tolerance_px: float, least_px: int) -> bool:
    """Whether `wanted` has a part of at least `least_px` pixels that lies farther than the tolerance beyond `got`."""
    here, there, _, _ = together(got, wanted)
    beyond: NDArray[np.bool_] = there & (ndimage.distance_transform_edt(~here) > tolerance_px)
    parts, count = ndimage.label(beyond, _EIGHT)
    return bool(count and np.bincount(parts.ravel())[1:].max() >= least_px)


def grade(found: Sequence[Mistake], rubric: RubricConfig) -> Grade:
    """The mark of one image: 1 less the penalties of its mistakes, at least 0; a critical mistake means redo."""
    counts = Counter(mistake.kind for mistake in found)
    score = max(0.0, 1.0 - sum(n * rubric.penalties[kind] for kind, n in counts.items()))
    critical = any(kind in rubric.critical and rubric.penalties[kind] > 0 for kind in counts)
    return Grade(score, REDO if critical else _verdict(score, rubric), _reason(counts, rubric))


def grade_batch(images: Mapping[str, Sequence[Mistake]], rubric: RubricConfig) -> Grade:
    """The mark of many images (a batch, an annotator's, a video's): the mean of theirs; ValueError for none."""
    if not images:
        raise ValueError("there is no image to grade")
    score = float(np.mean([grade(found, rubric).score for found in images.values()]))
    counts = Counter(mistake.kind for found in images.values() for mistake in found)
    return Grade(score, _verdict(score, rubric), _reason(counts, rubric))


def _verdict(score: float, rubric: RubricConfig) -> str:
    return PASS if score >= rubric.pass_at else REDO if score < rubric.redo_below else LOOK_AGAIN


def _reason(counts: Counter[str], rubric: RubricConfig) -> str:
    """What cost most comes first."""
    costly = sorted((-n * rubric.penalties[kind], kind, n) for kind, n in counts.items() if rubric.penalties[kind] > 0)
    return ", ".join(f"{n} x {kind.replace('_', ' ')} ({rubric.penalties[kind]:.0%} each)" for _, kind, n in costly)


def _at(kind: str, one: Instance) -> Mistake:
    return Mistake(kind, one.class_id, one.y + one.mask.shape[0] // 2, one.x + one.mask.shape[1] // 2)
