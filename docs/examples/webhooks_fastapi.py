"""Receive webhooks in a FastAPI app: each is on disk before the 200, and handled from there."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from opening_hours import create_router
from sms_log import SmsLog

from insim_async import AsyncInSim
from insim_async.webhooks.asgi import webhook_app
from insim_async.webhooks.inbox import Inbox

insim = AsyncInSim()
inbox = Inbox.open("inbox.db")
router = create_router(os.environ.get("INSIM_WEBHOOK_SECRET", ""), insim, SmsLog("sms.db"))


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with insim, inbox.worker(router):
        yield


app = FastAPI(lifespan=lifespan)
app.mount("/insim", webhook_app(router, inbox=inbox))
