"""Rows and sums of the hand-made project."""

from __future__ import annotations

import pytest

from dashboard.overview import people, totals, video_rows
from dashboard.savings import Baseline, Basis
from workspace.facts import Facts
from workspace.layout import Layout


def test_a_row_says_what_the_log_says(street: Layout) -> None:
    with Facts.open(street.database_file) as facts:
        row, other = video_rows("street", facts)
    assert row.baseline == Baseline(600, Basis.TRUTH)
    assert row.saved == pytest.approx(0.5)  # 300 of 600
    assert row.labeled == pytest.approx(3 / 8)  # three whole frames of eight
    assert row.seconds_per_answer == pytest.approx(10)
    assert (row.estimated, row.true, row.open) == (0.8, 0.75, 2)
    assert (row.work.counted, row.work.counted_clicks, row.tally.failed) == (1, 120, 1)
    assert (other.baseline, other.saved, other.labeled, other.seconds_per_answer, other.open) == (
        None,
        None,
        0,
        None,
        0,
    )


def test_days_limit_the_work_and_nothing_else(street: Layout) -> None:
    with Facts.open(street.database_file) as facts:
        row, _ = video_rows("street", facts, "2026-01-02", "2026-01-02")
        whole, _ = video_rows("street", facts)
    assert (row.work.answers, row.work.correcting, row.work.counted) == (1, 100, 0)
    assert (row.saved, row.tally, row.baseline) == (whole.saved, whole.tally, whole.baseline)


def test_the_sums(street: Layout) -> None:
    with Facts.open(street.database_file) as facts:
        found = totals(video_rows("street", facts))
        named = people(
            facts.work(("annotator",)), [facts.newest("reliability")["clip-0123456789"].payload["annotators"]]
        )
    assert (found.videos, found.frames, found.waiting, found.open, found.asked, found.answered) == (2, 12, 1, 2, 5, 3)
    assert (found.clicks, found.saved, found.estimated, found.failed) == (300, pytest.approx(0.5), 0.8, 1)
    anna = next(one for one in named if one.name == "anna")
    assert anna.accuracy == pytest.approx((0.9 * 30 + 0.5 * 10) / 40)
    assert all(one.accuracy is None for one in named if one is not anna)
