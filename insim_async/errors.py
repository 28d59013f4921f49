"""What can go wrong, one class for each thing the caller can do about it.

::

    InSimError
    ├── ConfigurationError        misuse; nothing was sent: mend the program or its settings
    ├── InvalidMessage            bad input; nothing was sent: mend the input
    ├── NotSent                   proven: nothing was sent; sending again is safe
    │   └── RateLimited           the server asked for patience: wait retry_after seconds
    ├── Refused                   the server said no: read codes and status_code
    │   └── AuthenticationFailed  login or access key: nothing else will pass either
    ├── OutcomeUnknown            it may have been sent: look before sending again
    ├── BulkInterrupted           a bulk call's input failed: read report or results
    ├── InvalidWebhook            a request that is not an event of inSIM
    ├── InboxUnavailable          the inbox's file is full, locked or damaged: nothing was stored
    ├── LedgerUnavailable         the same of a campaign's or an outbox's file
    ├── CampaignBusy              another process or task runs it: pid, host, since
    ├── CampaignChanged           what is added is not what is there: read what differs
    ├── CampaignStopped           the run could not go on: cause says why, report how far
    └── OutboxConflict            that id is there already, with another content

No error holds the access key, a phone number or a text.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from datetime import datetime

    from insim_async.campaigns import CampaignReport
    from insim_async.models import BulkReport, ContactResult

__all__ = [
    "AuthenticationFailed",
    "BulkInterrupted",
    "CampaignBusy",
    "CampaignChanged",
    "CampaignStopped",
    "ConfigurationError",
    "InSimError",
    "InboxUnavailable",
    "InvalidMessage",
    "InvalidWebhook",
    "LedgerUnavailable",
    "NotSent",
    "OutboxConflict",
    "OutcomeUnknown",
    "RateLimited",
    "Refused",
]


E = TypeVar("E", bound=Exception)


class InSimError(Exception):
    """Base of every error of this package."""


class ConfigurationError(InSimError):
    """The client was built or used in a way that cannot work; nothing was sent.

    Attributes:
        results: Of ``add_contacts``, where it ended early: a result for each contact that it had
            read.
    """

    results: Sequence[ContactResult] = ()


class InvalidMessage(InSimError, ValueError):
    """The input cannot be sent as it is; nothing was sent.

    Attributes:
        field: Which part of the input is at fault (``"phone_number"``, ``"message"``, ...).
        reason: What is wrong with it and what to do, without repeating its content.
    """

    def __init__(self, field: str = "", reason: str = "") -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


class NotSent(InSimError):
    """No byte of the request left this machine, or the server put it off: sending again is safe."""


class RateLimited(NotSent):
    """The server asked for patience (429) until the attempts, or the time to wait, ran out.

    Attributes:
        retry_after: How long it last asked to wait, or what was left of that, in seconds; None
            where it did not say.
    """

    def __init__(self, message: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Refused(InSimError):
    """The server said no.

    Attributes:
        codes: The vendor's error codes (``("#007",)``), empty where the answer had none.
        status_code: The HTTP status.
    """

    def __init__(
        self, message: str = "", *, codes: tuple[str, ...] = (), status_code: int = 200
    ) -> None:
        super().__init__(message)
        self.codes = codes
        self.status_code = status_code


class AuthenticationFailed(Refused):
    """Login or access key were refused, or the account is not active.

    No other call will pass either.

    Attributes:
        results: Of ``add_contacts``, where it ended early: a result for each contact that it had
            read.
    """

    results: Sequence[ContactResult] = ()


class OutcomeUnknown(InSimError):
    """The request left, and no answer says what became of it: it may have been sent.

    Attributes:
        status_code: The HTTP status of an answer that says nothing of use; None where there was
            none.
    """

    def __init__(self, message: str = "", *, status_code: int | None = None) -> None:
        super().__init__(message)
        self.status_code = status_code


class BulkInterrupted(InSimError):
    """The iterable given to ``send_many`` or ``add_contacts`` raised.

    Its exception is the ``__cause__``. Where the client was closed before an asynchronous input
    came to its end, that is a ``ConfigurationError``.

    Attributes:
        report: The outcomes of all messages that came before it; they are final. Empty for
            ``add_contacts``.
        results: The results of all contacts that came before it. Empty for ``send_many``.
    """

    def __init__(
        self, message: str, *, report: BulkReport, results: Sequence[ContactResult] = ()
    ) -> None:
        super().__init__(message)
        self.report = report
        self.results = results

    def __reduce__(self) -> tuple[object, ...]:
        return _bulk_interrupted, (str(self), self.report, self.results)


class InvalidWebhook(InSimError):
    """The request is not an event of inSIM."""


class InboxUnavailable(InSimError):
    """The inbox could not be read or written; nothing was stored.

    Its disk is full, or its file is locked or damaged.
    """


class LedgerUnavailable(InSimError):
    """The file of a campaign or an outbox could not be read or written; nothing was changed.

    Its disk is full, or its file is locked or damaged.
    """


class CampaignBusy(InSimError):
    """Another process, or another task of this one, runs the campaign; nothing was done.

    Attributes:
        pid: Its process; 0 where that is not known.
        host: Its machine, as that calls itself.
        since: When it began; None where that is not known.
    """

    def __init__(
        self, message: str = "", *, pid: int = 0, host: str = "", since: datetime | None = None
    ) -> None:
        super().__init__(message)
        self.pid = pid
        self.host = host
        self.since = since


class CampaignChanged(InSimError):
    """What is added differs from what the campaign has; nothing was added.

    Attributes:
        template: Whether the text, ``url`` or priority is another one.
        lines: Of known people for whom another text would come out: the first hundred lines (or
            places, from 1).
    """

    def __init__(
        self, message: str = "", *, template: bool = False, lines: tuple[int, ...] = ()
    ) -> None:
        super().__init__(message)
        self.template = template
        self.lines = lines


class CampaignStopped(InSimError):
    """The run could not go on. What was not sent is pending, and the next run goes on with it.

    Attributes:
        cause: Why: ``AuthenticationFailed`` or ``ConfigurationError`` where nothing else would pass
            either; ``OutcomeUnknown`` or ``NotSent`` where there was no answer of use for an hour;
            ``LedgerUnavailable`` where the file could not be written.
        report: How far it has come.
    """

    def __init__(self, message: str, *, cause: InSimError, report: CampaignReport) -> None:
        super().__init__(message)
        self.cause = cause
        self.report = report

    def __reduce__(self) -> tuple[object, ...]:
        return _campaign_stopped, (str(self), self.cause, self.report)


class OutboxConflict(InSimError):
    """A message with that id is there already, with another content; nothing was stored."""


def afresh(error: E) -> E:
    """Return a copy of an exception, to be raised: one with the same words, facts and cause.

    Raising one exception again and again makes its traceback grow.
    """
    again = copy.copy(error)
    again.__cause__ = error.__cause__
    return again


def _bulk_interrupted(
    message: str, report: BulkReport, results: Sequence[ContactResult]
) -> BulkInterrupted:
    return BulkInterrupted(message, report=report, results=results)


def _campaign_stopped(message: str, cause: InSimError, report: CampaignReport) -> CampaignStopped:
    return CampaignStopped(message, cause=cause, report=report)
