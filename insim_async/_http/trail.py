"""How far a call has come, as its transport announces it, and what that proves."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import anyio

from insim_async._tasks import Turn

__all__ = ["Fate", "Trail"]


class Fate(enum.Enum):
    """What is known of the requests of a call so far.

    ::

        WAITING ──▶ TRYING ──▶ LEFT ──▶ DOUBTFUL
           ▲           │         │
           └───────────┴─────────┘  proven unsent, or put off by the server
    """

    WAITING = "nothing has been tried, or it is proven that nothing was done"
    TRYING = "a request is being made; that its first byte has left was not announced"
    LEFT = "the first byte has left"
    DOUBTFUL = (
        "an attempt ended, and may have arrived; it stays so, whatever later attempts come to"
    )


_CLOSING = {"close.started", "response_closed.started"}
"""Steps that follow one that has failed, and lead nowhere."""


class Trail:
    """How far a call has come. A transport calls it at each step (httpcore's ``trace`` extension).

    A step is called such as ``connection.connect_tcp.started``; it ends ``complete`` or ``failed``.
    It believes no more than what was announced. That nothing was sent is proven by a step before
    the first byte that was announced as failed, with the very exception that came; or by one that
    was announced and cut off. A transport that fails at a step and then goes another way without a
    word proves nothing.

    Attributes:
        fate: What is known.
        guard: Holds off cancellation where it would cost an injected client's pool a connection.
        stale: Whether an injected client's answer was there before anything could be read: it is
            what the server had said too much before. Where the loop is trio's, nobody can tell.
    """

    __slots__ = ("_failure", "_last", "_socket", "_turn", "fate", "guard", "stale")

    def __init__(self) -> None:
        self.fate: Fate = Fate.WAITING
        self.guard: anyio.CancelScope | None = None
        self.stale: bool = False
        self._last: tuple[str, ...] = ()
        self._failure: BaseException | None = None
        self._turn: Turn | None = None
        self._socket: Any = None

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        _, _, step = self._last = event.partition(".")
        if self.guard is not None:
            # A connection that is cancelled between being made and being used is lost.
            self.guard.shield = step in {"connect_tcp.complete", "start_tls.complete"}
        if step.endswith(".failed"):
            self._failure = info["exception"]
            if step == "start_tls.failed" and self._socket is not None:
                with anyio.CancelScope(shield=True):
                    await self._socket.aclose()  # httpcore forgets it where this was cancelled
        elif step.endswith(".started"):
            self._start(step, info)
        elif step == "receive_response_headers.complete":
            self.stale = self._turn is not None and not self._turn.has_passed
        elif step == "connect_tcp.complete":
            self._socket = info["return_value"]

    def _start(self, step: str, info: Mapping[str, Any]) -> None:
        if step not in _CLOSING:
            self._failure = None  # it goes on
        if step == "send_request_headers.started" and info["request"].method != b"CONNECT":
            self._advance(Fate.LEFT)
        elif step == "receive_response_headers.started" and self.guard is not None:
            self._turn = Turn()

    def begin(self) -> None:
        """Begin an attempt."""
        self._last, self._failure, self.stale = (), None, False
        self._advance(Fate.TRYING)

    def end(self, *, unsent: bool) -> None:
        """End an attempt without success."""
        self._advance(Fate.WAITING if unsent else Fate.DOUBTFUL)

    def is_unsent(self, error: BaseException | None = None) -> bool:
        """Say whether it is proven that nothing of the call has left.

        Args:
            error: What came in place of an answer; None where the attempt was cut off.
        """
        if self.fate is not Fate.TRYING:
            return self.fate is Fate.WAITING
        if error is None:
            # A step that was cut off has failed with what cuts off, which is no Exception.
            return bool(self._last) and not isinstance(self._failure, Exception)
        return self._failure is not None and any(
            each is self._failure for each in _causes_of(error)
        )

    def was_cut_off_by(self, error: BaseException) -> bool:
        """Say whether an exception is the cancellation that has cut off a step.

        And not one that a hook raised, where something that it waits for was cancelled; from an
        injected client's shelter none comes out.
        """
        cancelled = anyio.get_cancelled_exc_class()
        sheltered = self.guard is not None
        return isinstance(error, cancelled) and (sheltered or isinstance(self._failure, cancelled))

    def _advance(self, fate: Fate) -> None:
        if self.fate is not Fate.DOUBTFUL:
            self.fate = fate


def _causes_of(error: BaseException) -> list[BaseException]:
    """Return an exception and what it was raised from in so many words, outermost first."""
    found: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and not any(cause is each for each in found):
        found.append(cause)
        cause = cause.__cause__
    return found
