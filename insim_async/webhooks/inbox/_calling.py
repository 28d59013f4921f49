"""Call the handlers of an event within their time, and say what came of it, whatever they raise."""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator
from datetime import UTC, datetime
from typing import Any

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from insim_async.webhooks._attempt import (
    ATTEMPT,
    Attempt,
    GiveUp,
    RetryLater,
    class_names,
    wish_of,
)
from insim_async.webhooks.events import Event
from insim_async.webhooks.inbox._rows import Claim
from insim_async.webhooks.router import WebhookRouter

__all__ = ["call_handlers"]

Failure = tuple[str, RetryLater | GiveUp | None]
"""The classes of what handlers raised, and what they asked for by it."""


async def call_handlers(
    router: WebhookRouter,
    event: Event,
    claim: Claim,
    timeout: float,  # noqa: ASYNC109 - it is theirs
) -> Failure | None:
    """Call the handlers, and return why they failed, if they did."""
    ATTEMPT.set(
        Attempt(number=claim.attempts, received_at=datetime.fromtimestamp(claim.received_at, UTC))
    )
    try:
        with anyio.fail_after(timeout):
            await _guarded(router.dispatch(event))
    except (GeneratorExit, KeyboardInterrupt):
        raise
    except _Exited:
        return GeneratorExit.__name__, None
    except BaseException as error:  # noqa: BLE001 - it is the user's: SystemExit and the like must not end the worker
        # Goes on if it is a cancellation that nobody but the handler asked for.
        await checkpoint_if_cancelled()
        return class_names(error), wish_of(error)
    return None


class _Exited(Exception):
    """A handler raised GeneratorExit, which looks as if the whole task were being thrown away."""


@types.coroutine
def _guarded(coroutine: Coroutine[Any, Any, None]) -> Generator[Any, Any, None]:
    """Await a coroutine, and tell its own GeneratorExit from one that comes from outside."""
    thrown: BaseException | None = None
    value: Any = None
    while True:
        try:
            waits_for = coroutine.send(value) if thrown is None else coroutine.throw(thrown)
        except StopIteration:
            return
        except GeneratorExit:
            break
        thrown = value = None
        try:
            value = yield waits_for
        except GeneratorExit:
            coroutine.close()
            raise
        except BaseException as error:  # noqa: BLE001 - it is passed on
            thrown = error
    raise _Exited
