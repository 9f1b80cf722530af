"""What a page tells of faults, on events whose result is plain to see."""

from __future__ import annotations

from dashboard.faults import faults
from workspace.facts import Event


def failed(number: int, error: str, video: str = "a", at: float = 0.0) -> tuple[str, str, Event]:
    return "street", f"{video}.mp4", Event(number, at, video, 2, "failed", {"state": "fitting", "error": error})


def test_the_same_fault_in_a_row_is_told_once_with_its_newest_time() -> None:
    newest_first = [
        failed(5, "full", at=50),
        failed(4, "full", at=40),
        failed(3, "full", "b", 30),
        failed(2, "x", at=20),
    ]
    newest_first.append(failed(1, "full", at=10))
    assert [(one.video, one.told, one.times, one.at) for one in faults(newest_first)] == [
        ("a", "full", 2, 50), ("b", "full", 1, 30), ("a", "x", 1, 20), ("a", "full", 1, 10),
    ]  # fmt: skip
    assert faults([]) == []


def test_an_order_is_told_by_its_name() -> None:
    (one,) = faults([("street", "a.mp4", Event(1, 5.0, "a", 2, "retried", {"state": "fitting"}))])
    assert (one.told, one.step, one.name, one.round) == ("retried", "fitting", "a.mp4", 2)
