"""One delivery for all that is sent: taken when it can go, posted, and told how it ended.

``send_sms``, ``send_many``, ``stream`` and ``add_contacts`` go this way, and a campaign does: each
is a supply, from which is taken what a request carries at the moment when it may leave.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Generic, TypeVar

from insim_async._http import Call, Connection, Rank, Ticket
from insim_async._sending.batches import Batch, Cargo, Ending, Room, Supply
from insim_async._tasks import to_its_end
from insim_async.errors import (
    AuthenticationFailed,
    InSimError,
    NotSent,
    OutcomeUnknown,
    Refused,
)

__all__ = ["BODY_CAP", "Delivery", "not_sent_after", "of_several"]

S = TypeVar("S")
M = TypeVar("M")
R = TypeVar("R")

BODY_CAP = 512 * 1024
"""Bytes of one request, at most; nginx takes twice as much unless told otherwise."""


class Delivery(Generic[S, M, R]):
    """Sends what a supply has, one request at a time.

    A request that is too large, by our own measure or by the server's (413), is sent in smaller
    ones: half as many, until it is one. After a 413 others have no more in them either, and then
    one more after each that was taken.

    Args:
        connection: Open, or refusing by itself.
        cargo: Whether messages or contacts, and how they are written.
        room: What fits into a request: a second's worth of parts, at most.

    Attributes:
        cargo: As given.
        room: What fits into the next request.
    """

    def __init__(
        self,
        connection: Connection,
        cargo: Cargo[S, M, R],
        room: Room,
    ) -> None:
        self.cargo = cargo
        self._connection = connection
        parts = math.inf if cargo.parts_of is None else room.parts
        self._most = max(1, int(min(room.messages, parts)))
        self.room: Room = Room(self._most, parts)

    async def send(
        self, supply: Supply[S, M], ticket: Ticket | None = None
    ) -> Ending[S, M, R] | InSimError | None:
        """Send one request's worth, when its turn has come.

        Cancelled, what was taken from the supply is put back if it is proven that nothing was sent;
        else it may have been.

        Args:
            supply: What is sent is taken from it when it may go, and not before.
            ticket: Its place in the line; by default one at the end, for as long as it takes.

        Returns:
            How it ended; or why nothing was taken, or was put back for good; or None where the
            supply had nothing.
        """
        place = ticket or self._connection.join(Rank.BULK, paced=self.cargo.parts_of is not None)
        if isinstance(place, InSimError):
            return place
        most = self._most
        while True:
            request = _Request(self, supply, most)
            result = await self._connection.post(request.make, place)
            batch = request.batch
            if batch is None:
                return result if isinstance(result, InSimError) else None
            if not (_is_too_large(result) and len(batch.good) > 1):
                if batch.good and not isinstance(result, InSimError):
                    self._grow()
                return self.cargo.ending(batch, result)
            most = len(batch.good) // 2
            self.room = self.room._replace(messages=min(self.room.messages, most))
            await to_its_end(partial(request.put_back, batch))

    def call(self, batch: Batch[S, M], **more: Any) -> Call[Any]:
        """Make the request for a batch."""
        parts_of = self.cargo.parts_of if self.room.parts < math.inf else None
        parts = sum(map(parts_of, batch.good)) if parts_of is not None else 0
        return self.cargo.call(batch.good, parts=parts, **more)

    def _grow(self) -> None:
        if self.room.messages < self._most:
            self.room = self.room._replace(messages=self.room.messages + 1)


class _Request(Generic[S, M, R]):
    """One request: what was taken for it from the supply.

    Args:
        delivery: Whose.
        supply: What is sent is taken from it.
        most: So many at most, since more were too many.

    Attributes:
        batch: What it carries; None where nothing was taken, or all was put back.
    """

    def __init__(self, delivery: Delivery[S, M, R], supply: Supply[S, M], most: int) -> None:
        self.batch: Batch[S, M] | None = None
        self._most = most
        self._delivery = delivery
        self._supply = supply

    async def make(self) -> Call[Any] | None:
        """Take what goes, and make the call; None where nothing does."""
        while (batch := await self._supply.take(self._room())) is not None:
            self.batch = batch
            if not batch.good:
                return None
            call = self._delivery.call(batch, put_back=partial(self.put_back, batch))
            if len(call.body) <= BODY_CAP or len(batch.good) == 1:
                return call
            self._most = len(batch.good) // 2
            await to_its_end(partial(self.put_back, batch))
        return None

    def _room(self) -> Room:
        room = self._delivery.room
        return room._replace(messages=min(room.messages, self._most))

    async def put_back(self, batch: Batch[S, M]) -> None:
        """Give back what was taken."""
        self.batch = None
        await self._supply.put_back(batch)


def _is_too_large(result: object) -> bool:
    """Say whether a request was refused for its size, so that nothing was done.

    What stands in front of the application refuses it, before that has seen it.
    """
    return isinstance(result, Refused) and result.status_code == 413


def of_several(error: InSimError, count: int) -> InSimError:
    """Return what an error of a request says of each of the ``count`` that travelled in it.

    A 4xx about several proves nothing of any of them: a script may stop at its fifty-first row.
    """
    if count == 1 or not isinstance(error, Refused) or isinstance(error, AuthenticationFailed):
        return error
    words = f"{error} ({count} travelled together, and some may have been taken)"
    return OutcomeUnknown(words, status_code=error.status_code)


def not_sent_after(stopped: InSimError) -> InSimError:
    """Return the error of all that was to be sent after what stopped the call.

    Login or access key were refused, the address was found wrong, or no answer was of any use.
    """
    if not isinstance(stopped, AuthenticationFailed):
        return stopped
    error = NotSent(f"nothing was sent after login or access key had been refused: {stopped}")
    error.__cause__ = stopped
    return error
