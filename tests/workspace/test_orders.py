"""Pause, resume, cancel, retry: any number of times, and fenced like everything else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from workspace.errors import LeaseLost, UserError
from workspace.facts import Facts, NewEvent
from workspace.states import FREES, MOST_FAILURES, ORDERED, ORDERS, Hold, Order, State
from workspace.video import Video

VIDEO = Video("clip-0123456789", "Clip", "0123456789" * 6 + "abcd", 10, 64, 48, 25.0, ".png")


@pytest.fixture
def facts(open_facts: Callable[[], Facts]) -> Facts:
    facts = open_facts()
    facts.add_video(VIDEO)
    return facts


def hold(facts: Facts) -> Hold | None:
    return facts.video(VIDEO.id).hold


def fail(facts: Facts) -> bool:
    lease = facts.claim(VIDEO.id, 60)
    assert lease is not None
    held = lease.fail("it broke")
    lease.release()
    return held


def test_each_order_twice_is_one_fact(facts: Facts) -> None:
    for order, after in (
        (Order.PAUSE, Hold.PAUSED),
        (Order.RESUME, None),
        (Order.CANCEL, Hold.CANCELLED),
        (Order.RETRY, None),
    ):
        assert facts.order(VIDEO.id, order)
        assert not facts.order(VIDEO.id, order)
        assert hold(facts) is after
        assert sum(1 for _ in facts.events(VIDEO.id, ORDERED[order])) == 1
    assert facts.video(VIDEO.id).state is State.READY


@pytest.mark.parametrize(
    ("before", "order", "message"),
    [
        (Order.CANCEL, Order.PAUSE, "is cancelled, so it cannot pause. `fewclicks retry`"),
        (Order.CANCEL, Order.RESUME, "is cancelled, so it cannot resume. `fewclicks retry`"),
        (Order.PAUSE, Order.RETRY, "is paused, so it cannot retry. `fewclicks resume`"),
    ],
)
def test_an_order_that_makes_no_sense_says_which_does(facts: Facts, before: Order, order: Order, message: str) -> None:
    facts.order(VIDEO.id, before)
    with pytest.raises(UserError, match=message):
        facts.order(VIDEO.id, order)
    with pytest.raises(UserError, match="no video 'nowhere'"):
        facts.order("nowhere", order)


def test_every_hold_can_be_left_by_the_order_that_is_named() -> None:
    assert {ORDERS[FREES[hold]][hold] for hold in Hold} == {None}
    assert all(after in moves for moves in ORDERS.values() for after in moves.values())  # so the second time is legal


@pytest.mark.parametrize("order", [Order.PAUSE, Order.CANCEL])
def test_a_running_step_is_fenced_off_and_its_lease_is_free_at_once(facts: Facts, order: Order) -> None:
    lease = facts.claim(VIDEO.id, 3600)
    assert lease is not None
    facts.order(VIDEO.id, order)
    for write in (
        lease.check,
        lambda: lease.commit(State.SELECTING, 1),
        lambda: lease.record([NewEvent("label", {})]),
        lambda: lease.fail("it broke"),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert facts.claim(VIDEO.id, 60) is None
    lease.release()
    facts.order(VIDEO.id, FREES[ORDERS[order][None]])
    assert facts.claim(VIDEO.id, 60) is not None  # nobody waits an hour
    assert not list(facts.events(VIDEO.id, "label"))


def test_failures_in_a_row_hold_the_video_until_somebody_retries(facts: Facts) -> None:
    assert [fail(facts) for _ in range(MOST_FAILURES)] == [False] * (MOST_FAILURES - 1) + [True]
    assert hold(facts) is Hold.FAILED
    assert facts.claim(VIDEO.id, 60) is None
    with pytest.raises(UserError, match=r"is failed, so it cannot resume\. `fewclicks retry`"):
        facts.order(VIDEO.id, Order.RESUME)
    facts.order(VIDEO.id, Order.RETRY)
    assert [fail(facts) for _ in range(MOST_FAILURES - 1)] == [False] * (MOST_FAILURES - 1)  # counted anew
    lease = facts.claim(VIDEO.id, 60)
    assert lease is not None
    lease.commit(State.SELECTING, 1)  # it got on: those before do not count
    lease.release()
    assert not fail(facts)


def test_a_schedule_is_kept_until_it_is_another(facts: Facts) -> None:
    assert facts.video(VIDEO.id).cron is None
    assert [facts.schedule(VIDEO.id, cron) for cron in ("0 6 * * *", "0 6 * * *", None, None)] == [True, False] * 2
    facts.schedule(VIDEO.id, "0 7 * * *")
    assert facts.video(VIDEO.id).cron == "0 7 * * *"
    told = [event.payload for event in facts.events(VIDEO.id, "scheduled")]
    assert [payload["cron"] for payload in told] == ["0 6 * * *", None, "0 7 * * *"]
    assert told[1]["before"] == "0 6 * * *"
    with pytest.raises(UserError, match="no video 'nowhere'"):
        facts.schedule("nowhere", None)
