"""Answer a webhook request, for every adapter: check its secret, read its event, pass it on.

200 is a promise: every handler is done with the event or, with an inbox, the event is on disk.
After anything else inSIM may send it again.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from functools import cached_property
from types import EllipsisType
from typing import TYPE_CHECKING

import anyio
import msgspec
from msgspec import Struct

from insim_async.errors import ConfigurationError, InboxUnavailable, InvalidWebhook
from insim_async.webhooks._attempt import GiveUp, RetryLater, wish_of
from insim_async.webhooks._secrets import Secrets
from insim_async.webhooks.events import Event
from insim_async.webhooks.parsing import MAX_QUERY_BYTES, parse_webhook
from insim_async.webhooks.router import WebhookRouter

if TYPE_CHECKING:
    from insim_async.webhooks.inbox import Inbox

__all__ = ["INVALID", "NOT_FOUND", "OK", "SELFTEST_FIELD", "UNAVAILABLE", "Reception", "Response"]

logger: logging.Logger = logging.getLogger("insim_async")

HANDLER_TIMEOUT = 4.0
"""Seconds that the handlers of an event have within its request; inSIM waits for five."""
SELFTEST_FIELD = "insim_async_check"
"""A field that only the self-test sends: its events are answered with what was read, and no handler
sees them."""
_SELFTEST_BYTES = SELFTEST_FIELD.encode()


class Response(Struct, frozen=True, dict=True):
    """How a request is answered."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = (("content-type", "text/plain; charset=utf-8"),)

    @cached_property
    def raw_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """The headers and the body's length, as ASGI wants them."""
        headers = (*self.headers, ("content-length", str(len(self.body))))
        return tuple((name.encode(), value.encode()) for name, value in headers)


OK = Response(200, b"ok\n")
INVALID = Response(400, b"no event of inSIM\n")
NOT_FOUND = Response(404, b"not found\n")
_ONLY_GET = Response(405, b"only GET\n", (*OK.headers, ("allow", "GET, HEAD")))
_NOT_HANDLED = Response(500, b"not handled\n")
UNAVAILABLE = Response(503, b"not stored\n")


class Reception:
    """Answers the requests of one callback URL.

    Args:
        router: Knows the handlers, and the secret unless that is given here.
        inbox: Keeps the events; without one, the handlers run within the request.
        secret: Of the callback URL, if the router has none.

    Raises:
        ConfigurationError: One of them is something else; there is no secret, or there are two.
    """

    def __init__(
        self,
        router: WebhookRouter,
        inbox: Inbox | None,
        secret: str | Sequence[str] | EllipsisType = ...,
    ) -> None:
        if not isinstance(router, WebhookRouter):
            raise ConfigurationError(
                f"router: expected a WebhookRouter, got {type(router).__name__}"
            )
        if not (inbox is None or hasattr(inbox, "put_unreadable")):
            raise ConfigurationError(
                f"inbox: expected what Inbox.open returns, got {type(inbox).__name__}"
            )
        self._secrets = _the_one(router.secrets, secret)
        self._router = router
        self._inbox = inbox

    async def respond(self, method: str, path: str, query: bytes) -> Response:
        """Answer a request.

        If this is cancelled, the event may have been handled or stored: inSIM sends it again.

        Args:
            method: ``GET`` and the like.
            path: Its last part is the secret.
            query: Raw, as it came.
        """
        counts = self._router.counts
        if not self._secrets.admit(path.rstrip("/").rpartition("/")[2]):
            counts.add("turned_away")
            return NOT_FOUND
        if method != "GET":
            counts.add("turned_away")
            return OK if method == "HEAD" else _ONLY_GET
        try:
            event = parse_webhook(query)
        except InvalidWebhook as error:
            counts.add("invalid")
            return await self._unreadable(query, str(error))
        if _SELFTEST_BYTES in event.raw_json and SELFTEST_FIELD in event.raw:
            return await self._selftested(event, query)
        counts.receive(event.kind)
        if self._inbox is not None:
            return await self._stored(self._inbox, event)
        return await self._handled(event)

    async def _handled(self, event: Event) -> Response:
        response, result = _NOT_HANDLED, "failed"
        try:
            # Not anyio.fail_after, which costs a third more.
            with anyio.CancelScope(deadline=anyio.current_time() + HANDLER_TIMEOUT) as scope:
                await self._router.dispatch(event)
                response, result = OK, "handled" if self._router.handles(event) else "ignored"
            if scope.cancelled_caught:
                logger.error("webhook %s: not handled within %s s", event.kind, HANDLER_TIMEOUT)
        except ExceptionGroup as group:  # what is in it was logged by the router
            response, result = _answer_to(wish_of(group))
        finally:
            _log_result(event, result)
        return response

    async def _stored(self, inbox: Inbox, event: Event) -> Response:
        try:
            new = await inbox.put(event)
        except InboxUnavailable as error:
            logger.error("webhook %s: not stored: %s", event.kind, error)
            _log_result(event, "not_stored")
            return UNAVAILABLE
        if new:
            _log_result(event, "stored")
        else:  # which the inbox has said
            self._router.counts.add("repeated")
        return OK

    async def _selftested(self, event: Event, query: bytes) -> Response:
        found: dict[str, object] = {
            "kind": event.kind,
            "key": event.key,
            "query_bytes": len(query),
            "handlers": sorted(self._router.kinds()),
            "inbox": self._inbox is not None,
        }
        if self._inbox is not None:
            try:
                await self._inbox.rehearse(event)
                health = await self._inbox.health()
            except InboxUnavailable as error:
                logger.error("webhook self-test: not stored: %s", error)
                return UNAVAILABLE
            found |= {
                "workers": health.workers,
                "worked": health.kinds,
                "oldest_waiting": health.oldest_waiting,
            }
        return Response(200, msgspec.json.encode(found), (("content-type", "application/json"),))

    async def _unreadable(self, query: bytes, reason: str) -> Response:
        logger.warning("webhook not read: %s", reason)
        if self._inbox is None or not query or len(query) > MAX_QUERY_BYTES:
            return INVALID
        try:
            await self._inbox.put_unreadable(query, reason)
        except InboxUnavailable as error:
            logger.error("webhook not stored: %s", error)
            return UNAVAILABLE
        return OK


def _the_one(of_router: Secrets | None, given: str | Sequence[str] | EllipsisType) -> Secrets:
    if given is not ...:
        if of_router is not None:
            raise ConfigurationError("secret: the router has one; give it once")
        return Secrets(given)
    if of_router is None:
        raise ConfigurationError("secret: the router has none; give it here, as secret=...")
    return of_router


def _answer_to(wish: RetryLater | GiveUp | None) -> tuple[Response, str]:
    """Return the answer to an event whose handlers raised, and the word for it."""
    if isinstance(wish, RetryLater):
        headers = (*OK.headers, ("retry-after", f"{math.ceil(wish.after)}"))
        return Response(503, b"later\n", headers), "later"
    return (OK, "given_up") if wish else (_NOT_HANDLED, "failed")


def _log_result(event: Event, result: str) -> None:
    if logger.isEnabledFor(logging.INFO):
        facts = {"event_kind": event.kind, "event_key": event.key, "result": result}
        logger.info("webhook %s: %s", event.kind, result, extra=facts)
