"""The peers that send one message per call: ours, the alternatives, and the physical limit.

Each peer opens with a base URL and a number of slots, gives a function that sends one message and
says whether it was sent, and is closed after its turn. Libraries are imported when their turn
comes, so that a missing one costs its own rows alone.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import httpx
import msgspec

if TYPE_CHECKING:
    from insim_async import AsyncInSim

LOGIN, ACCESS_KEY = "bench@example.org", "key"
HEADER = {"login": LOGIN, "accessKey": ACCESS_KEY}
SENDSMS = "/api/v1/sendsms"

Caller = Callable[[str, str], Awaitable[bool]]


def number(i: int) -> str:
    return f"+3363998{i % 10_000:04d}"


def text(i: int) -> str:
    return f"Hello, this is message {i} of the benchmark: your parcel is on its way."


class Receipt(msgspec.Struct):
    """The documented answer, in its documented spelling, and nothing else.

    It is what bare msgspec would be given.
    """

    id_sms_api: str
    sms_per_message: int
    user: str
    sent_time: datetime
    phone_number: str
    message: str
    sent: int


class Outgoing(msgspec.Struct):
    phone_number: str
    message: str


class Header(msgspec.Struct, frozen=True):
    login: str = LOGIN
    accessKey: str = ACCESS_KEY  # noqa: N815 - the vendor's spelling


class SendRequest(msgspec.Struct):
    messages: list[Outgoing]
    header: Header = Header()


encode_request = msgspec.json.Encoder().encode
decode_receipts = msgspec.json.Decoder(list[Receipt]).decode


class Peer(msgspec.Struct, frozen=True):
    """A peer's name, how it is opened, and the modules it needs.

    It has ``slots`` connections at most, or as many as there are tasks.
    """

    name: str
    open: Callable[[str, int], AbstractAsyncContextManager[Caller]]
    needs: tuple[str, ...] = ()
    slots: int | None = None

    @property
    def missing(self) -> str:
        """Say what it lacks, in a word; empty if nothing."""
        return next(
            (
                f"{name} is not installed"
                for name in self.needs
                if not importlib.util.find_spec(name)
            ),
            "",
        )


@asynccontextmanager
async def _ours(url: str, slots: int) -> AsyncIterator[Caller]:
    from insim_async import AsyncInSim

    async with AsyncInSim(LOGIN, ACCESS_KEY, base_url=url, max_concurrency=slots) as insim:
        yield _ours_caller(insim)


@asynccontextmanager
async def _ours_by_default(url: str, _slots: int) -> AsyncIterator[Caller]:
    from insim_async import AsyncInSim

    async with AsyncInSim(LOGIN, ACCESS_KEY, base_url=url) as insim:
        yield _ours_caller(insim)


def _ours_caller(insim: AsyncInSim) -> Caller:
    async def send(number: str, text: str) -> bool:
        return (await insim.send_sms(number, text)).sent

    return send


@asynccontextmanager
async def _httpx(url: str, _slots: int) -> AsyncIterator[Caller]:
    async with httpx.AsyncClient(timeout=60) as client:
        yield _httpx_caller(client, url)


@asynccontextmanager
async def _httpx_matching(url: str, slots: int) -> AsyncIterator[Caller]:
    limits = httpx.Limits(max_connections=slots, max_keepalive_connections=slots)
    async with httpx.AsyncClient(limits=limits, timeout=60) as client:
        yield _httpx_caller(client, url)


def _httpx_caller(client: httpx.AsyncClient, url: str) -> Caller:
    async def send(number: str, text: str) -> bool:
        message = {"phone_number": number, "message": text}
        answer = await client.post(url + SENDSMS, json={"header": HEADER, "messages": [message]})
        answer.raise_for_status()
        return bool(answer.json()[0]["sent"])

    return send


@asynccontextmanager
async def _aiohttp(url: str, slots: int) -> AsyncIterator[Caller]:
    import aiohttp
    import orjson

    connector = aiohttp.TCPConnector(limit=slots)
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def send(number: str, text: str) -> bool:
            message = {"phone_number": number, "message": text}
            body = orjson.dumps({"header": HEADER, "messages": [message]})
            async with session.post(url + SENDSMS, data=body) as answer:
                answer.raise_for_status()
                return bool(orjson.loads(await answer.read())[0]["sent"])

        yield send


@asynccontextmanager
async def _requests(url: str, _slots: int) -> AsyncIterator[Caller]:
    import requests

    async def send(number: str, text: str) -> bool:
        message: dict[str, str | int] = {
            "phone_number": number,
            "message": text,
            "url": "",
            "priorite": 1,
        }
        answer = requests.post(  # noqa: ASYNC210 - the peer is a synchronous library
            url + SENDSMS, json={"header": HEADER, "messages": [message]}, timeout=60
        )
        return bool(answer.json()[0]["sent"])

    yield send


@asynccontextmanager
async def _insim_cli(url: str, _slots: int) -> AsyncIterator[Caller]:
    from cli_anything.insim.core.api import InsimAPI

    api = InsimAPI(url, LOGIN, ACCESS_KEY)

    async def send(number: str, text: str) -> bool:
        date = datetime.now().isoformat()  # noqa: DTZ005 - what its command sends
        message = {
            "phone_number": number,
            "message": text,
            "url": "",
            "priority": 1,
            "date_to_send": date,
        }
        return bool(api.post("/api/v2/sendsms", {"messages": [message]})["result"][0]["sent"])

    with api.session:
        yield send


@asynccontextmanager
async def _bare_protocol(url: str, slots: int) -> AsyncIterator[Caller]:
    async with lines(url, slots) as free:

        async def send(number: str, text: str) -> bool:
            line = free.pop()
            answer = await line.post(encode_request(SendRequest([Outgoing(number, text)])))
            free.append(line)
            return bool(decode_receipts(answer)[0].sent)

        yield send


class Line(asyncio.Protocol):
    """One connection that does the least an HTTP client can do.

    It trusts everything and everyone.
    """

    _answer: asyncio.Future[bytes]
    _end = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._received = bytearray()

    async def post(self, body: bytes) -> bytes:
        self._answer = asyncio.get_running_loop().create_future()
        head = b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
        self.transport.write(head % (SENDSMS.encode(), len(body)) + body)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._end and (start := self._received.find(b"\r\n\r\n") + 4) > 3:
            length = self._received.index(b"Content-Length:") + 15
            self._start, self._end = (
                start,
                start + int(self._received[length:start].split(b"\r", 1)[0]),
            )
        if self._end and len(self._received) >= self._end:
            self._answer.set_result(bytes(self._received[self._start : self._end]))
            self._received.clear()
            self._end = 0


@asynccontextmanager
async def lines(url: str, slots: int) -> AsyncIterator[list[Line]]:
    """Open ``slots`` bare connections."""
    loop, port = asyncio.get_running_loop(), urlsplit(url).port or 80
    opened = [(await loop.create_connection(Line, "127.0.0.1", port))[1] for _ in range(slots)]
    yield opened.copy()
    for line in opened:
        line.transport.close()


OURS = Peer("insim_async", _ours)
OURS_BY_DEFAULT = Peer("insim_async, defaults", _ours_by_default)
HTTPX = Peer("httpx", _httpx)
HTTPX_MATCHING = Peer("httpx, pool of the same size", _httpx_matching)
HTTPX_ON_8 = Peer("httpx, 8 connections", _httpx_matching, slots=8)
AIOHTTP = Peer("aiohttp + orjson", _aiohttp, ("aiohttp", "orjson"))
AIOHTTP_ON_8 = Peer("aiohttp + orjson, 8 connections", _aiohttp, ("aiohttp", "orjson"), slots=8)
REQUESTS = Peer("requests, the vendor's example", _requests, ("requests",))
INSIM_CLI = Peer("insim-cli", _insim_cli, ("cli_anything", "requests"))
BARE_PROTOCOL = Peer("asyncio.Protocol + msgspec", _bare_protocol)
NPM = "npm insim-api"
