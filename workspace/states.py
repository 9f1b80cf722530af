"""The states of a video and the moves that are legal."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    READY = "ready"
    SELECTING = "selecting"
    PUSHING = "pushing"
    WAITING = "waiting"
    PULLING = "pulling"
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
    State.PULLING: frozenset({State.FITTING, State.SELECTING, State.DONE}),
    State.FITTING: frozenset({State.PROPAGATING}),
    State.PROPAGATING: frozenset({State.SELECTING, State.DONE}),
    State.DONE: frozenset({State.SELECTING}),
}
