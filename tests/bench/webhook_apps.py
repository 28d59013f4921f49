"""The apps of G14, one factory for each server.

All but one read the event and call a handler with it.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import unquote

SECRET = "Yx1dJ0mFv3qTg7bKz9cRn5wPh2sLu8aE"
PATH = f"/insim/{SECRET}"
PARAMETERS = ("message", "calls", "clics", "qualification", "status")


def ours() -> Any:
    """Hand the event to a handler that is done at once, as the peers do."""
    from insim_async.webhooks import Event, WebhookRouter
    from insim_async.webhooks.asgi import webhook_app

    router = WebhookRouter(secret=SECRET)

    @router.on(Event)
    async def handle(event: Event) -> None:
        assert event.phone_number

    return webhook_app(router)


def waiting() -> Any:
    """Do the same with a handler that waits for the event loop once."""
    from insim_async.webhooks import Event, WebhookRouter
    from insim_async.webhooks.asgi import webhook_app

    router = WebhookRouter(secret=SECRET)

    @router.on(Event)
    async def handle(event: Event) -> None:
        assert event.phone_number
        await asyncio.sleep(0)

    return webhook_app(router)


def no_op() -> Any:
    """Answer as ours does, and look at nothing."""
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"3")]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok\n"})

    return app


def fastapi() -> Any:
    """A model for each kind of event, and no secret."""
    from datetime import datetime

    from fastapi import FastAPI
    from fastapi.responses import PlainTextResponse
    from pydantic import BaseModel, Field

    class IncomingSms(BaseModel):
        device_identification: str
        title: str
        phone_number: str = Field(alias="from")
        message: str
        date: datetime

    class CallEvent(BaseModel):
        device_identification: str
        title: str
        phone_number: str
        call_time: datetime
        duration: str

    class LinkClick(BaseModel):
        id_sms_api: str
        title: str
        phone_number: str
        link: str
        date: datetime

    class CallQualification(BaseModel):
        device_identification: str
        title: str
        phone_number: str = Field(alias="from")
        date: datetime
        qualification: str

    class DeliveryStatus(BaseModel):
        user: str
        phone_number: str
        status: str
        date_status: datetime
        id_sms_api: str

    async def handle(event: Any) -> None:
        assert event.phone_number

    app = FastAPI()

    @app.get(PATH, response_class=PlainTextResponse)
    async def webhook(
        message: str | None = None,
        calls: str | None = None,
        clics: str | None = None,
        qualification: str | None = None,
        status: str | None = None,
    ) -> str:
        if message is not None:
            await handle(IncomingSms.model_validate_json(message))
        if calls is not None:
            await handle(CallEvent.model_validate_json(calls))
        if clics is not None:
            await handle(LinkClick.model_validate_json(clics))
        if qualification is not None:
            await handle(CallQualification.model_validate_json(qualification))
        if status is not None:
            await handle(DeliveryStatus.model_validate_json(status))
        return "ok\n"

    return app


def flask() -> Any:
    """The vendor's example: decoded twice, no secret."""
    from flask import Flask, request

    app = Flask(__name__)

    def handle(event: Any) -> None:
        assert event.get("phone_number") or event["from"]

    @app.get(PATH)
    def webhook() -> str:
        for name in PARAMETERS:
            if value := request.args.get(name):
                handle(json.loads(unquote(value)))
        return "ok\n"

    return app


def inbox() -> Any:
    """Keep the event in an inbox, and hand it to a handler from there."""
    import os

    from insim_async.webhooks import Event, WebhookRouter
    from insim_async.webhooks.asgi import webhook_app
    from insim_async.webhooks.inbox import Inbox

    kept, router = Inbox.open(f"{os.environ['BENCH_FOLDER']}/inbox.db"), WebhookRouter()

    @router.on(Event)
    async def handle(event: Event) -> None:
        assert event.phone_number

    receive_webhook = webhook_app(router, inbox=kept, secret=SECRET)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await receive_webhook(scope, receive, send)
            return
        await receive()
        async with kept.worker(router):
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    return app
