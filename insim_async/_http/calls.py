"""A call to make: what an answer means, what a failure proves, and whether to try again.

All of it is decided here, by functions without I/O: "why was this not retried?" is answered in this
file.

"Not sent" is provable only up to the first byte of our own request. httpcore announces that byte
through the ``trace`` extension. A transport that announces nothing (a mock, another HTTP stack)
proves nothing by its silence, and nothing by the class of what it raises: ``httpx_aiohttp`` raises
``ConnectTimeout`` when a server hangs up after the whole body.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from insim_async._http.transport import Answer, is_about
from insim_async._privacy import Unshown, excerpt
from insim_async.errors import (
    AuthenticationFailed,
    ConfigurationError,
    InSimError,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Refused,
)
from insim_async.timing import Clock, Retry

__all__ = [
    "Again",
    "Call",
    "Failure",
    "classes_of",
    "decide",
    "judge",
    "loss",
    "proves_itself",
    "stale",
    "words_of",
]

T = TypeVar("T")

_RAISED_BEFORE_SENDING = {
    "ConnectError",
    "ConnectTimeout",
    "PoolTimeout",
    "ProxyError",
    "UnsupportedProtocol",
}
_RAISED_BY_MOCKS = {"SideEffectError"}  # what respx puts around an error that a test ordered


class Call(Unshown, Generic[T], frozen=True, kw_only=True):
    """One request to make.

    Args:
        path: Behind the base URL.
        body: JSON, with the access key in it.
        decode: Makes the value of a 2xx answer; raises ValueError where the answer is not what it
            should be.
        parts: How many parts of SMS it carries, for the pace.
        repeatable: Whether doing it twice does no harm, so that it is tried again whatever
            happened.
        refusal_in: Finds in a body whose status says no that the account was refused.
        put_back: Awaited where what it carried is free again: another attempt follows, or one was
            cancelled that is proven unsent. No cancellation reaches it.
    """

    path: str
    body: bytes
    decode: Callable[[bytes], T]
    parts: int = 0
    repeatable: bool = False
    refusal_in: Callable[[bytes], InSimError | None] = lambda _: None
    put_back: Callable[[], Awaitable[None]] | None = None


class Again(enum.Enum):
    """Whether another attempt can do harm, or any good."""

    SAFE = "it is proven that nothing was sent"
    IF_REPEATABLE = "it may have been sent: only for what does no harm a second time"
    NEVER = "it would end in the same way"


class Failure(Struct, frozen=True):
    """Why an attempt failed, and whether there may be another."""

    error: InSimError
    again: Again


def decide(
    failure: Failure, attempt: int, call: Call[T], retry: Retry, chance: float
) -> float | None:
    """Return how many seconds to wait for the next attempt; None if there is none.

    Args:
        failure: How the last one ended.
        attempt: Which that was, from 1.
        call: What is to be done.
        retry: How often, and how long between.
        chance: From 0 up to 1.
    """
    safe = failure.again is Again.SAFE or (failure.again is Again.IF_REPEATABLE and call.repeatable)
    return retry.wait_after(attempt, chance) if safe else None


# Answers -----------------------------------------------------------------------------------------


def judge(answer: Answer, call: Call[T], clock: Clock) -> T | Failure:
    """Say what an answer means; the body of a 2xx is the call's own to read.

    A redirect is never followed, and says that the address is wrong; but 303 says that the request
    was carried out and that its result is elsewhere (RFC 9110, 15.4.4). A 403 that is no JSON is
    the page of a firewall, about one text and not about the account.
    """
    status = answer.status
    if 200 <= status < 300:
        return _value_of(answer, call)
    body = answer.body or b""
    said = f"the server answered {status}: {excerpt(body, call.body)}".rstrip(": ")
    if status == 429:
        asked = _retry_after(answer.headers, clock)
        return Failure(RateLimited(said, retry_after=asked), Again.SAFE)
    is_refusal = status == 401 or (status == 403 and _is_json(answer))
    if is_refusal or (400 <= status < 500 and call.refusal_in(body) is not None):
        words = f"{said} (are login and access key right?)"
        return Failure(AuthenticationFailed(words, status_code=status), Again.NEVER)
    if status in {404, 405} or (300 <= status < 400 and status != 303):
        return Failure(
            ConfigurationError(f"{said} (is base_url right? redirects are not followed)"),
            Again.NEVER,
        )
    if 400 <= status < 500:
        return Failure(Refused(said, status_code=status), Again.NEVER)
    return Failure(OutcomeUnknown(said, status_code=status), Again.IF_REPEATABLE)


def _value_of(answer: Answer, call: Call[T]) -> T | Failure:
    try:
        return call.decode(answer.body or b"")
    except ValueError as error:
        reason = str(error)
    if answer.headers.get("content-encoding", "identity") != "identity":
        reason = "compressed, though that was not asked for"
    words = excerpt(answer.body or b"", call.body)
    said = f"the server answered {answer.status}, but not as documented ({reason}): {words}"
    return Failure(OutcomeUnknown(said, status_code=answer.status), Again.IF_REPEATABLE)


def _is_json(answer: Answer) -> bool:
    """Say whether the answer holds an object or a list.

    Where nobody has read the body, its type tells.
    """
    if answer.body is None:
        return "json" in answer.headers.get("content-type", "")
    try:
        return isinstance(msgspec.json.decode(answer.body), dict | list)
    except (msgspec.DecodeError, RecursionError):
        return False


def _retry_after(headers: Mapping[str, str], clock: Clock) -> float | None:
    """Return the seconds that a 429 asks for: a number, or a date on the server's own clock.

    The rule is that of RFC 9110, 10.2.3.
    """
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,15}", value):
        return float(value)
    until, now = _http_date(value), _http_date(headers.get("date", ""))
    return None if until is None else max(0.0, until - (clock.wall() if now is None else now))


def _http_date(value: str) -> float | None:
    from email.utils import parsedate_to_datetime  # slow to import, and seldom needed

    try:
        date = parsedate_to_datetime(value)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


# Failures without an answer ----------------------------------------------------------------------


def stale() -> Failure:
    """Say what is known where a server had said too much before, on a connection used again."""
    words = "the answer was there before the request: it may have been sent"
    return Failure(OutcomeUnknown(words), Again.IF_REPEATABLE)


def loss(error: BaseException, call: Call[T], host: str, *, unsent: bool) -> Failure:
    """Say what an exception means that came in place of an answer.

    Args:
        error: Whatever the transport, or a hook, raised.
        call: What was to be done; its words are kept out of ours.
        host: Where it was to go.
        unsent: Whether it is proven that nothing was sent.
    """
    import ssl  # slow to import, and seldom needed

    what = words_of(error, call)
    if not unsent:
        return Failure(OutcomeUnknown(f"it may have been sent: {what}"), Again.IF_REPEATABLE)
    not_trusted = any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _chain(error))
    again = Again.NEVER if not_trusted else Again.SAFE
    return Failure(NotSent(f"nothing was sent to {host}: {what}"), again)


def proves_itself(error: BaseException, request: object) -> bool:
    """Say whether an exception alone proves that nothing was sent.

    It has to be the HTTP client's own, about our request, and not a hook's. Then the operating
    system's refusal proves it, where that is the first cause of all; and so does what a mock raises
    bare, with no other cause than its like. A transport that turns whatever happened into a
    ``ConnectError`` has a cause.
    """
    import socket  # slow to import, and seldom needed
    import ssl

    chain = _chain(error)
    refusals = (ConnectionRefusedError, socket.gaierror, ssl.SSLCertVerificationError)
    refused = isinstance(chain[-1], refusals) or all(map(_is_raised_before_sending, chain))
    return refused and is_about(error, request)


def _is_raised_before_sending(error: BaseException) -> bool:
    names = {cls.__name__ for cls in type(error).__mro__}
    return not names.isdisjoint(_RAISED_BEFORE_SENDING | _RAISED_BY_MOCKS)


def _chain(error: BaseException | None) -> list[BaseException]:
    """Return an exception and what caused it, or came before it, outermost first."""
    found: list[BaseException] = []
    while error is not None and not any(error is each for each in found):
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def classes_of(error: BaseException) -> str:
    """Name the classes of an exception and of what caused it: no word of theirs, no value."""
    classes = map(type, _chain(error))
    return " < ".join(f"{each.__module__}.{each.__qualname__}" for each in classes)


def words_of(error: BaseException, call: Call[T]) -> str:
    """Say what an exception says, without what it repeats of the request."""
    words = next(filter(None, map(_said, _chain(error))), "")
    said = f"{type(error).__name__}: {words}".encode(errors="replace")
    return excerpt(said, call.body).rstrip(": ")


def _said(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - it is the caller's, and may raise anything
        return ""
