"""Looking again and again until everything is done, however long the labeling tool is away."""

from __future__ import annotations

from collections.abc import Callable

from workspace.errors import ToolUnavailable

LONGEST_PAUSE_S = 120.0  # so long after the tool is back at most it is noticed


def watch(
    look: Callable[[], bool], wait: Callable[[float], object], every: float, say: Callable[[str], object]
) -> None:
    """Call `look` until it returns True.

    look: moves on what can be moved on;  wait: sleeps so many seconds, or less if it is woken;  every: seconds
    While the tool is away the pauses double, from `every` up to `LONGEST_PAUSE_S` (or `every`, if that is longer).
    There is no deadline: a look changes nothing that the next one would miss, so an hour or a week costs only time.
    """
    pause = every
    while True:
        try:
            if look():
                return
            pause = every
            wait(every)
        except ToolUnavailable as error:
            say(f"{error} Trying again in {pause:g} s.")
            wait(pause)
            pause = min(2 * pause, max(LONGEST_PAUSE_S, every))
