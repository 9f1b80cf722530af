"""Work in parts that become smaller when memory runs out, instead of a crash."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from workspace.errors import UserError

Part = TypeVar("Part")


def in_parts(compute: Callable[[int, int], Part], count: int, most: int, multiple: int = 1) -> Iterator[Part]:
    """`compute(begin, end)` over 0..count in order, at most `most` at a time, halved whenever memory runs out.

    multiple: parts begin at multiples of it;  yields: the results, in order
    The halved size stays for what follows. torch.OutOfMemoryError if even the smallest part does not fit.
    """
    size = max(multiple, most // multiple * multiple)
    begin = 0
    while begin < count:
        try:
            result = compute(begin, min(begin + size, count))
        except torch.OutOfMemoryError:
            if size <= multiple:
                raise
            size = max(multiple, size // 2 // multiple * multiple)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            continue
        yield result
        begin += size


@contextmanager
def too_little_memory_is_told(device: str) -> Iterator[None]:
    """A device without memory for even the smallest part of the work becomes a UserError with what to do."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"The memory of device {device!r} is too small: {' '.join(str(error).split())[:120]}.",
            "Set segmenter.input_side smaller, choose a lighter segmenter, or set propagation.device to cpu.",
        ) from None
