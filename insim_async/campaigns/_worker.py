"""A worker of a run: sends one request after the other, and is the supply of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

import anyio

from insim_async._sending import Batch, Delivery, Ending, Room
from insim_async._wire import Message
from insim_async.campaigns import _rows
from insim_async.campaigns._claims import Claim, Result
from insim_async.campaigns._spending import Claimed
from insim_async.campaigns._states import Move
from insim_async.errors import (
    AuthenticationFailed,
    InSimError,
    InvalidMessage,
    OutcomeUnknown,
    Refused,
)
from insim_async.models import Outcome, Priority, Sms

__all__ = ["Campaigning", "Worker", "sorted_out"]

_NORMAL, _PRIORITIES = Priority.NORMAL, {priority.value: priority for priority in Priority}


class Campaigning(Protocol):
    """What a worker asks of its run."""

    door: anyio.Lock
    """Held by the worker that waits for the pace, the window or the server."""
    delivery: Delivery[Sms, Message, Outcome]
    prefix: str
    flows: bool
    """Whether claims come back full: then several may be made at a time."""

    @property
    def is_over(self) -> bool:
        """Whether nothing will go any more."""
        ...

    @property
    def is_probing(self) -> bool:
        """Whether only single messages go, to see whether any gets through."""
        ...

    async def is_ready(self) -> bool:
        """Wait until it is worth asking; return False where nothing will go any more."""
        ...

    async def claim(self, room: Room, *, is_probe: bool) -> Claim | None:
        """Claim what goes now; None if nothing does."""
        ...

    def note(self, claim: Claim, ending: Ending[Sms, Message, Outcome], *, is_probe: bool) -> None:
        """Learn from how a request ended."""
        ...

    def put_back(self, claim: Claim) -> None:
        """Have back what is proven unsent."""
        ...

    def learn(self, error: InSimError) -> None:
        """Learn why nothing was sent."""
        ...


class Worker:
    """One of those that send.

    Args:
        run: Shared with the others.
    """

    def __init__(self, run: Campaigning) -> None:
        self._run = run
        self._claim: Claim | None = None
        self._is_probe = False
        self._has_door = False
        self._scope = anyio.CancelScope()

    async def work(self) -> None:
        """Send until nothing will go any more."""
        with self._scope:
            while not self._run.is_over:
                await self._send()

    def stop_waiting(self) -> None:
        """End it, unless a request of its own may have left."""
        if self._claim is None:
            self._scope.cancel()

    async def _send(self) -> None:
        run = self._run
        try:
            await run.door.acquire()
            self._has_door = True
            if not await run.is_ready():
                return
            self._is_probe = run.is_probing
            ended = await run.delivery.send(self)
        finally:
            self._open_door()
        claim, self._claim = self._claim, None
        if isinstance(ended, Ending) and claim is not None:
            run.note(claim, ended, is_probe=self._is_probe)
        elif isinstance(ended, InSimError):
            run.learn(ended)

    async def take(self, room: Room) -> Batch[Sms, Message] | None:
        """Claim what goes, at the moment when it can go."""
        if self._run.flows and not self._is_probe:
            self._open_door()  # claims that wait for a commit share it
        claim = await self._run.claim(room, is_probe=self._is_probe)
        if not self._is_probe:
            self._open_door()
        if claim is None:
            return None
        self._claim = claim
        return self._run.delivery.cargo.check(_messages(claim.rows, self._run.prefix), 0)

    async def put_back(self, batch: Batch[Sms, Message]) -> None:
        """Have back what was claimed and is proven unsent."""
        del batch  # it is the claim that is known
        claim, self._claim = cast(Claim, self._claim), None
        self._run.put_back(claim)

    def _open_door(self) -> None:
        if self._has_door:
            self._has_door = False
            self._run.door.release()


def _messages(rows: Sequence[Claimed], prefix: str) -> list[Sms]:
    return [_message(row, prefix) for row in rows]


def _message(row: Claimed, prefix: str) -> Sms:
    own = _rows.sms_id(prefix, row.row, row.attempt)
    sms_id = row.key if row.key and not row.attempt else own
    priority = _NORMAL if row.priority == 1 else _PRIORITIES[row.priority]
    url = row.url if row.key else row.url and row.url.replace(_rows.SMS_ID, own)
    return Sms(f"+{row.phone}", row.text, url=url, priority=priority, sms_id=sms_id)


def sorted_out(
    claim: Claim, ending: Ending[Sms, Message, Outcome]
) -> tuple[list[Result], list[Claimed]]:
    """Return what became of the rows of a request, and those that are to be put back.

    The refusal of an account, and what never left, are no row's fate.
    """
    if ending.errors is None and len(ending.batch.good) == len(claim.rows):
        return [_sent(list(zip(claim.rows, ending.told, strict=True)))], []
    back: list[Claimed] = []
    sent: list[tuple[Claimed, Outcome]] = []
    others: dict[tuple[Move, str], list[int]] = {}
    for row, outcome in zip(claim.rows, ending.told, strict=True):
        if outcome.error is None:
            sent.append((row, outcome))
        elif (move := _move_for(outcome.error)) is None:
            back.append(row)
        else:
            others.setdefault((move, _words(outcome.error)), []).append(row.row)
    results = [Result(move, rows, words) for (move, words), rows in others.items()]
    return [*([_sent(sent)] if sent else []), *results], back


def _sent(rows: Sequence[tuple[Claimed, Outcome]]) -> Result:
    return Result(Move.ANSWER_SENT, [row.row for row, _ in rows], receipts=_foreign(rows))


def _foreign(rows: Sequence[tuple[Claimed, Outcome]]) -> list[tuple[int, str]]:
    """Return the ids that the server gave in place of ours."""
    return [
        (row.row, outcome.receipt.sms_id)
        for row, outcome in rows
        if outcome.receipt is not None
        and outcome.receipt.sms_id
        and outcome.receipt.sms_id != outcome.sms.sms_id
    ]


def _move_for(error: InSimError) -> Move | None:
    match error:
        case InvalidMessage():
            return Move.UNFIT
        case OutcomeUnknown():
            return Move.LOSE
        case AuthenticationFailed():
            return None
        case Refused():
            return Move.ANSWER_REFUSED
        case _:
            return None


def _words(error: InSimError) -> str:
    codes = ", ".join(error.codes) if isinstance(error, Refused) else ""
    return ": ".join(filter(None, [codes, str(error)]))
