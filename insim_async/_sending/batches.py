"""Batches: what travels in one request, with what is to be said of each that was given for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from insim_async._http import Call
from insim_async.errors import InSimError, InvalidMessage

__all__ = ["Batch", "Cargo", "Ending", "Room", "Supply"]

S = TypeVar("S")  # what a caller gives
M = TypeVar("M")  # the same, checked, as it goes out
R = TypeVar("R")  # what the caller is told of it


class Room(NamedTuple):
    """How much fits into a request.

    Attributes:
        messages: At most so many, and at least one.
        parts: Of SMS, at most, unless the first message alone has more.
    """

    messages: int
    parts: float = math.inf


class Batch(Generic[S, M]):
    """What was given for one request.

    Attributes:
        start: How much was read before it, of the input of a bulk call.
        given: As it was given.
        checked: Each as it goes out, or why it cannot.
        good: Those of ``checked`` that can.
    """

    __slots__ = ("checked", "given", "good", "start")

    def __init__(
        self, start: int, given: Sequence[S], checked: Sequence[M | InvalidMessage], good: list[M]
    ) -> None:
        self.start: int = start
        self.given: Sequence[S] = given
        self.checked: Sequence[M | InvalidMessage] = checked
        self.good: list[M] = good

    def cut(
        self, room: Room, parts_of: Callable[[M], int] | None
    ) -> tuple[Batch[S, M], Batch[S, M] | None]:
        """Return what fits into the room, and the rest, if there is one."""
        if parts_of is None or room.parts == math.inf:
            parts_of = _none
            if len(self.good) <= room.messages:
                return self, None
        count, parts = 0, 0.0
        for place, message in enumerate(self.checked):
            if isinstance(message, InvalidMessage):
                continue
            parts += parts_of(message)
            if count and (count == room.messages or parts > room.parts):
                return self._part(0, place), self._part(place, len(self.given))
            count += 1
        return self, None

    def _part(self, start: int, end: int) -> Batch[S, M]:
        checked = self.checked[start:end]
        good = [each for each in checked if not isinstance(each, InvalidMessage)]
        return Batch(self.start + start, self.given[start:end], checked, good)


def _none(_: object) -> int:
    return 0


class Ending(NamedTuple, Generic[S, M, R]):
    """How a batch ended.

    Attributes:
        batch: Which.
        told: What its caller is told of each that was given.
        errors: Of each that went out, or would have: why it was not taken, or why nobody knows;
            None if it was. None at all if all were.
    """

    batch: Batch[S, M]
    told: list[R]
    errors: Sequence[InSimError | None] | None


class Cargo(Protocol[S, M, R]):
    """What a delivery carries: messages, or contacts."""

    def check(self, given: Sequence[S], start: int) -> Batch[S, M]:
        """Check what was given."""
        ...

    @property
    def parts_of(self) -> Callable[[M], int] | None:
        """Counts the parts of SMS that it takes; None for what does not wait for the pace."""
        ...

    def call(self, good: list[M], **more: Any) -> Call[Any]:
        """Make the request."""
        ...

    def ending(self, batch: Batch[S, M], result: object, /) -> Ending[S, M, R]:
        """Say how each ended, from the value of the call or its error."""
        ...


class Supply(Protocol[S, M]):
    """Where a delivery takes from what it sends, when it can be sent."""

    async def take(self, room: Room) -> Batch[S, M] | None:
        """Return what goes now, at most as much as there is room for; None if nothing does.

        Here is decided, and where need be claimed, what is sent.
        """
        ...

    async def put_back(self, batch: Batch[S, M], /) -> None:
        """Have back what was taken and is proven unsent, or may be sent again; it is free to go.

        No cancellation reaches it.
        """
        ...
