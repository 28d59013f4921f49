"""A FastAPI app that confirms bookings in the background: on disk before it answers."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from insim_async import AsyncInSim, InvalidMessage, Sms
from insim_async.outbox import Outbox, OutboxConflict
from insim_async.webhooks import DeliveryStatus, IncomingSms, LinkClick, WebhookRouter
from insim_async.webhooks.asgi import webhook_app


class Booking(BaseModel):
    reference: str
    phone_number: str


def create_app(insim: AsyncInSim | None = None, path: str | Path = "outbox.db") -> FastAPI:
    """Make an app with a file of its own; a test gives another client and file."""
    insim = insim or AsyncInSim()
    # Whoever books wants the confirmation, even after a STOP to last year's campaign.
    outbox = Outbox.open(path, honour_stop=False)
    router = WebhookRouter()
    router.on(DeliveryStatus, LinkClick, IncomingSms)(outbox.record)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with insim, outbox.worker(insim):
            yield
        outbox.close()

    app = FastAPI(lifespan=lifespan)
    secret = os.environ.get("INSIM_WEBHOOK_SECRET", "")
    app.mount("/insim", webhook_app(router, secret=secret))

    @app.post("/bookings", status_code=202)
    async def book(booking: Booking) -> dict[str, bool]:
        text = f"Réservation {booking.reference} confirmée."
        sms = Sms(booking.phone_number, text, sms_id=f"booking-{booking.reference}")
        try:
            return {"new": await outbox.put(sms)}
        except InvalidMessage:
            raise HTTPException(422, "Please check reference and number.") from None
        except OutboxConflict:
            raise HTTPException(409, "This reference has another number.") from None

    @app.get("/bookings/{reference}")
    async def look(reference: str) -> dict[str, str]:
        message = await outbox.get(f"booking-{reference}")
        if message is None:
            raise HTTPException(404)
        return {"sms": message.status, "delivery": message.delivery}

    return app
