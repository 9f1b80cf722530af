"""What answers cost corrects what the next ones are expected to cost."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from connectors.memory import MemoryTool
from connectors.simulated_annotator import simulated_annotator
from flows.context import Context
from flows.machine import Outcome, advance
from flows.prices import Prices, prices, repriced
from flows.progress import round_rows
from flows.scoring import ScoredFrame
from selection.scoring import Scores

CLIP = "clip-0123456789"


def test_prices_are_what_was_paid_over_what_was_expected(
    make_context: Callable[..., Context], truth: Callable[[int], np.ndarray]
) -> None:
    tool = MemoryTool(answer=simulated_annotator(lambda _, frame: truth(frame)))
    selection = {"granularity": "patch:16", "budget": 5, "strategy": "gain_per_click"}
    context = make_context(tool, selection=selection, stopping={"rounds": 3, "quality": None})
    assert prices(context.facts, CLIP) == Prices()
    assert advance(context, CLIP) is Outcome.DONE
    frames, *patches = round_rows(context.facts, CLIP)
    expected = [e.payload["expected_clicks"] for e in context.facts.events(CLIP, "selected")]
    assert expected[0] is None
    found = prices(context.facts, CLIP)
    assert found.frame == frames["clicks"] / 2
    assert found.patch == pytest.approx(sum(row["clicks"] for row in patches) / sum(expected[1:]))


def scored(cost: list[float]) -> ScoredFrame:
    n, values = len(cost), np.zeros(len(cost), np.float32)
    boxes, motion = np.zeros((n, 4), np.int64), np.zeros((n, 2), np.float32)
    return ScoredFrame(0, Scores(boxes, values, values, motion, np.array(cost, np.float32), np.ones(n)))


def test_offers_are_repriced_by_granularity() -> None:
    offers = {"frame": [scored([10]), scored([30])], "patch:16": [scored([2, 4])], "superpixel": [scored([1])]}
    found, factors = repriced(offers, Prices(frame=50, patch=1.5))
    # frames cost 50 on average; patches half as much again; a superpixel is one click whatever happened
    assert factors == {"frame": 2.5, "patch:16": 1.5, "superpixel": 1.0}
    assert [s.scores.cost.tolist() for s in found["frame"]] == [[25], [75]]
    assert found["patch:16"][0].scores.cost.tolist() == [3, 6]
    _, factors = repriced(offers, Prices(frame=50))
    assert factors["patch:16"] == 2.5  # no patch was answered yet: what frames tell holds for their parts
    _, factors = repriced(offers, Prices(frame=10))
    assert factors == {"frame": 0.5, "patch:16": 1.0, "superpixel": 1.0}  # and never downwards
    same, factors = repriced(offers | {"frame": []}, Prices())
    assert set(factors.values()) == {1.0}
    assert same["patch:16"][0].scores.cost.tolist() == [2, 4]
