"""Shelves that keep the newest of each kind, and the feed that tells what changed since when."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

__all__ = ["Feed", "Shelf"]

K = TypeVar("K")
V = TypeVar("V")


class Feed:
    """What changed, in order: each thing stands once, with the number of its last change.

    Attributes:
        number: Of the last change.
        whole_since: Who knows the state as of this number or later can be told what changed;
            anybody else needs all of it.
        listeners: Called after each change; they do not wait.
    """

    def __init__(self) -> None:
        self.number: int = 0
        self.whole_since: int = 0
        self.listeners: set[Callable[[], object]] = set()
        self._changed: dict[tuple[str, object], int] = {}

    def note(self, kind: str, key: object = None) -> None:
        """Note that a thing changed."""
        self.number += 1
        self._changed.pop((kind, key), None)
        self._changed[kind, key] = self.number
        for listener in [*self.listeners]:
            listener()

    def forget(self, kind: str, key: object) -> None:
        """Note that a thing is gone because there was no room."""
        self._changed.pop((kind, key), None)

    def start_over(self) -> None:
        """Note that everything changed."""
        self._changed.clear()
        self.whole_since = self.number + 1
        self.note("all")

    def since(self, number: int) -> list[tuple[str, object]]:
        """Return what changed after that number, what changed last at the end."""
        newer = itertools.takewhile(lambda item: item[1] > number, reversed(self._changed.items()))
        return [thing for thing, _ in newer][::-1]


class Shelf(Generic[K, V]):
    """The newest ``keep`` values of a kind, by key.

    Args:
        kind: What they are called in the feed.
        keep: How many stay; the oldest goes first.
        feed: Is told of each change.

    Attributes:
        total: How many there ever were.
    """

    def __init__(self, kind: str, keep: int, feed: Feed) -> None:
        self.total: int = 0
        self._kind = kind
        self._keep = keep
        self._feed = feed
        self._values: dict[K, V] = {}

    def __setitem__(self, key: K, value: V) -> None:
        if key not in self._values:
            self.total += 1
            if len(self._values) >= self._keep:
                oldest = next(iter(self._values))
                del self._values[oldest]
                self._feed.forget(self._kind, oldest)
        self._values[key] = value
        self._feed.note(self._kind, key)

    def __delitem__(self, key: K) -> None:
        del self._values[key]
        self._feed.forget(self._kind, key)

    def __getitem__(self, key: K) -> V:
        return self._values[key]

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[V]:
        return iter(self._values.values())

    def __len__(self) -> int:
        return len(self._values)

    def newest_first(self) -> Iterator[V]:
        """Yield the values, from the last one that was added."""
        return reversed(self._values.values())

    def items(self) -> Iterator[tuple[K, V]]:
        """Yield keys and values, oldest first."""
        return iter(self._values.items())

    def clear(self) -> None:
        """Take all away, and count from nothing."""
        self._values.clear()
        self.total = 0
