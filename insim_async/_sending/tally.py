"""How far a bulk call is: its counts, and the callback that is told of them."""

from __future__ import annotations

import logging
import types
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from functools import partial
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import Any, Generic, TypeVar, cast

from insim_async._tasks import ends_the_program
from insim_async.errors import ConfigurationError
from insim_async.models import BulkReport, Outcome, Progress, Status
from insim_async.timing import Clock

__all__ = ["Listener", "Tally", "check_on_progress"]

T = TypeVar("T")
logger: logging.Logger = logging.getLogger("insim_async")

_CODE_OF_WRAPPED = getattr(types.coroutine(cast(Any, print)), "__code__", None)


def check_on_progress(on_progress: object) -> None:
    """Raise ConfigurationError unless it is None, or a plain function as far as can be seen."""
    if on_progress is not None and (not callable(on_progress) or _makes_awaitable(on_progress)):
        raise ConfigurationError(
            "on_progress: expected a plain function, neither async nor anything else"
        )


class Listener(Generic[T]):
    """Whoever wants to be told how far something is, or nobody.

    A callback that raises, or returns what waits for somebody, is not called again: nothing else
    is harmed.
    """

    def __init__(self, on_progress: Callable[[T], object] | None) -> None:
        self._on_progress = on_progress

    @property
    def is_there(self) -> bool:
        """Whether anybody listens."""
        return self._on_progress is not None

    def tell(self, progress: T) -> None:
        """Tell how far it is."""
        if self._on_progress is None:
            return
        try:
            returned = self._on_progress(progress)
            is_unheard = _waits_for_somebody(returned)
            if isinstance(returned, Coroutine | Generator):
                returned.close()  # nobody awaits it, and Python would say so
        except BaseException as error:
            if ends_the_program(error):
                raise
            self._drop("raised", error)
        else:
            if is_unheard:
                self._drop("returned", returned)

    def _drop(self, did: str, what: object) -> None:
        self._on_progress = None
        logger.warning("on_progress %s %s and is not called again", did, type(what).__name__)


class Tally:
    """The counts of a bulk call under way, and who is told of them."""

    def __init__(
        self, total: int | None, clock: Clock, on_progress: Callable[[Progress], object] | None
    ) -> None:
        self._total = total
        self._now = clock.now
        self._began = clock.now()
        self._listener = Listener(on_progress)
        self._counts = dict.fromkeys((status.value for status in Status), 0)

    def add(self, outcomes: list[Outcome]) -> None:
        """Count a batch and say so."""
        failed = [outcome for outcome in outcomes if outcome.error is not None]
        self._counts["sent"] += len(outcomes) - len(failed)
        for outcome in failed:
            self._counts[outcome.status.value] += 1
        if self._listener.is_there:
            self._listener.tell(self._progress())

    def report(self, outcomes: list[Outcome]) -> BulkReport:
        """Return the counts with what they count."""
        return BulkReport(outcomes, **self._counts)

    def _progress(self) -> Progress:
        done, seconds = sum(self._counts.values()), self._now() - self._began
        return Progress(
            done=done,
            total=self._total,
            rate=done / seconds if seconds > 0 else 0.0,
            **self._counts,
        )


def _makes_awaitable(function: Callable[..., object]) -> bool:
    """Say whether calling it makes something to be awaited or iterated, as far as can be seen."""
    while isinstance(function, partial):
        function = function.func
    kinds = iscoroutinefunction, isasyncgenfunction, isgeneratorfunction, _is_wrapped
    return any(kind(each) for each in (function, type(function).__call__) for kind in kinds)


def _is_wrapped(function: object) -> bool:
    """Say whether ``types.coroutine`` made the function; what it makes shares its code."""
    return getattr(function, "__code__", None) is _CODE_OF_WRAPPED


def _waits_for_somebody(returned: object) -> bool:
    """Say whether nothing happens until somebody awaits or iterates over it.

    A task or another future goes on by itself.
    """
    if isinstance(returned, Awaitable):
        import asyncio  # slow to import, and seldom needed

        return not asyncio.isfuture(returned)
    return isinstance(returned, Generator | AsyncGenerator)
