"""An aiohttp app that confirms bookings in the background: on disk before it answers."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from insim_async import AsyncInSim, InvalidMessage, Sms
from insim_async.outbox import Outbox, OutboxConflict
from insim_async.webhooks import DeliveryStatus, IncomingSms, LinkClick, WebhookRouter
from insim_async.webhooks.aiohttp import webhook_handler

OUTBOX = web.AppKey("OUTBOX", Outbox)


async def book(request: web.Request) -> web.Response:
    booking = await request.json()
    text = f"Réservation {booking['reference']} confirmée."
    sms = Sms(booking["phone_number"], text, sms_id=f"booking-{booking['reference']}")
    try:
        is_new = await request.app[OUTBOX].put(sms)
    except InvalidMessage:
        raise web.HTTPUnprocessableEntity(text="Please check reference and number.") from None
    except OutboxConflict:
        raise web.HTTPConflict(text="This reference has another number.") from None
    return web.json_response({"new": is_new}, status=202)


async def look(request: web.Request) -> web.Response:
    message = await request.app[OUTBOX].get(f"booking-{request.match_info['reference']}")
    if message is None:
        raise web.HTTPNotFound
    return web.json_response({"sms": message.status, "delivery": message.delivery})


def create_app(insim: AsyncInSim | None = None, path: str | Path = "outbox.db") -> web.Application:
    """Make an app with a file of its own; a test gives another client and file."""
    insim = insim or AsyncInSim()
    # Whoever books wants the confirmation, even after a STOP to last year's campaign.
    outbox = Outbox.open(path, honour_stop=False)

    async def work(_: web.Application) -> AsyncIterator[None]:
        async with insim, outbox.worker(insim):
            yield
        outbox.close()

    router = WebhookRouter()
    router.on(DeliveryStatus, LinkClick, IncomingSms)(outbox.record)
    secret = os.environ.get("INSIM_WEBHOOK_SECRET", "")
    app = web.Application(handler_args={"max_line_size": 65_536})  # a long SMS takes some
    app[OUTBOX] = outbox
    app.router.add_get("/insim/{secret}", webhook_handler(router, secret=secret))
    app.router.add_post("/bookings", book)
    app.router.add_get("/bookings/{reference}", look)
    app.cleanup_ctx.append(work)
    return app


if __name__ == "__main__":
    web.run_app(create_app(), host="127.0.0.1", port=8000, access_log=None)  # it has the secret
