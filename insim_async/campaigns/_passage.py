"""Whether messages get through, as the ends of requests tell, and how long to wait where not.

A campaign gives up after an hour, an outbox goes on until it is mended; each says so once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from insim_async._sending import Breaker
from insim_async.errors import (
    AuthenticationFailed,
    ConfigurationError,
    InSimError,
    NotSent,
    OutcomeUnknown,
)

__all__ = ["NO_USE", "REFUSED", "UNSENDABLE", "Passage"]

PROBES = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, *[600.0] * 5)
"""Seconds before each probe of a server that gives no answer of use: an hour in all."""
ATTEMPTS = 3
"""As many for each slot as are put back in a row mean that nothing gets through."""
SELDOM = 3600.0
"""Seconds between later probes, of a run without an end, where each may cost a message its fate."""
NO_USE = "the server gives no answer of use"
REFUSED = "login or access key were refused"
UNSENDABLE = "nothing can be sent"
_USELESS = OutcomeUnknown | NotSent | AuthenticationFailed | ConfigurationError

logger: logging.Logger = logging.getLogger("insim_async")


class Passage:
    """What a run has learnt of the way to the phone.

    Args:
        slots: Requests at once, at most.
        now: Returns seconds since 1970.
        failing_since: Since when nothing gets through, as an earlier run wrote it down.
        misuse: Returns why the client cannot be used here; None if it can.
        is_endless: Whether to go on where nothing gets through, until that is mended.

    Attributes:
        trouble: Why nothing gets through; empty as long as something does.
        failing_since: Since when.
        cause: The error that was last of no use.
    """

    def __init__(
        self,
        slots: int,
        now: Callable[[], float],
        failing_since: float | None,
        misuse: Callable[[], InSimError | None],
        *,
        is_endless: bool,
    ) -> None:
        self.trouble = ""
        self.failing_since = failing_since
        self.cause: InSimError = OutcomeUnknown("there was no answer of use")
        self._slots = slots
        self._now = now
        self._misuse = misuse
        self._who = "outbox" if is_endless else "campaign"
        self._is_endless = is_endless
        self._breaker = Breaker(PROBES)
        self._put_back = 0

    @property
    def is_blocked(self) -> bool:
        """Whether only single messages go, to see whether any gets through."""
        return self._breaker.is_open

    @property
    def wait(self) -> float | None:
        """Seconds until the next of them; None where there has been the last."""
        wait = self._breaker.wait
        if wait is None and self._is_endless:
            return SELDOM if isinstance(self.cause, OutcomeUnknown) else PROBES[-1]
        return wait

    def ended(self, errors: Sequence[InSimError | None], *, is_probe: bool) -> None:
        """Learn that a request was made, and how each of its messages ended."""
        self._put_back = 0
        useless = [isinstance(error, _USELESS) for error in errors]
        self._breaker.ended(unknown=bool(useless) and all(useless), probe=is_probe)

    def put_back(self) -> InSimError | None:
        """Learn that an attempt is proven unsent; return what to learn of it, if it is too many.

        Where it is the only one, another worker takes it before its own tries again; so nobody
        would see that no attempt gets through.
        """
        self._put_back += 1
        enough = self._put_back >= ATTEMPTS * self._slots
        return NotSent("no attempt gets through") if enough else None

    def learn(self, error: InSimError) -> str:
        """Learn why nothing was sent; return why to stop for it, or an empty text."""
        match error:
            case AuthenticationFailed():
                return self._refused(error, REFUSED)
            case ConfigurationError():
                return self._refused(error, UNSENDABLE)
            case NotSent():
                self.cause = error
                self._breaker.trip()
                self._fails(error)
            case OutcomeUnknown():
                self.cause = error
                if self.is_blocked:
                    self._fails(error)
        return ""

    def recovered(self) -> bool:
        """Learn that something got through; return whether nothing had before."""
        if self.is_blocked or not self.trouble:
            return False
        logger.info("%s: messages get through again", self._who)
        self.trouble, self.failing_since = "", None
        return True

    def _refused(self, error: InSimError, reason: str) -> str:
        """Stop; or wait until it is mended, and say so once: it is no message's fault."""
        if not self._is_endless or self._misuse() is not None:
            return reason
        self.cause, self.failing_since = error, None
        self._breaker.trip()
        self._warn(reason, error)
        return ""

    def _fails(self, error: InSimError) -> None:
        if self.failing_since is None:
            self.failing_since = self._now()
        self._warn(NO_USE, error)

    def _warn(self, trouble: str, error: InSimError) -> None:
        if trouble != self.trouble:
            said = "%s: %s, so all waits; it goes on trying%s: %s"
            most = "" if self._is_endless else " for an hour"
            logger.warning(said, self._who, trouble, most, error)
        self.trouble = trouble
