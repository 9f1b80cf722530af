"""One order in which to look at labels again, from all signs that something is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MAD_TO_STD = 1.4826  # of a normal distribution
_LEAST_SCALE = 1.0  # in labels that hardly differ the smallest difference would else be a sensation


@dataclass(frozen=True, slots=True, eq=False)
class ReviewOrder:
    """order: (N,) labels, the most suspicious first, ties to the lowest index;  suspicion: (N,) >= 0, deviations above
    what is usual in these labels;  strongest: (N,) the name of the signal that says so, "" where none does"""

    order: NDArray[np.int64]
    suspicion: NDArray[np.float64]
    strongest: tuple[str, ...]


def review_order(signals: Mapping[str, NDArray[np.float64]], most: Mapping[str, float] | None = None) -> ReviewOrder:
    """Put labels in order.

    signals: per name (N,), higher is more suspicious, NaN where a label has no such signal (one annotator only, no
    clicks recorded), in units of which 1 is little. Each is measured in deviations above its own median, so that what
    is usual in these labels (the
    flicker of contours) is not suspicious, whatever its unit; the largest decides, since a mistake shows in one of
    them, and the rest would only add noise.
    most: per name the deviations that a signal can reach, none if it is not named: however clear a lesser mistake is, a
    whole object that is wrong comes first. Rousseeuw & Croux 1993 (deviations by the median).
    """
    if not signals:
        raise ValueError("there is no signal to order by")
    names = list(signals)
    cap = most or {}
    table = np.stack([np.minimum(deviations(signals[name]), cap.get(name, np.inf)) for name in names])
    suspicion = table.max(axis=0)
    strongest = tuple(names[i] if s > 0 else "" for i, s in zip(table.argmax(axis=0), suspicion, strict=True))
    return ReviewOrder(np.argsort(-suspicion, kind="stable"), suspicion, strongest)


def deviations(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) how many robust standard deviations, of at least 1, each lies above the median; 0 below it and for NaN."""
    known = values[~np.isnan(values)]
    if not known.size:
        return np.zeros(len(values))
    away = np.abs(known - np.median(known))
    scale = max(_MAD_TO_STD * float(np.median(away)), _LEAST_SCALE)
    above = np.maximum(0.0, (values - np.median(known)) / scale)
    return np.asarray(np.nan_to_num(above), np.float64)


def precision_at(order: NDArray[np.int64], wrong: NDArray[np.bool_], share: float) -> float:
    """Share of wrong labels among the first `share` of the order (at least one label)."""
    first = order[: max(1, round(share * len(order)))]
    return float(wrong[first].mean())


def area_under_curve(suspicion: NDArray[np.float64], wrong: NDArray[np.bool_]) -> float:
    """Chance that a wrong label is more suspicious than a right one, ties half; NaN without both kinds.

    The area under the receiver operating characteristic. Hanley & McNeil 1982.
    """
    bad, good = suspicion[wrong], np.sort(suspicion[~wrong])
    if not bad.size or not good.size:
        return float("nan")
    below, upto = (np.searchsorted(good, bad, side=side) for side in ("left", "right"))
    return float((below + upto).mean() / (2 * good.size))
