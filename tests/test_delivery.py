"""What a delivery asks of its supply, request by request."""

from __future__ import annotations

from typing import Any, cast

from insim_async import InSimError, Refused, Sms
from insim_async._http import Connection
from insim_async._http.calls import stale
from insim_async._sending import Batch, Delivery, Ending, Messages, Room, Rules
from insim_async._wire import Account, Message

NUMBER = "+33639980001"
TOO_LARGE = Refused(status_code=413)


class Line:
    """A connection that makes each request, and answers as it is told."""

    def __init__(self, *answers: InSimError | None) -> None:
        self.answers = list(answers)

    def join(self, *_: object, **__: object) -> object:
        return object()

    async def post(self, make: Any, ticket: object) -> object:
        await make()
        return self.answers.pop(0)


class Endless:
    """A supply that never runs dry, and what room it was told of."""

    def __init__(self, cargo: Messages) -> None:
        self.cargo = cargo
        self.rooms: list[int] = []
        self.back: list[int] = []

    async def take(self, room: Room) -> Batch[Sms, Message]:
        self.rooms.append(room.messages)
        return self.cargo.check([Sms(NUMBER, "Hi")] * room.messages)

    async def put_back(self, batch: Batch[Sms, Message]) -> None:
        self.back.append(len(batch.given))


def delivery(line: Line, most: int) -> tuple[Delivery[Any, Any, Any], Endless]:
    cargo = Messages(Account("me", "key"), Rules())
    made: Delivery[Any, Any, Any] = Delivery(cast(Connection, line), cargo, Room(most))
    return made, Endless(cargo)


async def test_what_was_too_large_gets_smaller_though_others_grow() -> None:
    """Else it would be as large again once others have been taken."""
    line = Line(TOO_LARGE, TOO_LARGE, None)
    sends, supply = delivery(line, 8)
    put_back = supply.put_back

    async def grown(batch: Batch[Sms, Message]) -> None:
        await put_back(batch)
        sends.room = Room(8)

    supply.put_back = grown  # type: ignore[method-assign]
    assert isinstance(await sends.send(supply), Ending)
    assert supply.rooms == [8, 4, 2]
    assert supply.back == [8, 4]


async def test_after_a_413_one_more_goes_after_each_that_was_taken() -> None:
    line = Line(TOO_LARGE, *[None] * 5)
    sends, supply = delivery(line, 6)
    for _ in range(5):
        await sends.send(supply)
    assert supply.rooms == [6, 3, 4, 5, 6, 6]


def test_an_answer_that_came_too_early_is_each_time_an_exception_of_its_own() -> None:
    assert stale().error is not stale().error
