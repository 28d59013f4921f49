"""Receive webhooks in an aiohttp app: each is on disk before the 200, and handled from there."""

import os
from collections.abc import AsyncIterator

import msgspec
from aiohttp import web
from opening_hours import create_router
from sms_log import SmsLog

from insim_async import AsyncInSim
from insim_async.webhooks.aiohttp import webhook_handler
from insim_async.webhooks.inbox import Inbox


def create_app(insim: AsyncInSim | None = None, folder: str = ".") -> web.Application:
    """Make an app with files of its own; a test gives another client and folder."""
    insim = insim or AsyncInSim()
    inbox = Inbox.open(f"{folder}/inbox.db")
    router = create_router(insim, SmsLog(f"{folder}/sms.db"))

    async def run_handlers(_: web.Application) -> AsyncIterator[None]:
        async with insim, inbox.worker(router):
            yield
        inbox.close()

    async def health(_: web.Request) -> web.Response:
        found = await inbox.health()
        return web.json_response(msgspec.to_builtins(found), status=503 if found.problem else 200)

    # By default 8,190 bytes: too few for a long SMS.
    app = web.Application(handler_args={"max_line_size": 65_536})
    app.cleanup_ctx.append(run_handlers)
    secret = os.environ.get("INSIM_WEBHOOK_SECRET", "")
    app.router.add_get("/insim/{secret}", webhook_handler(router, inbox=inbox, secret=secret))
    app.router.add_get("/health", health)
    return app


if __name__ == "__main__":
    # An access log would hold the secret.
    web.run_app(create_app(), host="127.0.0.1", port=8000, access_log=None)
