"""Numbers as text."""

from __future__ import annotations

import pytest

from dashboard.wording import duration, moment, number, percent


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"), (0, "0.0 s"), (4.24, "4.2 s"), (59.4, "59 s"), (59.6, "1 min"), (200, "3 min 20 s"),
        (3599.6, "1 h"), (18600, "5 h 10 min"), (86400, "1 d"), (183600, "2 d 3 h"),
    ],
)  # fmt: skip
def test_durations_have_two_units_at_most(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_numbers() -> None:
    assert (percent(0.1234), percent(1, 0), percent(None)) == ("12.3 %", "100 %", "–")
    assert (number(1234567), number(None)) == ("1,234,567", "–")
    assert (moment(1_767_225_600.0), moment(None)) == ("2026-01-01 00:00", "–")
