"""Where the heavy work inside one video is done: in this process, or in actors of Ray, each with GPUs of its own.

Both keep one promise (tests/contracts/test_executors.py): what work gives comes in the order of its items, its errors
come out as they are, and `beat` is called often, so that a lost lease ends everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import Protocol, TypeVar

from workspace.config import ExecutorConfig

Item = TypeVar("Item")
Out = TypeVar("Out")

Beat = Callable[[float], None]
"""Called often with the fraction done; what it raises ends the work."""


class Executor(Protocol):
    """size: into so many chunks work is best divided."""

    size: int

    def run(self, work: Callable[[Item, Beat], Out], items: Sequence[Item], beat: Beat) -> Iterator[Out]:
        """`work` of each item, in order. It may be done in another process: `work` is a function of a module, or a
        `partial` of one with plain data, and may be begun again after a process has died."""


class LocalExecutor:
    """One item after the other, here and now."""

    size = 1

    def run(self, work: Callable[[Item, Beat], Out], items: Sequence[Item], beat: Beat) -> Iterator[Out]:
        for number, item in enumerate(items):
            yield work(item, lambda part, number=number: beat((number + part) / len(items)))  # type: ignore[misc]


def executor_of(settings: ExecutorConfig, threads: int | None) -> AbstractContextManager[Executor]:
    """The executor of the settings; actors end with the context. threads: of each actor; None: a fair share."""
    if settings.name == "local":
        return nullcontext(LocalExecutor())
    from flows.ray_executor import RayExecutor

    return RayExecutor(settings.actors, settings.gpus_per_actor, threads)


def chunks(items: Sequence[Item], count: int) -> list[Sequence[Item]]:
    """The items in at most `count` runs of neighbours of nearly one length; none is empty."""
    count = min(count, len(items))
    edges = [round(len(items) * number / count) for number in range(count + 1)] if count else []
    return [items[begin:end] for begin, end in pairwise(edges)]
