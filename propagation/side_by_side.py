"""Work on several frames at a time, in a thread pool; what it gives comes in order, and never much of it at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

_In = TypeVar("_In")
_Out = TypeVar("_Out")

_PIXELS = 2**23  # of frames worked on at the same time: twenty of 854x480, four of 1080p, one of 4K


def workers_for(height: int, width: int, threads: int) -> int:
    """How many frames of this size to work on at the same time with so many CPU threads: large ones need the memory."""
    return max(1, min(threads, _PIXELS // (height * width)))


def in_turn(work: Callable[[_In], _Out], items: Iterable[_In], pool: Executor | None, ahead: int) -> Iterator[_Out]:
    """`work` of each item, in order, done in `pool` up to `ahead` items before it is asked for; no pool: here and now.

    What `work` raises comes out at its turn; what was begun ahead by then is waited for by the pool's own end.
    """
    if pool is None:
        yield from map(work, items)
        return
    pending: deque[Future[_Out]] = deque()
    for item in items:
        pending.append(pool.submit(work, item))
        if len(pending) > ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
