"""The webhook apps of the how-tos, each with the server and settings that a page shows.

A sandbox stands in for inSIM.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import anyio
import httpx
import pytest

from insim_async.webhooks import DeliveryStatus, Event, IncomingSms, build_webhook, new_secret
from insim_async.webhooks.inbox import Inbox, InboxCounts
from tests import test_docs
from tests.test_docs import EXAMPLES, PROJECT, Server, commands, load, same

pytestmark = [pytest.mark.extra("aiohttp"), pytest.mark.extra("sandbox")]

HOW_TO = PROJECT / "docs" / "how-to"
RECEIVE = HOW_TO / "receive-webhooks.md"
COMMANDS = [
    command
    for command, _ in commands(HOW_TO / "deploy-webhooks.md")
    if not command.startswith("pip install")
]
QUESTION = IncomingSms(phone_number="+33639980001", message="Vos horaires ?")
LONG = IncomingSms(phone_number="+33639980002", message="😀" * 1600)
REPORTS = [
    DeliveryStatus(sms_id="booking-4711", status=status)
    for status in ("received", "sent", "received")
]

sandbox = test_docs.sandbox


class App(NamedTuple):
    """An app in a process of its own, and where it writes to."""

    url: str
    secret: str
    log: Path

    async def receives(self, *events: Event) -> list[int]:
        """Call it as inSIM would, with one event after the other; return the statuses."""
        async with httpx.AsyncClient(timeout=30) as inside:
            answers = [await inside.get(f"{self.url}?{build_webhook(event)}") for event in events]
        return [answer.status_code for answer in answers]


def started(command: str, number: int, folder: Path) -> list[str]:
    """Let a command of a page listen on a socket of ours."""
    program, *arguments = shlex.split(command)
    match program:
        case "uvicorn":
            return [
                "-m",
                program,
                *arguments,
                "--fd",
                str(number),
                "--log-level",
                "debug",
                "--http",
                "h11",
            ]
        case "gunicorn":
            return ["-m", program, *arguments, "--bind", f"fd://{number}"]
    copied = folder / Path(arguments[0]).name
    sock = f"sock=__import__('socket').socket(fileno={number})"
    copied.write_text(
        (PROJECT / arguments[0]).read_text("utf-8").replace('host="127.0.0.1", port=8000', sock),
        "utf-8",
    )
    return [str(copied)]


@pytest.fixture
def folder(sandbox: Server) -> Path:
    """Return where the sandbox's fixture has put us."""
    return Path.cwd()


@contextmanager
def serving(command: str, folder: Path) -> Iterator[App]:
    """Run a command of a page in a folder of its own.

    Connections wait in the backlog until it has started.

    What comes in is read in small pieces, as from a network: some servers let a long line pass that
    comes in one.
    """
    secret, log = new_secret(), folder / "log"
    path = os.pathsep.join([str(EXAMPLES), *filter(None, [os.environ.get("PYTHONPATH")])])
    ours = {
        "INSIM_WEBHOOK_SECRET": secret,
        "HOME": str(folder),
        "PYTHONPATH": path,
        "PYTHONASYNCIODEBUG": "1",
    }
    with socket.socket() as listener, log.open("w") as output:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with subprocess.Popen(
            [sys.executable, *started(command, listener.fileno(), folder)],
            cwd=folder,
            env={**os.environ, **ours},
            stdout=output,
            stderr=output,
            pass_fds=[listener.fileno()],
        ) as running:
            try:
                url = f"http://127.0.0.1:{listener.getsockname()[1]}/insim/{secret}"
                listener.close()  # if the program fails, nobody listens
                yield App(url, secret, log)
            finally:
                running.terminate()


async def handled(folder: Path, number: int) -> InboxCounts:
    """Wait until so many events are done; return how many are in which state."""
    with closing(Inbox.open(folder / "inbox.db")) as inbox, anyio.fail_after(30):
        counts = InboxCounts()
        while counts.done < number:
            await anyio.sleep(0.01)
            counts = await inbox.counts()
    return counts


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split()[0])
async def test_an_app_answers_a_question_once_however_often_it_comes(
    command: str, folder: Path, sandbox: Server
) -> None:
    with serving(command, folder) as app:
        assert await app.receives(QUESTION, LONG, QUESTION, *REPORTS, QUESTION) == [200] * 7
        assert await handled(folder, 4) == InboxCounts(done=4)
    assert [(sms["phone_number"], sms["sms_id"]) for sms in sandbox.sent()] == [
        (QUESTION.phone_number, f"reply-{QUESTION.key}")
    ]
    statuses = load("sms_log").SmsLog("sms.db").statuses()
    assert statuses == {f"reply-{QUESTION.key}": "begun", "booking-4711": "received"}
    log = app.log.read_text("utf-8")
    assert [
        word for word in (app.secret, "horaires", QUESTION.phone_number[1:]) if word in log
    ] == []


async def test_an_app_passes_the_self_test_as_the_page_shows(folder: Path) -> None:
    (shown,) = (output for command, output in commands(RECEIVE) if "webhooks check" in command)
    with serving(COMMANDS[0], folder) as app:
        assert await app.receives(LONG) == [200]  # it has started
        run = await anyio.run_process(
            [sys.executable, "-m", "insim_async.webhooks", "check", app.url], check=False
        )
    assert (run.returncode, run.stderr) == (0, b"")
    printed = re.sub(r"^http:.*", "https://your.host/insim/***", run.stdout.decode())
    assert same(shown, printed), printed


def test_the_pages_start_the_apps_alike() -> None:
    assert {command for command, _ in commands(RECEIVE) if "webhooks_" in command} <= set(COMMANDS)


async def test_an_app_can_be_made_as_often_as_a_test_wants(sandbox: Server, tmp_path: Path) -> None:
    """Each with files of its own; and it says whether events are being handled."""
    secret = new_secret()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INSIM_WEBHOOK_SECRET", secret)
        patch.syspath_prepend(EXAMPLES)
        module = load("webhooks_fastapi")
        for name in ("one", "two"):
            folder = tmp_path / name
            await anyio.Path(folder).mkdir()
            app = module.create_app(folder=str(folder))
            async with (
                app.router.lifespan_context(app),
                httpx.AsyncClient(
                    transport=httpx.ASGITransport(app), base_url="http://localhost"
                ) as inside,
            ):
                answer = await inside.get(f"/insim/{secret}?{build_webhook(REPORTS[0])}")
                health = await inside.get("/health")
            assert (answer.status_code, health.status_code) == (200, 200)
            assert health.json()["problem"] == ""
