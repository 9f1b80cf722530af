"""The states of a video and the moves that are legal; and what holds it where it is, by order or after failures."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    READY = "ready"
    SELECTING = "selecting"
    PUSHING = "pushing"
    WAITING = "waiting"
    PULLING = "pulling"
    REVIEWING = "reviewing"
    FITTING = "fitting"
    PROPAGATING = "propagating"
    DONE = "done"


# A video with imported labels learns from them before anybody is asked.
# A round in which nobody labeled anything (all skipped or withdrawn) goes from pulling straight to the next selection;
# a finished video goes on when its stopping rule is loosened.
MOVES: dict[State, frozenset[State]] = {
    State.READY: frozenset({State.SELECTING, State.FITTING}),
    State.SELECTING: frozenset({State.PUSHING, State.DONE}),
    State.PUSHING: frozenset({State.WAITING}),
    State.WAITING: frozenset({State.PULLING}),
    State.PULLING: frozenset({State.REVIEWING, State.FITTING, State.SELECTING, State.DONE}),
    State.REVIEWING: frozenset({State.FITTING}),
    State.FITTING: frozenset({State.PROPAGATING}),
    State.PROPAGATING: frozenset({State.SELECTING, State.DONE}),
    State.DONE: frozenset({State.SELECTING}),
}


class Hold(StrEnum):
    """Why a video stays where it is. It keeps its state, and goes on from there."""

    PAUSED = "paused"
    CANCELLED = "cancelled"
    FAILED = "failed"  # a step failed MOST_FAILURES times in a row


class Order(StrEnum):
    """What a person may tell a video to do."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    RETRY = "retry"


MOST_FAILURES = 3

# From which hold to which (None: free). What is so already is no mistake: every order may be given again.
ORDERS: dict[Order, dict[Hold | None, Hold | None]] = {
    Order.PAUSE: {None: Hold.PAUSED, Hold.PAUSED: Hold.PAUSED},
    Order.RESUME: {Hold.PAUSED: None, None: None},
    Order.CANCEL: dict.fromkeys((None, *Hold), Hold.CANCELLED),
    Order.RETRY: {Hold.FAILED: None, Hold.CANCELLED: None, None: None},
}

# The order that frees a video from what holds it.
FREES: dict[Hold, Order] = {Hold.PAUSED: Order.RESUME, Hold.CANCELLED: Order.RETRY, Hold.FAILED: Order.RETRY}

# The fact that an order leaves in the event log.
ORDERED: dict[Order, str] = {
    Order.PAUSE: "paused",
    Order.RESUME: "resumed",
    Order.CANCEL: "cancelled",
    Order.RETRY: "retried",
}
