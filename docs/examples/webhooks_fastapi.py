"""Receive webhooks in a FastAPI app: each is on disk before the 200, and handled from there."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from opening_hours import create_router
from sms_log import SmsLog

from insim_async import AsyncInSim
from insim_async.webhooks.asgi import webhook_app
from insim_async.webhooks.inbox import Inbox


def create_app(insim: AsyncInSim | None = None, folder: str = ".") -> FastAPI:
    """Make an app with files of its own; a test gives another client and folder."""
    insim = insim or AsyncInSim()
    inbox = Inbox.open(f"{folder}/inbox.db")
    router = create_router(insim, SmsLog(f"{folder}/sms.db"))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with insim, inbox.worker(router):
            yield
        inbox.close()

    app = FastAPI(lifespan=lifespan)
    secret = os.environ.get("INSIM_WEBHOOK_SECRET", "")
    app.mount("/insim", webhook_app(router, inbox=inbox, secret=secret))

    @app.get("/health")
    async def health() -> Any:
        found = await inbox.health()
        return JSONResponse(msgspec.to_builtins(found), 503 if found.problem else 200)

    return app


if __name__ == "__main__":
    import uvicorn

    # An access log would hold the secret; by default some 16,000 bytes: too few for a long SMS.
    uvicorn.run(create_app(), access_log=False, h11_max_incomplete_event_size=65_536)
