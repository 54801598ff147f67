"""Values that are costly to make, kept while there is room."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["Recent"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """The values used last, as many as `capacity` allows by the weights they are given. Thread-safe."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._weight = 0

    def find(self, key: K) -> V | None:
        """Return the value for `key`, if it is still here."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            self._values.move_to_end(key)
            return found[0]

    def put(self, key: K, value: V, weight: int) -> None:
        """Keep `value`, and forget the ones that were not used for longest; one that is too heavy is not kept."""
        with self._lock:
            self._drop(key)
            if weight > self._capacity:
                return
            self._values[key] = value, weight
            self._weight += weight
            while self._weight > self._capacity:
                _, (_, lost) = self._values.popitem(last=False)
                self._weight -= lost

    def drop(self, key: K) -> None:
        """Forget `key`."""
        with self._lock:
            self._drop(key)

    def drop_where(self, condition: Callable[[K], bool]) -> None:
        """Forget every key that `condition` holds for."""
        with self._lock:
            for key in [key for key in self._values if condition(key)]:
                self._drop(key)

    def _drop(self, key: K) -> None:
        lost = self._values.pop(key, None)
        if lost is not None:
            self._weight -= lost[1]
