"""The app under attack: it notes what its handlers had in a log that outlives it.

``CHAOS_FOLDER`` says where, and ``CHAOS_FAULT`` which mistake it has, so that we know that the
attacks would find one.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from insim_async import Retry
from insim_async.webhooks import Event, WebhookRouter
from insim_async.webhooks.asgi import webhook_app
from insim_async.webhooks.inbox import Inbox, _rows

SECRET = "Yx1dJ0mFv3qTg7bKz9cRn5wPh2sLu8aE"
LEASE = 2.0
FOLDER = Path(os.environ.get("CHAOS_FOLDER", "."))
FAULT = os.environ.get("CHAOS_FAULT", "")


def open_inbox(folder: Path = FOLDER) -> Inbox:
    retry = Retry(attempts=10_000, base=0.0, cap=0.0)
    return Inbox.open(folder / "inbox.db", retry=retry, lease=LEASE)


def create_app() -> FastAPI:
    inbox, router = open_inbox(), WebhookRouter()
    _break(inbox)

    @router.on(Event)
    async def note(event: Event) -> None:
        await asyncio.sleep(random.random() / 100)
        log = os.open(FOLDER / "handled", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(log, f"{event.raw['message']} {event.key}\n".encode())
        os.close(log)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with inbox.worker(router):
            yield

    app = FastAPI(lifespan=lifespan)
    app.mount("/insim", webhook_app(router, inbox=inbox, secret=SECRET))
    return app


def _break(inbox: Inbox) -> None:
    put, acknowledged = inbox.put, list[Event]()

    async def put_later(event: Event, **_: Any) -> bool:
        """Answer for an event, and put it only when the next one comes."""
        acknowledged.append(event)
        for earlier in acknowledged[:-1]:
            acknowledged.remove(earlier)
            await put(earlier)
        return True

    if FAULT == "acknowledges first":
        inbox.put = put_later  # type: ignore[method-assign]
    if FAULT == "forgets":
        claim = _rows.claim_due

        def claim_for_good(*arguments: Any, **more: Any) -> Any:
            claims = claim(*arguments, **more)
            connection = arguments[0]
            for each in claims:
                connection.execute("UPDATE events SET state = 'done' WHERE key = ?", (each.key,))
            return claims

        _rows.claim_due = claim_for_good
