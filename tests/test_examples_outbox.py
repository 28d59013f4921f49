"""The outbox apps of the how-to: one process sends, and another takes over when it is killed."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import anyio
import httpx
import msgspec
import pytest

from insim_async.campaigns._lock import Holder
from insim_async.webhooks import DeliveryStatus, build_webhook, new_secret
from tests import test_docs
from tests.test_docs import EXAMPLES, STARTED, Server, process

pytestmark = [pytest.mark.extra("aiohttp"), pytest.mark.extra("sandbox")]

sandbox = test_docs.sandbox
UVICORN = ("-m", "uvicorn", "--app-dir", str(EXAMPLES), "--workers", "2", "--factory")
FASTAPI = (*UVICORN, "outbox_fastapi:create_app", "--log-level", "warning")
AIOHTTP = """
import os, socket
from aiohttp import web
from outbox_aiohttp import create_app
listener = socket.socket(fileno=int(os.environ["FD"]))
web.run_app(create_app(), sock=listener, access_log=None, print=None)
"""


@pytest.fixture(params=["fastapi", "aiohttp"])
async def app(
    request: pytest.FixtureRequest,
    sandbox: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[httpx.AsyncClient]:
    """Two processes of the app on one socket: two workers of uvicorn, or two of aiohttp."""
    secret = new_secret()
    monkeypatch.setenv("INSIM_WEBHOOK_SECRET", secret)
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES))
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as running:
        number = str(listener.fileno())
        monkeypatch.setenv("FD", number)
        commands: Sequence[tuple[str, ...]] = [("-c", AIOHTTP)] * 2
        if request.param == "fastapi":
            commands = [(*FASTAPI, "--fd", number)]
        for command in commands:
            running.enter_context(process(*command, pass_fds=[listener.fileno()], cwd=tmp_path))
        host, port = listener.getsockname()
        url = f"http://{host}:{port}"
        async with httpx.AsyncClient(base_url=url, timeout=STARTED) as client:
            client.headers["x-secret"] = secret
            yield client


async def book(app: httpx.AsyncClient, reference: str) -> bool:
    booking = {"reference": reference, "phone_number": "+33639980001"}
    while True:
        try:
            answer = await app.post("/bookings", json=booking)
        except httpx.TransportError:  # of a process that was killed in this very moment
            continue
        assert answer.status_code == 202
        return bool(answer.json()["new"])


async def becomes(app: httpx.AsyncClient, reference: str, wanted: dict[str, str]) -> None:
    while True:
        answer = await app.get(f"/bookings/{reference}")
        if answer.json() == wanted:
            return
        await anyio.lowlevel.checkpoint()


def sender(tmp_path: Path) -> int:
    """Return the process that has the lock."""
    content = (tmp_path / "outbox.db.outbox.lock").read_bytes()
    return msgspec.json.decode(content[20:], type=Holder).pid


async def test_each_booking_is_sent_once_though_a_process_is_killed(
    app: httpx.AsyncClient, sandbox: Server, tmp_path: Path
) -> None:
    sent = {"sms": "sent", "delivery": "none"}
    assert await book(app, "A1")
    await becomes(app, "A1", sent)
    assert not await book(app, "A1")
    killed = sender(tmp_path)
    os.kill(killed, signal.SIGKILL)
    assert await book(app, "A2")
    await becomes(app, "A2", sent)
    assert sender(tmp_path) != killed
    assert [sms["sms_id"] for sms in sandbox.sent()] == ["booking-A1", "booking-A2"]
    report = DeliveryStatus(sms_id="booking-A2", phone_number="+33639980001", status="received")
    secret = app.headers["x-secret"]
    assert (await app.get(f"/insim/{secret}?{build_webhook(report)}")).status_code == 200
    await becomes(app, "A2", {"sms": "sent", "delivery": "received"})
    assert (await app.get("/bookings/A3")).status_code == 404
    for reference, number, status in (("A4", "12", 422), ("A1", "+33639980002", 409)):
        booking = {"reference": reference, "phone_number": number}
        assert (await app.post("/bookings", json=booking)).status_code == status
