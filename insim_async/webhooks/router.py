"""Which handlers get an event, and what happens when one of them fails.

Handlers run one after the other, in order of registration, and all of them run; what they raised is
raised together afterwards. Whoever dispatched the event then lets it come again (by status 500, or
from the inbox), and all handlers see it again, under the same ``event.key``.
"""

from __future__ import annotations

import functools
import hmac
import inspect
import logging
import re
import secrets
from collections.abc import Callable, Coroutine, Sequence
from math import log2
from typing import Any, Literal, NoReturn, TypeVar, overload

from insim_async.errors import ConfigurationError
from insim_async.webhooks._counts import Counts, WebhookStatistics
from insim_async.webhooks.events import Event

__all__ = ["SECRET_BITS", "WebhookRouter", "new_secret"]

A = TypeVar("A", bound=Event)
B = TypeVar("B", bound=Event)
C = TypeVar("C", bound=Event)
E = TypeVar("E")
R = TypeVar("R")
Handler = Callable[[E], Coroutine[Any, Any, R]]
logger: logging.Logger = logging.getLogger("insim_async")

SECRET_BITS = 128
_URL_SAFE = re.compile(r"[A-Za-z0-9._~-]+")
_POORER = [
    (re.compile(r"[0-9]+"), 10),
    (re.compile(r"[0-9a-f]+|[0-9A-F]+"), 16),
    (re.compile(r"[0-9a-z]+|[0-9A-Z]+"), 36),
]


class WebhookRouter:
    """Knows the secret of the callback URL, and which handler is for which event.

    Args:
        secret: The last part of the callback URL's path, as ``new_secret`` makes it; two while you
            change from one to the other.

    Raises:
        ConfigurationError: A secret is missing, can be guessed, or cannot stand in a URL as it is.
    """

    def __init__(self, *, secret: str | Sequence[str]) -> None:
        given: list[str] = [secret] if isinstance(secret, str) else list(secret or [""])
        if not 1 <= len(given) <= 2:
            raise ConfigurationError(
                "secret: expected one, or two while changing from one to the other"
            )
        for one in given:
            _check_secret(one)
        self._secrets = _Secret(given[0], "ascii"), _Secret(given[-1], "ascii")
        self._handlers: list[
            tuple[tuple[type[Event], ...], Callable[[Any], Coroutine[Any, Any, object]]]
        ] = []
        self.counts: Counts = Counts()

    @overload
    def on(self, kind: type[A], /) -> Callable[[Handler[A, R]], Handler[A, R]]: ...
    @overload
    def on(
        self, kind: type[A], other: type[B], /
    ) -> Callable[[Handler[A | B, R]], Handler[A | B, R]]: ...
    @overload
    def on(
        self, kind: type[A], other: type[B], third: type[C], /
    ) -> Callable[[Handler[A | B | C, R]], Handler[A | B | C, R]]: ...
    @overload
    def on(self, *kinds: type[Event]) -> Callable[[Handler[Any, R]], Handler[Any, R]]: ...
    def on(self, *kinds: type[Event]) -> Callable[[Handler[Any, R]], Handler[Any, R]]:
        """Register a coroutine function for one or more classes of events; ``Event`` means all.

        Raises:
            ConfigurationError: It is not a coroutine function, or that is no class of events.
        """
        if not kinds or not all(
            isinstance(kind, type) and issubclass(kind, Event) for kind in kinds
        ):
            raise ConfigurationError(
                "on: expected classes of events, as in @router.on(IncomingSms)"
            )

        def register(handler: Handler[Any, R]) -> Handler[Any, R]:
            if not _is_async(handler):
                raise ConfigurationError(
                    f"on: {_name(handler)} is no coroutine function: "
                    "write async def, and give what blocks to a thread"
                )
            self._handlers.append((kinds, handler))
            return handler

        return register

    async def dispatch(self, event: Event) -> None:
        """Give an event to its handlers, one after the other.

        A handler that is cancelled ends the dispatch: those after it do not run.

        Raises:
            ExceptionGroup: What handlers raised, after all of them ran.
        """
        failures: list[Exception] = []
        ended: Literal["handled", "failed"] = "failed"
        try:
            for kinds, handler in self._handlers:
                if isinstance(event, kinds):
                    try:
                        await handler(event)
                    except Exception as error:  # noqa: BLE001 - it is the user's, and may raise anything
                        failures.append(error)
                        _log_failure(event, handler, error)
            if not failures:
                ended = "handled"
        finally:
            self.counts.add(ended)
        if failures:
            raise ExceptionGroup("handlers of a webhook failed", failures)

    def admits(self, secret: str) -> bool:
        """Return whether that is a secret of this router; it takes the same time for any other."""
        came, (one, other) = secret.encode("utf-8", "surrogatepass"), self._secrets
        return hmac.compare_digest(came, one) | hmac.compare_digest(
            came, other
        )  # "or" would not look at both

    def statistics(self) -> WebhookStatistics:
        """Return what was counted up to now."""
        return self.counts.statistics()


def new_secret() -> str:
    """Return a secret for a callback URL: 256 bits from the operating system, URL-safe."""
    return secrets.token_urlsafe(32)


def _check_secret(secret: object) -> None:
    if not isinstance(secret, str) or not secret:
        raise ConfigurationError(
            "secret: it is missing, or no text (is INSIM_WEBHOOK_SECRET set?); "
            "python -m insim_async.webhooks secret makes one"
        )
    if not _URL_SAFE.fullmatch(secret):
        raise ConfigurationError("secret: only A-Z a-z 0-9 - . _ ~ stand in a URL as they are")
    letters = next((size for alphabet, size in _POORER if alphabet.fullmatch(secret)), 64)
    if len(secret) * log2(letters) < SECRET_BITS or len(set(secret)) < 8:
        raise ConfigurationError(
            f"secret: it has less than {SECRET_BITS} bits; "
            "make one with insim_async.webhooks.new_secret()"
        )


class _Secret(bytes):
    """A secret that no ``repr`` shows and that cannot be pickled."""

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__

    def __reduce_ex__(self, _: object) -> NoReturn:
        raise TypeError("a WebhookRouter holds a secret: it is not pickled")


def _is_async(handler: object) -> bool:
    handler = _unwrapped(handler)
    # Of an object, not of a class: calling that makes an object.
    called = getattr(type(handler), "__call__", None)  # noqa: B004 - whether it is async is the question
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(called)


def _name(handler: object) -> str:
    handler = _unwrapped(handler)
    return str(getattr(handler, "__qualname__", None) or type(handler).__qualname__)


def _unwrapped(handler: object) -> object:
    return _unwrapped(handler.func) if isinstance(handler, functools.partial) else handler


class _HandlerError(Exception):
    """Replaces, in the log, what a handler raised: its words may hold a person's number or text."""


def _log_failure(event: Event, handler: object, error: Exception) -> None:
    name, raised = _name(handler), type(error).__name__
    facts = {"event_kind": event.kind, "event_key": event.key, "handler": name}
    logger.error(
        "webhook %s: %s raised %s", event.kind, name, raised, extra=facts, exc_info=_silent(error)
    )
    logger.debug("webhook %s: %s raised", event.kind, name, exc_info=error)


def _silent(error: BaseException) -> BaseException:
    name = type(error).__name__
    inner = (
        [_silent(each) for each in error.exceptions]
        if isinstance(error, BaseExceptionGroup)
        else []
    )
    silent = BaseExceptionGroup(name, inner) if inner else _HandlerError(name)
    return silent.with_traceback(error.__traceback__)
