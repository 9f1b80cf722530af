"""Regions that a label has against the labels before and after it, which agree with each other along flow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from quality.suspicion import LEAST_PX, Regions, Sign, both_sides, regions_of
from workspace.mask import UNKNOWN, MaskArray

_USUAL_SHARE = 0.9  # of other labels
_ALMOST_WHOLE, _WHOLE = 0.7, 0.9  # of a region

Contradictions = dict[tuple[int, int], Sign]
"""Of one label, the strongest contradiction between each pair of classes, the smaller id first."""


def contradictions(label: MaskArray, witnesses: NDArray[np.uint8], regions: Regions) -> Contradictions:
    """Regions about which the labels before and after agree with each other and not with this one.

    label: (H, W) uint8;  witnesses: see `both_sides`;  regions: `regions_of(label)`;  `unusual` turns these into signs
    once those of all labels are known
    The score of a region is the share of it that is contradicted (`_against`) times the log of its pixels, over the
    regions of the label (wrong class) and of what the others say (missing object): the contours of things flicker in
    all labels, whole things do not.
    """
    agreed, against = _against(label, witnesses)
    return _in_regions(label, agreed, against, regions, 0.0)


def hidden_contradictions(label: MaskArray, witnesses: NDArray[np.uint8], regions: Regions) -> Contradictions:
    """Whole regions (90 % or more) about which three of the four witnesses agree, and not with this label.

    label, witnesses, regions: as for `contradictions`. The fourth may support the label: a neighbour with the same
    mistake. By itself that is weak, `uncovered` says what it takes.
    """
    agreed, against = _against(label, witnesses, three=True)
    return _in_regions(label, agreed, against, regions, _WHOLE)


def uncovered(found: Sequence[Contradictions], hidden: Sequence[Contradictions]) -> list[Contradictions]:
    """Per label of a video, in order, `contradictions` with those that two neighbours hide from each other.

    found, hidden: of each label its `contradictions` and `hidden_contradictions`. Two labels in a row that make one
    mistake are each other's witness, so neither is contradicted from both sides. They are found together or not at
    all: both must be against the three others, with the same class; the lesser score counts for both.
    """
    out = [dict(one) for one in found]
    for first, (one, next_one) in enumerate(pairwise(hidden)):
        for pair in sorted(one.keys() & next_one.keys()):
            if one[pair].class_id != next_one[pair].class_id:
                continue
            score = min(one[pair].score, next_one[pair].score)
            for place, sign in ((first, one[pair]), (first + 1, next_one[pair])):
                if pair not in out[place] or score > out[place][pair].score:
                    out[place][pair] = replace(sign, score=score)
    return out


def contradicted(label: MaskArray, witnesses: NDArray[np.uint8], regions: Regions) -> NDArray[np.bool_]:
    """(H, W) bool: the pixels of regions that are contradicted almost as a whole, by 70 % or more.

    label, witnesses, regions: as for `contradictions`. Of a region that only the others have (a missing object), the
    pixels that the label calls something else.
    """
    agreed, against = _against(label, witnesses)
    out = np.zeros(label.shape, bool)
    for some, where in ((regions, label != UNKNOWN), (regions_of(agreed), against)) if against.any() else ():
        inside = against & (some.ids >= 0)
        count = np.bincount(some.ids[inside], minlength=len(some.area))
        doubtful = (count >= _ALMOST_WHOLE * some.area) & (some.area >= LEAST_PX)
        out |= np.append(doubtful, False)[some.ids] & where  # -1, no region, is the last
    return out


def _against(
    label: MaskArray, witnesses: NDArray[np.uint8], three: bool = False
) -> tuple[MaskArray, NDArray[np.bool_]]:
    """What the others say, (H, W) uint8, 255 where they do not agree; and whether they outweigh the label, (H, W) bool.

    They agree where both sides say the same class, with `three` also where three of the four witnesses do. At most one
    witness may support the label, so a mistake of one neighbour alone is held against nobody.
    """
    before, after = both_sides(witnesses)
    agreed = np.where(before == after, before, np.uint8(UNKNOWN))
    four = witnesses.reshape(4, *label.shape)
    for candidate in four[:2] if three else ():  # what three of four say is said by one of any two
        np.copyto(agreed, candidate, where=((four == candidate).sum(axis=0) >= 3) & (candidate != UNKNOWN))
    support = (four == label).sum(axis=0)
    return agreed, (agreed != UNKNOWN) & (label != UNKNOWN) & (agreed != label) & (support <= 1)


def _in_regions(
    label: MaskArray, agreed: MaskArray, against: NDArray[np.bool_], regions: Regions, least_share: float
) -> Contradictions:
    found: Contradictions = {}
    if against.any():
        for others, told in ((False, agreed), (True, label)):
            _add_contradicted(regions_of(agreed) if others else regions, against, told, others, least_share, found)
    return found


def _add_contradicted(
    some: Regions, against: NDArray[np.bool_], told: MaskArray, others: bool, least_share: float, found: Contradictions
) -> None:
    """`some`: regions of the label, or of what the others say;  `told`: what is said instead"""
    inside = against & (some.ids >= 0)
    each = np.bincount(some.ids[inside].astype(np.int64) * 256 + told[inside], minlength=256 * len(some.area))
    each = each.reshape(-1, 256)
    share = each.sum(axis=1) / np.maximum(some.area, 1)
    score = np.where((some.area >= LEAST_PX) & (share >= least_share), share * np.log(np.maximum(some.area, 1)), 0)
    instead = each.argmax(axis=1)
    for r in np.flatnonzero(score > 0).tolist():
        mine, other = int(some.class_id[r]), int(instead[r])
        pair = min(mine, other), max(mine, other)
        if pair not in found or score[r] > found[pair].score:
            box = tuple(int(v) for v in some.box[r])
            label, better = (other, mine) if others else (mine, other)
            found[pair] = Sign(float(score[r]), box, label, better, float(share[r]))  # type: ignore[arg-type]


def unusual(found: Sequence[Contradictions]) -> list[Sign]:
    """Per label, the contradiction that is most unusual for its two classes.

    found: of each label of a video its `contradictions`. Some classes flicker in most labels of a video (a tree in
    front of a house) and others never do, so each contradiction counts by how far it lies above what nine of ten other
    labels show between the same two classes. Scores may be negative: less than usual.
    """
    signs = [Sign(float("-inf"))] * len(found)
    for pair in sorted({pair for one in found for pair in one}):
        here = [one.get(pair, Sign(0.0)) for one in found]
        level = _usual_elsewhere(np.array([sign.score for sign in here]))
        for number, (sign, usual) in enumerate(zip(here, level, strict=True)):
            if sign.score - usual > signs[number].score:
                signs[number] = replace(sign, score=float(sign.score - usual))
    return [sign if np.isfinite(sign.score) else Sign(0.0) for sign in signs]


def above_usual(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) the scores of `unusual`, 0 for what is usual or less.

    What flickers as it always does is no sign: it must not come before a clear sign of another kind.
    """
    return np.maximum(scores, 0.0)


def _usual_elsewhere(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) per label the value that nine of ten of the other labels do not exceed; 0 without others."""
    count = len(scores)
    if count < 2:
        return np.zeros(count)
    order = np.argsort(scores, kind="stable")
    rank = np.empty(count, np.int64)
    rank[order] = np.arange(count)
    place = int(_USUAL_SHARE * (count - 2))
    # the others in order are all in order without the label itself
    return np.asarray(scores[order][np.where(rank <= place, place + 1, place)], np.float64)
