"""Work done side by side comes in order, a little ahead at most, and its errors come out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Event

import pytest

from propagation.side_by_side import in_turn, workers_for


@pytest.mark.parametrize("ahead", [0, 1, 5])
def test_results_come_in_the_order_of_the_items(ahead):
    first_may_end = Event()

    def work(item: int) -> int:
        if item == 0:
            assert first_may_end.wait(60)
        else:
            first_may_end.set()  # a later one ends first
        return item * item

    with ThreadPoolExecutor(3) as pool:
        if ahead == 0:
            first_may_end.set()
        assert list(in_turn(work, range(20), pool, ahead)) == [i * i for i in range(20)]
    assert list(in_turn(work, range(20), None, ahead)) == [i * i for i in range(20)]


def test_no_more_is_begun_than_what_is_ahead():
    begun: list[int] = []
    with ThreadPoolExecutor(2) as pool:
        results = in_turn(lambda item: begun.append(item) or item, count(), pool, 3)
        assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert sorted(begun) == list(range(8))


def test_an_error_comes_out_at_its_turn():
    def work(item: int) -> int:
        if item == 2:
            raise ValueError(item)
        return item

    with ThreadPoolExecutor(2) as pool:
        results = in_turn(work, range(5), pool, 2)
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(ValueError, match="2"):
            next(results)


@pytest.mark.parametrize(
    ("height", "width", "threads", "workers"),
    [(480, 854, 2, 2), (480, 854, 64, 20), (1080, 1920, 16, 4), (2160, 3840, 16, 1), (8000, 8000, 16, 1)],
)
def test_large_frames_are_worked_on_one_by_one(height, width, threads, workers):
    assert workers_for(height, width, threads) == workers
