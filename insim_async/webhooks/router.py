"""Which handlers get an event, and what happens when one of them fails.

Handlers run one after the other, in order of registration, and all of them run; what they raised is
raised together afterwards. Whoever dispatched the event then lets it come again (by status 500, or
from the inbox), and all handlers see it again, under the same ``event.key``.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from types import EllipsisType
from typing import Any, Final, Literal, TypeVar, overload

from insim_async.errors import ConfigurationError
from insim_async.webhooks._attempt import GiveUp, RetryLater, wish_of
from insim_async.webhooks._counts import Counts, WebhookStatistics
from insim_async.webhooks._secrets import Secrets
from insim_async.webhooks.events import (
    CallEvent,
    CallQualification,
    DeliveryStatus,
    Event,
    IncomingSms,
    LinkClick,
    UnknownEvent,
)

__all__ = ["ANY_KIND", "WebhookRouter", "kinds_of"]

A = TypeVar("A", bound=Event)
B = TypeVar("B", bound=Event)
C = TypeVar("C", bound=Event)
D = TypeVar("D", bound=Event)
F = TypeVar("F", bound=Event)
G = TypeVar("G", bound=Event)
E = TypeVar("E")
R = TypeVar("R")
Handler = Callable[[E], Coroutine[Any, Any, R]]
logger: logging.Logger = logging.getLogger("insim_async")

ANY_KIND: Final = "*"
"""Stands among kinds for all, those too that a later version may know."""
_PUBLISHED: tuple[type[Event], ...] = (
    IncomingSms,
    CallEvent,
    LinkClick,
    CallQualification,
    DeliveryStatus,
    UnknownEvent,
)


class WebhookRouter:
    """Knows which handler is for which event, and may know the secret of the callback URL.

    Args:
        secret: The last part of the callback URL's path, as ``new_secret`` makes it; two while you
            change from one to the other. Left out, it is given to ``webhook_app`` or
            ``webhook_handler``: so handlers can be written before there is a secret.

    Raises:
        ConfigurationError: A secret that was given is missing (None or empty, as a variable that is
            not set), can be guessed, or cannot stand in a URL as it is.
    """

    def __init__(self, *, secret: str | Sequence[str] | EllipsisType = ...) -> None:
        self.secrets: Secrets | None = None if secret is ... else Secrets(secret)
        self.counts: Counts = Counts()
        self._entries: list[_Registered | WebhookRouter] = []
        self._said_to_ignore: set[str] = set()

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
    def on(
        self, kind: type[A], other: type[B], third: type[C], fourth: type[D], /
    ) -> Callable[[Handler[A | B | C | D, R]], Handler[A | B | C | D, R]]: ...
    @overload
    def on(
        self,
        kind: type[A],
        other: type[B],
        third: type[C],
        fourth: type[D],
        fifth: type[F],
        /,
    ) -> Callable[[Handler[A | B | C | D | F, R]], Handler[A | B | C | D | F, R]]: ...
    @overload
    def on(
        self,
        kind: type[A],
        other: type[B],
        third: type[C],
        fourth: type[D],
        fifth: type[F],
        sixth: type[G],
        /,
    ) -> Callable[[Handler[A | B | C | D | F | G, R]], Handler[A | B | C | D | F | G, R]]: ...
    @overload
    def on(self, *kinds: type[Event]) -> Callable[[Handler[Event, R]], Handler[Event, R]]: ...
    def on(self, *kinds: type[Event]) -> Callable[[Handler[Any, R]], Handler[Any, R]]:
        """Register a coroutine function for one or more classes of events; ``Event`` means all.

        Raises:
            ConfigurationError: It is not a coroutine function, takes not one argument, or that is
                no class of events.
        """
        if not kinds or not all(map(_is_kind, kinds)):
            raise ConfigurationError(
                "on: expected classes of events, as in @router.on(IncomingSms)"
            )

        def register(handler: Handler[Any, R]) -> Handler[Any, R]:
            _check_handler(handler)
            self._entries.append((kinds, handler))
            return handler

        return register

    def include(self, other: WebhookRouter) -> None:
        """Let the handlers of another router have events, too, those that it gets later as well.

        They come behind the handlers that are here already. Its secret and its counts stay its own.

        Raises:
            ConfigurationError: That is no router, or one of the two has the other already.
        """
        if not isinstance(other, WebhookRouter):
            raise ConfigurationError(f"include: expected a router, got {type(other).__name__}")
        if self in other.family() or other in self.family():
            raise ConfigurationError("include: one of the two routers has the other already")
        self._entries.append(other)

    async def dispatch(self, event: Event) -> None:
        """Give an event to its handlers, one after the other.

        A handler that is cancelled ends the dispatch: those after it do not run. An event for which
        there is none is ignored: that is counted, and said once for each kind.

        Raises:
            ExceptionGroup: What handlers raised, after all of them ran.
        """
        failures: list[Exception] = []
        ended: Literal["handled", "failed", "ignored"] = "ignored"
        try:
            for kinds, handler in self._each():
                if isinstance(event, kinds):
                    ended = "failed"  # until it has come to its end
                    try:
                        await handler(event)
                    except Exception as error:  # noqa: BLE001 - it is the user's, and may raise anything
                        failures.append(error)
                        _log_failure(event, handler, error)
                    ended = "failed" if failures else "handled"
        finally:
            self.counts.add(ended)
        if ended == "ignored":
            self._say_it_is_ignored(event.kind)
        if failures:
            raise ExceptionGroup("handlers of a webhook failed", failures)

    def handles(self, event: Event) -> bool:
        """Return whether there is a handler for an event."""
        return any(isinstance(event, kinds) for kinds, _ in self._each())

    def kinds(self) -> frozenset[str]:
        """Return the kinds of events for which there is a handler, as their ``kind`` says it.

        ``"*"`` is among them if there is one for all.
        """
        return kinds_of([kind for kinds, _ in self._each() for kind in kinds])

    def admits(self, secret: str) -> bool:
        """Return whether that is a secret of this router; it takes the same time for any other.

        Raises:
            ConfigurationError: The router has none.
        """
        if self.secrets is None:
            raise ConfigurationError("secret: this router has none")
        return self.secrets.admit(secret)

    def statistics(self) -> WebhookStatistics:
        """Return what was counted up to now."""
        return self.counts.statistics()

    def family(self) -> Iterator[WebhookRouter]:
        """Yield this router and all that it includes, each once."""
        return self._family({self})

    def _family(self, seen: set[WebhookRouter]) -> Iterator[WebhookRouter]:
        yield self
        for entry in self._entries:
            if isinstance(entry, WebhookRouter) and entry not in seen:
                seen.add(entry)
                yield from entry._family(seen)  # noqa: SLF001 - one of its own

    def _each(self, seen: set[WebhookRouter] | None = None) -> Iterator[_Registered]:
        """Yield all handlers in their order; those of a router once, in however many ways it came.

        Args:
            seen: The routers whose handlers were there already.
        """
        seen = {self} if seen is None else seen
        for entry in self._entries:
            if not isinstance(entry, WebhookRouter):
                yield entry
            elif entry not in seen:
                seen.add(entry)
                yield from entry._each(seen)  # noqa: SLF001 - one of its own

    def _say_it_is_ignored(self, kind: str) -> None:
        if kind not in self._said_to_ignore:
            self._said_to_ignore.add(kind)
            logger.warning("webhook %s: ignored, since no handler is for it (said once)", kind)


_Registered = tuple[tuple[type[Event], ...], Callable[[Any], Coroutine[Any, Any, object]]]


def kinds_of(classes: Sequence[type[Event]]) -> frozenset[str]:
    """Return the kinds of events that handlers for some classes get.

    Raises:
        ConfigurationError: One is no class of events.
    """
    if isinstance(classes, type) or not all(map(_is_kind, classes)):
        raise ConfigurationError("kinds: expected classes of events, as in kinds=[IncomingSms]")
    found = {kind.kind for kind in _PUBLISHED if issubclass(kind, tuple(classes))}
    return frozenset(found | {ANY_KIND} if Event in classes else found)


def _is_kind(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Event)


def _check_handler(handler: object) -> None:
    if not _is_async(handler):
        raise ConfigurationError(
            f"on: {_name(handler)} is no coroutine function: "
            "write async def, and give what blocks to a thread"
        )
    if not _takes_one(handler):
        raise ConfigurationError(
            f"on: {_name(handler)} cannot be called with an event alone "
            "(of a method, register that of an object)"
        )


def _takes_one(handler: Any) -> bool:
    try:
        # What a decorator takes, and not what the function behind it does.
        signature = inspect.signature(handler, follow_wrapped=False)
    except (TypeError, ValueError):
        return True  # it does not say
    try:
        signature.bind(None)
    except TypeError:
        return False
    return True


def _is_async(handler: object) -> bool:
    handler = _inner(handler)
    # Of an object, not of a class: calling that makes an object.
    called = getattr(type(handler), "__call__", None)  # noqa: B004 - whether it is async is the question
    return (
        inspect.iscoroutinefunction(handler)
        or inspect.iscoroutinefunction(called)
        # A plain function that says which async one it wraps, and returns what that returns.
        or _is_wrapped_around_one(handler)
    )


def _is_wrapped_around_one(handler: object) -> bool:
    wrapped: object = getattr(handler, "__wrapped__", None)
    return wrapped is not None and _is_async(wrapped)


def _name(handler: object) -> str:
    handler = _inner(handler)
    return str(getattr(handler, "__qualname__", None) or type(handler).__qualname__)


def _inner(handler: object) -> object:
    return _inner(handler.func) if isinstance(handler, functools.partial) else handler


class _HandlerError(Exception):
    """Replaces, in the log, what a handler raised: its words may hold a person's number or text."""


def _log_failure(event: Event, handler: object, error: Exception) -> None:
    name, raised = _name(handler), type(error).__name__
    facts = {"event_kind": event.kind, "event_key": event.key, "handler": name}
    match wish_of(error):
        case RetryLater(after=after):
            words = f"wants it again in {after:.0f} s"
        case GiveUp():
            words = "gives up"
        case _:
            words = ""
    if words:
        logger.warning("webhook %s: %s %s", event.kind, name, words, extra=facts)
        return
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
