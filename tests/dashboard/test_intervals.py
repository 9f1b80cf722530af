"""Intervals that can be worked out, and laws that they keep."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard import intervals
from dashboard.intervals import miou_interval, usual_block


def table(right: int, wrong: int) -> np.ndarray:
    """Two classes of as many pixels each; of both the same number is wrong. IoU of each: right / (right + 2 wrong)"""
    return np.array([[right, wrong, 0], [wrong, right, 0]])


def test_frames_that_are_all_alike_leave_no_doubt() -> None:
    found = miou_interval(np.stack([table(60, 20)] * 9), np.random.default_rng(0))
    assert (found.value, found.low, found.high, found.frames) == (
        pytest.approx(0.6),
        pytest.approx(0.6),
        pytest.approx(0.6),
        9,
    )


def test_the_interval_holds_the_value_and_narrows_with_more_frames() -> None:
    rng = np.random.default_rng(1)
    tables = np.stack([table(80 - int(w), int(w)) for w in rng.integers(0, 40, 400)])
    few, many = (miou_interval(tables[:n], np.random.default_rng(0)) for n in (20, 400))
    for one in (few, many):
        assert one.low is not None
        assert one.high is not None
        assert one.low < one.value < one.high
    assert many.high - many.low < 0.5 * (few.high - few.low)  # type: ignore[operator]


def test_coverage_is_about_what_is_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Known truth: half of the frames have no error, half have 20 of 80 wrong; pooled IoU 70 / (70 + 20)."""
    monkeypatch.setattr(intervals, "REPEATS", 200)
    expected, hits = 70 / 90, 0
    rng = np.random.default_rng(2)
    for _ in range(60):
        tables = np.stack([table(80, 0) if even else table(60, 20) for even in rng.integers(0, 2, 60)])
        one = miou_interval(tables, rng)
        assert one.low is not None
        assert one.high is not None
        hits += one.low <= expected <= one.high
    assert 50 <= hits <= 60


def test_blocks_widen_it_where_neighbours_are_alike() -> None:
    tables = np.stack([table(80, 0)] * 32 + [table(60, 20)] * 32)
    alone, together = (miou_interval(tables, np.random.default_rng(0), block) for block in (1, 16))
    assert together.high - together.low > 1.5 * (alone.high - alone.low)  # type: ignore[operator]
    assert [usual_block(n) for n in (1, 8, 1000)] == [1, 2, 10]


def test_too_few_frames_have_no_interval_and_none_is_an_error() -> None:
    found = miou_interval(np.stack([table(60, 20)] * 4), np.random.default_rng(0))
    assert (found.value, found.low, found.high) == (pytest.approx(0.6), None, None)
    with pytest.raises(ValueError, match="no frames"):
        miou_interval(np.zeros((0, 2, 3), np.int64), np.random.default_rng(0))
