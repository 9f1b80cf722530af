"""How good a model is on labels that it did not learn from, in one number; higher is better."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from assist.backends.interface import ClickBackend, mask_of_clicks
from assist.box_jitter import box_overlap, drawn_roughly
from assist.clicks import box_around
from assist.examples import Example
from assist.robot import click_through
from assist.snapping import BoxSnapper
from assist.training.box_training import is_whole

CLICKS = 5
_MOST_OBJECTS = 40
_SMALLEST_PX = 100


def click_score(backend: ClickBackend, examples: Sequence[Example]) -> float:
    """Mean overlap after the robot's 1 to 5 clicks, over at most 40 objects, 0 to 1; NaN without objects."""
    scores: list[float] = []
    for image, truth in _objects(examples):
        looked = backend.look(image)
        overlaps = click_through(
            lambda clicks, before, looked=looked: mask_of_clicks(backend, looked, clicks, previous=before),  # type: ignore[misc]
            truth,
            most=CLICKS,
        )[1:]
        # nothing left to click: it stays as it is
        shown = [overlaps[min(k, len(overlaps) - 1)] for k in range(CLICKS)] if overlaps else [1.0]
        scores.append(float(np.mean(shown)))
    return float(np.mean(scores)) if scores else float("nan")


def box_score(snapper: BoxSnapper | None, examples: Sequence[Example], seed: int) -> float:
    """Mean overlap of roughly drawn boxes after they were snapped (None: as they were drawn), 0 to 1; NaN without."""
    rng = np.random.default_rng(seed)
    scores: list[float] = []
    for image, truth in _objects(examples):
        right = box_around(truth == 1)
        if right is None or not is_whole(truth):
            continue
        rough = drawn_roughly(right, rng)
        scores.append(box_overlap(rough if snapper is None else snapper.snap(image, rough).box, right))
    return float(np.mean(scores)) if scores else float("nan")


def _objects(examples: Sequence[Example]) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Image and truth of at most 40 objects, the same ones each time, from all images alike."""
    rng = np.random.default_rng(0)
    share = -(-_MOST_OBJECTS // max(len(examples), 1))
    for example in examples[:: -(-len(examples) // _MOST_OBJECTS) or 1]:
        image, objects = example.read(_SMALLEST_PX)
        for k in rng.permutation(len(objects))[:share]:
            yield image, objects[k]
