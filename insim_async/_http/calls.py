"""A call to make, and what its answer means: a value, or why there is none and whether another attempt is safe."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from insim_async._http.transport import Answer
from insim_async._privacy import excerpt
from insim_async.errors import (
    AuthenticationFailed,
    ConfigurationError,
    InSimError,
    OutcomeUnknown,
    RateLimited,
    Refused,
)
from insim_async.timing import Clock

__all__ = ["Again", "Call", "Failure", "judge"]

T = TypeVar("T")


class Call(Generic[T]):
    """One request to make. A plain class, whose ``repr`` shows nothing of its body.

    Args:
        path: Behind the base URL.
        body: JSON, with the access key in it.
        decode: Makes the value of a 2xx answer; raises ValueError where the answer is not what it should be.
        count: How many messages it carries, for the pace.
        repeatable: Whether doing it twice does no harm, so that it is tried again whatever happened.
        patient: Whether waiting for a slot, the pace or a pause is no part of the deadline, which then holds for each
            attempt: what bulk calls need, where waiting is the point.
    """

    __slots__ = ("body", "count", "decode", "path", "patient", "repeatable")

    def __init__(
        self,
        path: str,
        body: bytes,
        decode: Callable[[bytes], T],
        *,
        count: int = 0,
        repeatable: bool = False,
        patient: bool = False,
    ) -> None:
        self.path: str = path
        self.body: bytes = body
        self.decode: Callable[[bytes], T] = decode
        self.count: int = count
        self.repeatable: bool = repeatable
        self.patient: bool = patient


class Again(enum.Enum):
    """Whether another attempt can do harm, or any good."""

    SAFE = "it is proven that nothing was sent"
    IF_REPEATABLE = "it may have been sent: only for what does no harm a second time"
    NEVER = "it would end in the same way"


class Failure(Struct, frozen=True):
    """Why an attempt failed, and whether there may be another."""

    error: InSimError
    again: Again


def judge(answer: Answer, call: Call[T], clock: Clock) -> T | Failure:
    """Say what an answer means; the body of a 2xx is the call's own to read.

    A redirect is never followed, and says that the address is wrong; but 303 says that the request was carried out and
    that its result is elsewhere (RFC 9110, 15.4.4). A 403 that is no JSON is the page of a firewall, about one text
    and not about the account.
    """
    status = answer.status
    if 200 <= status < 300:
        return _decoded(answer, call)
    said = f"the server answered {status}: {excerpt(answer.body, call.body)}".rstrip(": ")
    if status == 429:
        return Failure(RateLimited(said, retry_after=_retry_after(answer.headers, clock)), Again.SAFE)
    if status == 401 or (status == 403 and _is_json(answer)):
        return Failure(
            AuthenticationFailed(f"{said} (are login and access key right?)", status_code=status), Again.NEVER
        )
    if status in {404, 405} or (status < 400 and status != 303):
        return Failure(ConfigurationError(f"{said} (is base_url right? redirects are not followed)"), Again.NEVER)
    if 400 <= status < 500:
        return Failure(Refused(said, status_code=status), Again.NEVER)
    return Failure(OutcomeUnknown(said, status_code=status), Again.IF_REPEATABLE)


def _decoded(answer: Answer, call: Call[T]) -> T | Failure:
    try:
        return call.decode(answer.body)
    except ValueError as error:
        reason = str(error)
    if answer.headers.get("content-encoding", "identity") != "identity":
        reason = "compressed, though that was not asked for"
    said = f"the server answered {answer.status}, but not as documented ({reason}): {excerpt(answer.body, call.body)}"
    return Failure(OutcomeUnknown(said, status_code=answer.status), Again.IF_REPEATABLE)


def _is_json(answer: Answer) -> bool:
    """Say whether there is an object or a list in it; where nobody has read the body, its type tells."""
    if not answer.body:
        return "json" in answer.headers.get("content-type", "")
    try:
        return isinstance(msgspec.json.decode(answer.body), dict | list)
    except (msgspec.DecodeError, RecursionError):
        return False


def _retry_after(headers: Mapping[str, str], clock: Clock) -> float | None:
    """Return the seconds that a 429 asks for: a number, or a date on the server's own clock (RFC 9110, 10.2.3)."""
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
