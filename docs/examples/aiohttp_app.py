"""An aiohttp app that confirms bookings by SMS: one client, open as long as the app runs."""

from collections.abc import AsyncIterator

from aiohttp import web

from insim_async import AsyncInSim, InvalidMessage, NotSent, OutcomeUnknown, Refused

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
    except InvalidMessage as error:
        raise web.HTTPUnprocessableEntity(text=error.reason) from error
    except (NotSent, Refused):
        return web.json_response({"sms": "not sent"}, status=201)
    except OutcomeUnknown:
        return web.json_response({"sms": "perhaps sent"}, status=201)
    return web.json_response({"sms": "sent"}, status=201)


def create_app() -> web.Application:
    app = web.Application()
    app.cleanup_ctx.append(open_client)
    app.router.add_post("/bookings", book)
    return app


if __name__ == "__main__":
    web.run_app(create_app(), host="127.0.0.1", port=8000)
