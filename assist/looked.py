"""The last pictures that were looked at, with the masks that clicks have made of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """A dictionary that forgets what was not used for longest. Not safe from several threads at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def put(self, key: Key, value: Value) -> Value:
        self._kept[key] = value
        self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return value

    def get_or_make(self, key: Key, make: Callable[[], Value]) -> Value:
        found = self.get(key)
        return self.put(key, make()) if found is None else found

    def clear(self) -> None:
        self._kept.clear()

    def __len__(self) -> int:
        return len(self._kept)


@dataclass(slots=True, eq=False)
class Looked:
    """A picture of (height, width) pixels as a backend sees it. `masks`: by clicks, box and what they began with."""

    height: int
    width: int
    seen: Any
    masks: Recent[Hashable, NDArray[np.bool_]] = field(default_factory=lambda: Recent(32))
