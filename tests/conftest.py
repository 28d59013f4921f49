"""A gateway behind respx, for tests that need answers and no network.

It also decides whether hypothesis repeats or explores.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NoReturn

import httpx
import msgspec
import pytest
import respx
from hypothesis import settings

from insim_async import AsyncInSim, Clock
from tests.campaigns import campaign as campaign
from tests.campaigns import open_campaign as open_campaign
from tests.inboxes import open_inbox as open_inbox
from tests.inboxes import path as path
from tests.inboxes import short_waits as short_waits
from tests.inboxes import wall as wall
from tests.outboxes import open_outbox as open_outbox
from tests.outboxes import outbox as outbox
from tests.outboxes import still as still

# The same examples on every run, however long each takes; ``--hypothesis-profile=explore`` goes on
# looking.
settings.register_profile("repeat", derandomize=True, deadline=None, database=None)
settings.register_profile(
    "explore", derandomize=False, deadline=None, database=None, print_blob=True
)
settings.load_profile("repeat")

LOGIN = "me@example.com"
KEY = "k3y-that-nobody-may-see"
BASE_URL = "https://insim.test"

Answer = Callable[[list[dict[str, Any]]], httpx.Response]


def receipt(message: dict[str, Any], **changes: object) -> dict[str, Any]:
    """Return the documented receipt of a message, with changes."""
    return {
        "id_sms_api": message["id_sms_api"],
        "sms_per_message": 1,
        "user": LOGIN,
        "sent_time": "2025-10-29T10:16:10.541Z",
        "phone_number": message["phone_number"],
        "message": message["message"],
        "sent": 1,
    } | changes


def touchy(*_: object) -> NoReturn:
    """Refuse to be looked at."""
    raise TypeError("boolean value of NA is ambiguous")


class NotAvailable:
    """A stand-in for pandas' NA, which refuses to be compared."""

    __eq__ = __ne__ = __bool__ = __hash__ = touchy


class Gateway:
    """Answers each request to send, as documented or as the next of ``answers`` says.

    It counts which messages it processed.
    """

    def __init__(self) -> None:
        self.answers: list[httpx.Response | Exception | Answer] = []
        self.requests: list[dict[str, Any]] = []
        self.processed: Counter[str] = Counter()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(json.loads(request.content))
        answer = self.answers.pop(0) if self.answers else self.take
        if isinstance(answer, Exception):
            raise answer
        return (
            answer if isinstance(answer, httpx.Response) else answer(self.requests[-1]["messages"])
        )

    def take(self, messages: list[dict[str, Any]]) -> httpx.Response:
        """Take all messages and say so."""
        self.processed.update(message["id_sms_api"] for message in messages)
        return httpx.Response(
            200, content=msgspec.json.encode([receipt(message) for message in messages])
        )

    @property
    def batches(self) -> list[int]:
        """How many messages each request had."""
        return [len(request["messages"]) for request in self.requests]


NOON = 1761739200.0  # Wed, 29 Oct 2025 12:00:00 GMT


class Hours:
    """A clock that goes on when somebody sleeps, at once."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.naps: list[float] = []

    async def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        self.naps.append(seconds)
        self.time += seconds

    @property
    def clock(self) -> Clock:
        """The same for a client; chance always lands in the middle."""
        return Clock(
            now=lambda: self.time,
            wall=lambda: NOON + self.time,
            sleep=self.sleep,
            random=lambda: 0.5,
        )


@pytest.fixture
def hours() -> Hours:
    return Hours()


@pytest.fixture
def router() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url=BASE_URL, assert_all_called=False) as mock:
        yield mock


@pytest.fixture
def gateway(router: respx.MockRouter) -> Gateway:
    gateway = Gateway()
    router.post("/api/v1/sendsms").mock(side_effect=gateway)
    return gateway


@pytest.fixture
async def insim(gateway: Gateway, hours: Hours) -> AsyncIterator[AsyncInSim]:
    async with AsyncInSim(LOGIN, KEY, base_url=BASE_URL, clock=hours.clock) as client:
        yield client
