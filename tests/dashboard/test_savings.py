"""What is saved, worked out by hand."""

from __future__ import annotations

import pytest

from dashboard.savings import Baseline, Basis, baseline
from workspace.tallies import Work

FRAMES = Work("v", "", "", answers=4, frames=4, frame_drawing=400)  # 100 clicks per frame


def test_the_truth_comes_before_people_and_people_before_predictions() -> None:
    predicted, scored = {"drawing_every_frame": 900}, {"drawing_every_frame": 1200, "miou": 0.9}
    assert baseline(10, FRAMES, predicted, scored) == Baseline(1200, Basis.TRUTH)
    assert baseline(10, FRAMES, predicted, None) == Baseline(1000, Basis.PEOPLE)
    few = Work("v", "", "", answers=2, frames=2, frame_drawing=200)
    assert baseline(10, few, predicted, None) == Baseline(900, Basis.PREDICTIONS)
    assert baseline(10, few, {"model": "of an older program"}, None) is None
    assert baseline(10, None, None, None) is None


def test_saved_is_one_minus_the_share_spent_and_may_be_negative() -> None:
    assert Baseline(1000, Basis.TRUTH).saved(270) == pytest.approx(0.73)
    assert Baseline(1000, Basis.TRUTH).saved(1100) == pytest.approx(-0.1)
