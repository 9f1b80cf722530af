"""The step of every state.

What computes is loaded when a video first comes to it: torch alone takes 0.6 GB and seconds, which a tick that only
looks at waiting videos can do without.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flows import asking
from flows.context import Context
from workspace.facts import Lease
from workspace.states import State

Step = Callable[[Context, Lease], bool]
"""Does what its state stands for and commits the next state; False if nothing can be done until people answer."""


def _begin(context: Context, lease: Lease) -> bool:
    from flows import choosing

    return choosing.begin(context, lease)


def _select(context: Context, lease: Lease) -> bool:
    from flows import choosing

    return choosing.select(context, lease)


def _review(context: Context, lease: Lease) -> bool:
    from flows import review_tasks

    return review_tasks.review(context, lease)


def _fit(context: Context, lease: Lease) -> bool:
    from flows import learning

    return learning.fit(context, lease)


def _propagate(context: Context, lease: Lease) -> bool:
    from flows import learning

    return learning.propagate(context, lease)


def _reopen(context: Context, lease: Lease) -> bool:
    from flows import choosing

    return choosing.reopen(context, lease)


STEPS: Mapping[State, Step] = {
    State.READY: _begin,
    State.SELECTING: _select,
    State.PUSHING: asking.push,
    State.WAITING: asking.wait,
    State.PULLING: asking.pull,
    State.REVIEWING: _review,
    State.FITTING: _fit,
    State.PROPAGATING: _propagate,
    State.DONE: _reopen,
}
