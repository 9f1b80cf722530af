"""Forecasts of curves whose end is known on paper."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.projection import Point, project


def curve(a: float, b: float, clicks: list[float], seconds_per_click: float = 1.0) -> list[Point]:
    return [Point(c, 1 - a * c**-b, seconds_per_click * c) for c in clicks]


def test_an_error_that_halves_with_four_times_the_clicks() -> None:
    # error = 2 / sqrt(clicks): 0.2 at 100, 0.1 at 400, so 0.05 at 1600, 1200 more, at one click in two seconds
    found = project(curve(2, 0.5, [100, 200, 400], 2.0), 0.95)
    assert (found.clicks, found.exponent, found.reason) == (1200, 0.5, "")
    assert found.at == pytest.approx(3200.0)


@given(a=st.floats(0.5, 3), b=st.floats(0.3, 1.5), wanted=st.floats(0.3, 0.9))
def test_what_follows_the_law_is_foretold_exactly(a: float, b: float, wanted: float) -> None:
    clicks = [100.0, 150.0, 250.0, 400.0]
    points = curve(a, b, clicks)
    error = (1 - points[-1].quality) * wanted
    found = project(points, 1 - error)
    needed = (a / error) ** (1 / b)
    if needed <= 50 * 400:
        assert found.clicks == pytest.approx(max(1, needed - 400), rel=1e-3, abs=1)
    else:
        assert found.reason == "out of reach at this rate"


def test_no_forecast_where_there_is_none() -> None:
    assert project([], 0.95).reason == "known after 3 rounds with answers"
    assert project(curve(2, 0.5, [100, 200]), 0.95).reason == "known after 3 rounds with answers"
    same = [Point(100, 0.8, 1), Point(100, 0.81, 2), Point(100, 0.82, 3)]
    assert project(same, 0.95).reason == "known after 3 rounds with answers"
    worse = [Point(100, 0.8, 1), Point(200, 0.79, 2), Point(300, 0.8, 3)]
    assert project(worse, 0.95).reason == "the last rounds did not lower the error"
    assert project(curve(2, 0.5, [100, 200, 400]), 1.0).reason == "out of reach at this rate"
    assert project(curve(2, 0.5, [100, 200, 400]), 0.95, most=1600).clicks == 1200
    assert project(curve(2, 0.5, [100, 200, 400]), 0.95, most=1500).reason == "drawing every frame would cost less"
    reached = project(curve(2, 0.5, [100, 200, 400]), 0.9)
    assert (reached.reason, reached.clicks) == ("reached", 0)


def test_without_time_between_the_rounds_there_is_no_date() -> None:
    points = [Point(c, 1 - 2 * c**-0.5, 5.0) for c in (100, 200, 400)]
    assert project(points, 0.95).clicks == 1200
    assert project(points, 0.95).at is None


def test_a_video_that_waits_is_foretold_no_day_that_is_over() -> None:
    # as above: 1200 more; 300 clicks in 600 s until the last answer, in 6,000 s until now, so 24,000 s from now
    points = curve(2, 0.5, [100, 200, 400], 2.0)
    found = project(points, 0.95, now=200.0 + 6000)
    assert (found.clicks, found.at) == (1200, pytest.approx(6200 + 24_000))
    assert project(points, 0.95, now=100.0).at == pytest.approx(3200.0)  # a clock that is behind changes nothing
