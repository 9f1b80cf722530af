"""How far each annotator is to be believed, and what is probably true: the model of Dawid and Skene, fitted by EM.

Each annotator has a confusion matrix: with which probability they say class l where the truth is class k. On pixels
this is the multi-class form of STAPLE (Warfield et al. 2004, IEEE Trans. Med. Imaging 23(7)) with one prior for all
pixels; on choices (one class per superpixel or tile) it is Dawid & Skene 1979 (Applied Statistics 28(1), 20-28,
equations 2.3 to 2.5). Neither needs the truth. Both need at least three people: with two, nothing tells who of them is
right; and a third who guesses tells nothing about the other two either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workspace.mask import UNKNOWN, MaskArray

LEAST_PEOPLE = 3
_TRUST = 10.0  # pseudo-answers per annotator and class with which EM begins, most of them right
_TRUSTED_SHARE = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """What people said, equal cases counted together. There are few different cases, however many pixels.

    cases: (P, A) uint8, the class that each of A annotators said, 255 = this one said nothing;  counts: (P,) float64
    """

    cases: NDArray[np.uint8]
    counts: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Per annotator a confusion matrix, and how often each class occurs.

    confusion: (A, K, K) float64, probability of saying class l (column) where the truth is class k (row); rows sum to 1
    prior: (K,) float64, share of each class in the truth;  weight: (A,) float64, how many answers (pixels) were seen
    """

    confusion: NDArray[np.float64]
    prior: NDArray[np.float64]
    weight: NDArray[np.float64]

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """(A,) float64: the probability that this annotator's answer is right, for classes as frequent as `prior`."""
        return np.asarray(np.einsum("k,akk->a", self.prior, self.confusion))


def count_votes(masks: Sequence[MaskArray], people: Sequence[int], annotators: int) -> Votes:
    """Votes of one sample: every pixel that somebody labeled is a case.

    masks: of one shape, 255 does not vote;  people: the annotator's number (< `annotators`) of each mask, all different
    """
    if len(set(people)) != len(people) or len(people) != len(masks):
        raise ValueError("each mask of a sample needs an annotator of its own")
    if not masks:
        return Votes(np.empty((0, annotators), np.uint8), np.empty(0))
    flat = np.stack([mask.ravel() for mask in masks])
    # one number per different combination, built up mask by mask so that it stays small for any number of people
    code = np.zeros(flat.shape[1], np.int64)
    for row in flat:
        _, code = np.unique(code * (UNKNOWN + 1) + row, return_inverse=True)
    _, first, counts = np.unique(code, return_index=True, return_counts=True)
    cases = np.full((len(first), annotators), UNKNOWN, np.uint8)
    cases[:, list(people)] = flat[:, first].T
    said = (cases != UNKNOWN).any(axis=1)
    return Votes(cases[said], counts[said].astype(np.float64))


def add_votes(parts: Sequence[Votes], annotators: int) -> Votes:
    """The votes of many samples as one table; equal cases are counted together."""
    if not parts:
        return Votes(np.empty((0, annotators), np.uint8), np.empty(0))
    cases = np.concatenate([part.cases for part in parts])
    counts = np.concatenate([part.counts for part in parts])
    cases, inverse = np.unique(cases, axis=0, return_inverse=True)
    return Votes(cases, np.bincount(inverse.ravel(), weights=counts, minlength=len(cases)).astype(np.float64))


def estimate_reliability(votes: Votes, classes: int, rounds: int = 200, tolerance: float = 1e-6) -> Reliability:
    """EM from the majority's opinion until no confusion entry moves by more than `tolerance`, or for `rounds`.

    E: p(k | case) ~ prior_k * prod_a confusion[a, k, said_a]      M: both from the counts, weighed by p
    Pseudo-answers keep a class that an annotator rarely met from being called certain.
    Cases on which only one person spoke say nothing about who is right and are left out.
    ValueError for a class id that does not exist.
    """
    said = votes.cases != UNKNOWN
    if said.any() and int(votes.cases[said].max()) >= classes:
        raise ValueError(f"class id {int(votes.cases[said].max())} in votes on {classes} classes")
    shared = said.sum(axis=1) > 1
    cases, counts = votes.cases[shared], votes.counts[shared]
    annotators = cases.shape[1]
    off = (1 - _TRUSTED_SHARE) / max(classes - 1, 1)
    pseudo = _TRUST * np.where(np.eye(classes, dtype=bool), _TRUSTED_SHARE if classes > 1 else 1.0, off)
    # (A, P, K): 1 where annotator a said class l in case p
    spoken = np.stack([cases[:, a, None] == np.arange(classes) for a in range(annotators)]).astype(np.float64)
    belief = _normalised(spoken.sum(axis=0))
    confusion = np.zeros((annotators, classes, classes))
    prior: NDArray[np.float64] = np.full(classes, 1 / classes)
    for _ in range(rounds):
        weighed = belief * counts[:, None]
        prior = _normalised(weighed.sum(axis=0) + 1e-9)
        updated = _normalised(np.einsum("pk,apl->akl", weighed, spoken) + pseudo)
        moved = float(np.abs(updated - confusion).max()) if annotators else 0.0
        confusion = updated
        belief = _posterior(spoken, confusion, prior)
        if moved < tolerance:
            break
    return Reliability(confusion, prior, np.einsum("apl,p->a", spoken, counts))


def most_probable(masks: Sequence[MaskArray], people: Sequence[int], reliability: Reliability) -> MaskArray:
    """The class that is most probably true at each pixel, of those that somebody named there; ties to the lowest id.

    masks: (H, W) uint8 of one shape, 255 does not vote;  people: the annotator's number of each mask, as in the fit
    returns: (H, W) uint8, 255 where nobody said anything
    A class that nobody named is never answered, even where the confusion matrices suggest it.
    """
    if not masks:
        raise ValueError("there is no mask to consolidate")
    best = np.full(masks[0].shape, UNKNOWN, np.uint8)
    highest = np.full(masks[0].shape, -np.inf)
    with np.errstate(divide="ignore"):
        log_prior, log_confusion = np.log(reliability.prior), np.log(reliability.confusion)
    for k in sorted({int(k) for mask in masks for k in np.unique(mask)} - {UNKNOWN}):
        score = np.full(best.shape, log_prior[k])
        named = np.zeros(best.shape, bool)
        for mask, a in zip(masks, people, strict=True):
            known = mask != UNKNOWN
            score[known] += log_confusion[a, k][mask[known]]
            named |= mask == k
        better = named & (score > highest)
        best[better], highest[better] = k, score[better]
    return best


def _posterior(
    spoken: NDArray[np.float64], confusion: NDArray[np.float64], prior: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(P, K): probability of each class in each case."""
    log = np.log(prior) + np.einsum("apl,akl->pk", spoken, np.log(confusion))
    return _normalised(np.exp(log - log.max(axis=1, keepdims=True)))


def _normalised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(values / values.sum(axis=-1, keepdims=True))
