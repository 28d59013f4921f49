"""Receive webhooks in an aiohttp app: each is on disk before the 200, and handled from there."""

import os
from collections.abc import AsyncIterator

from aiohttp import web
from opening_hours import create_router
from sms_log import SmsLog

from insim_async import AsyncInSim
from insim_async.webhooks.aiohttp import webhook_handler
from insim_async.webhooks.inbox import Inbox

insim = AsyncInSim()
inbox = Inbox.open("inbox.db")
router = create_router(os.environ.get("INSIM_WEBHOOK_SECRET", ""), insim, SmsLog("sms.db"))


async def run_handlers(_: web.Application) -> AsyncIterator[None]:
    async with insim, inbox.worker(router):
        yield


# By default 8,190 bytes: too few for a long SMS.
app = web.Application(handler_args={"max_line_size": 65_536})
app.cleanup_ctx.append(run_handlers)
app.router.add_get("/insim/{secret}", webhook_handler(router, inbox=inbox))

if __name__ == "__main__":
    # An access log would hold the secret.
    web.run_app(app, host="127.0.0.1", port=8000, access_log=None)
