"""An aiohttp app that confirms bookings by SMS: one client, open as long as the app runs."""

import logging
from collections.abc import AsyncIterator

from aiohttp import web

from insim_async import AsyncInSim, InSimError, InvalidMessage, OutcomeUnknown

logger = logging.getLogger(__name__)
INSIM = web.AppKey("INSIM", AsyncInSim)


async def open_client(app: web.Application) -> AsyncIterator[None]:
    async with AsyncInSim() as insim:
        app[INSIM] = insim
        yield


async def book(request: web.Request) -> web.Response:
    booking = await request.json()
    reference, phone_number = booking["reference"], booking["phone_number"]
    text = f"Réservation {reference} confirmée."
    try:
        await request.app[INSIM].send_sms(phone_number, text, sms_id=f"booking-{reference}")
    except InSimError as error:
        # The log gets the error's words, which are for you; the customer gets yours.
        logger.warning("booking %r: %s: %s", reference, type(error).__name__, error)
        if isinstance(error, InvalidMessage) and error.field == "phone_number":
            raise web.HTTPUnprocessableEntity(text="Please check the phone number.") from None
        sent = "perhaps sent" if isinstance(error, OutcomeUnknown) else "not sent"
        return web.json_response({"sms": sent}, status=201)
    return web.json_response({"sms": "sent"}, status=201)


def create_app() -> web.Application:
    app = web.Application()
    app.cleanup_ctx.append(open_client)
    app.router.add_post("/bookings", book)
    return app


if __name__ == "__main__":
    web.run_app(create_app(), host="127.0.0.1", port=8000)
