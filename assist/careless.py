"""Simulated annotators of different care: where they click, how long they take, and what they leave as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from assist.backends.interface import ClickBackend, mask_of_clicks
from assist.clicks import Click
from assist.robot import overlap
from workspace.click_sequence import ClickSequence, SequenceClick

MOST_CLICKS = 12
_CAREFUL_S, _HASTY_S = 2.5, 1.0  # the median time between clicks
_SPREAD_S = 0.5  # of its logarithm, from click to click and from person to person


@dataclass(frozen=True, slots=True)
class Person:
    """care: 0 to 1. Whoever takes care clicks deep inside the larger mistake and goes on until little is wrong; whoever
    does not clicks anywhere in any mistake, now and then beside it, and is content early.

    pace: times every second between clicks; a matter of the person, not of care
    """

    care: float
    pace: float = 1.0

    @property
    def content_at(self) -> float:
        """The overlap with what they want to draw at which they stop."""
        return 0.55 + 0.4 * self.care

    @property
    def slips(self) -> float:
        """The chance that a click goes astray."""
        return 0.15 * (1 - self.care)


def somebody(rng: np.random.Generator) -> Person:
    return Person(float(rng.uniform()), float(np.exp(rng.normal(0, _SPREAD_S))))


def clicked_by(
    person: Person, backend: ClickBackend, image: NDArray[np.uint8], truth: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[ClickSequence, float]:
    """The clicks of one object, and the overlap with the truth of what was left.

    image: (H, W, 3) uint8 RGB;  truth: (H, W) uint8, 1 the object, 0 not, 255 nobody knows. How well they judge their
    own mask differs from click to click, so that content is not the same as good.
    """
    looked = backend.look(image)
    height, width = truth.shape
    mask: NDArray[np.bool_] = np.zeros((height, width), bool)
    clicks: list[Click] = []
    rows: list[SequenceClick] = []
    seconds = 0.0
    typical = _HASTY_S + (_CAREFUL_S - _HASTY_S) * person.care
    while len(clicks) < MOST_CLICKS:
        if clicks and overlap(mask, truth) + rng.normal(0, 0.08) >= person.content_at:
            break
        click = _next(person, mask, truth, clicks, rng)
        if click is None:
            break
        if clicks:
            seconds += person.pace * typical * float(np.exp(rng.normal(0, _SPREAD_S)))
        clicks.append(click)
        after = mask_of_clicks(backend, looked, clicks, previous=mask)
        changed, area = float((after != mask).mean()), float(after.mean())
        rows.append(SequenceClick(seconds, click.y / height, click.x / width, click.positive, changed, area))
        mask = after
    return tuple(rows), overlap(mask, truth)


def _next(
    person: Person,
    mask: NDArray[np.bool_],
    truth: NDArray[np.uint8],
    clicks: Sequence[Click],
    rng: np.random.Generator,
) -> Click | None:
    wrong = [~mask & (truth == 1), mask & (truth == 0)]
    if clicks and rng.random() < person.slips:
        y, x = int(rng.integers(mask.shape[0])), int(rng.integers(mask.shape[1]))
        return Click(y, x, bool(rng.random() < 0.5))
    depths = [cv2.distanceTransform(np.pad(w.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1] for w in wrong]
    deepest = [float(d.max()) for d in depths]
    if max(deepest) <= 0:
        return None
    kind = int(deepest[1] > deepest[0])
    if clicks and rng.random() > person.care and min(deepest) > 0:
        kind = int(rng.integers(2))  # not the larger mistake, but either
    depth = depths[kind]
    rows, columns = np.nonzero(depth >= max(person.care * deepest[kind], 1e-6))
    number = int(rng.integers(len(rows)))
    return Click(int(rows[number]), int(columns[number]), kind == 0)
