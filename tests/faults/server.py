"""A gateway that misbehaves to order, in a process of its own, and counts what it processed.

Orders come in as lines of JSON on standard input, answers go out as lines of JSON on standard
output, and the end of the input ends the process. A listener acts out one script for each
connection, one for each request, and then the script for all others. A message counts as processed
only where a script says so, once its whole body is here.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gzip
import html
import json
import socket
import ssl
import struct
import sys
import time
import urllib.parse
import warnings
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any

Row = dict[str, Any]
Script = list[list[Any]]

MEGABYTE = 1 << 20
BEHAVE: Script = [["head"], ["body"], ["process"], ["receipts"]]


class Gone(Exception):
    """The peer closed the connection."""


# What the answers look like, and how they go wrong


def things(path: str, request: Row) -> list[str]:
    """Name what a request asks to be done, one name for each message, contact or call."""
    if path.endswith("/sendsms"):
        return [str(message["id_sms_api"]) for message in request["messages"]]
    if path.endswith("/contact"):
        return [f"contact {contact['phone_number']}" for contact in request["contacts"]]
    return [f"call {request['header']['phone_number']}"]


def receipt(message: Row) -> Row:
    """Answer one message."""
    return {
        "id_sms_api": message["id_sms_api"],
        "sms_per_message": 1,
        "user": "account@example.com",
        "sent_time": "2025-10-29T10:16:10.541Z",
        "phone_number": message["phone_number"],
        "message": message["message"],
        "sent": 1,
    }


def added(contact: Row) -> Row:
    """Answer one contact."""
    return {
        "firstname": contact["firstname"],
        "lastname": contact["lastname"],
        "phonenumber": contact["phone_number"],
        "adress": "",
        "email": "",
        "result": "success",
    }


def answer(path: str, request: Row) -> Any:
    """Answer a request as the gateway's documentation says."""
    if path.endswith("/sendsms"):
        return [receipt(message) for message in request["messages"]]
    if path.endswith("/contact"):
        return {"data": {"contact": [added(contact) for contact in request["contacts"]]}}
    return [{"info": "please make sure the phone is connected", "result": "success", "errors": []}]


def without(rows: list[Row], *names: str) -> list[Row]:
    """Take fields out of every row."""
    return [{key: value for key, value in row.items() if key not in names} for row in rows]


TWISTS: dict[str, Callable[[list[Row]], Any]] = {
    "straight": lambda rows: rows,
    "fewer": lambda rows: rows[1:],
    "none": lambda rows: [],
    "more": lambda rows: [*rows, {**rows[0], "id_sms_api": "more", "phone_number": "+33639989999"}],
    "repeated": lambda rows: [rows[0], *rows],
    "contradictory": lambda rows: [*rows, {**rows[0], "sent": 0}],
    "permuted": lambda rows: rows[::-1],
    "foreign": lambda rows: [
        {**rows[0], "id_sms_api": "foreign", "phone_number": "+33639989999"},
        *rows[1:],
    ],
    "foreign ids": lambda rows: [
        {**row, "id_sms_api": f"foreign-{at}"} for at, row in enumerate(rows)
    ],
    "strings": lambda rows: [{**row, "sent": "1", "sms_per_message": "1"} for row in rows],
    "no sent": lambda rows: without(rows, "sent"),
    "no ids": lambda rows: without(rows, "id_sms_api"),
    "no ids, permuted": lambda rows: without(rows, "id_sms_api")[::-1],
    "no ids, fewer": lambda rows: without(rows, "id_sms_api")[1:],
    "no ids, no numbers": lambda rows: without(rows, "id_sms_api", "phone_number"),
    "not sent": lambda rows: [{**row, "sent": 0} for row in rows],
    "refused": lambda rows: {
        "data": {"data": [{"id_sms_api": 0, "error": ["#007"]} for _ in rows], "envoi": 0}
    },
    "object": lambda rows: rows[0],
}


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it came": lambda text: text,
    "JSON, ASCII only": lambda text: json.dumps(json.loads(text)),
    "JSON, slashes escaped": lambda text: json.dumps(json.loads(text)).replace("/", "\\/"),
    "JSON, slashes escaped, not ASCII only": lambda text: text.replace("/", "\\/"),
    "JSON in JSON": json.dumps,
    "HTML": html.escape,
    "HTML, by number": lambda text: (
        html.escape(text, quote=False).replace('"', "&#34;").replace("'", "&#039;")
    ),
    "URL": urllib.parse.quote,
    "URL, all of it": lambda text: urllib.parse.quote(text, safe=""),
    "form": urllib.parse.quote_plus,
    "Python": lambda text: repr(json.loads(text)),
}


def reply(status: int, body: bytes, *headers: str) -> bytes:
    """Frame an answer."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@functools.cache
def bomb(megabytes: int) -> bytes:
    """Compress that much white space, which JSON allows, in front of an empty list."""
    return gzip.compress(b" " * megabytes * MEGABYTE + b"[]")


# One connection


class Conversation:
    """One connection, acting out its scripts."""

    def __init__(
        self, listener: Listener, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.listener = listener
        self.reader = reader
        self.writer = writer
        self.buffer = b""
        self.head = ""
        self.request: Row = {}
        self.raw = b""

    async def act(self) -> None:
        """Act out the scripts of the connection and its requests, until either side leaves."""
        with contextlib.suppress(Gone, OSError):
            await self.perform(self.listener.next_for_connection())
            while True:
                await self.step_more()
                await self.perform(self.listener.next_for_request())
                self.listener.acted_out += 1

    async def perform(self, script: Script) -> None:
        """Take the steps of a script in turn."""
        for name, *details in script:
            step: Callable[..., Awaitable[None]] = getattr(self, f"step_{name}")
            await step(*details)

    async def receive(self) -> None:
        """Wait for more bytes."""
        data = await self.reader.read(65536)
        if not data:
            raise Gone
        self.listener.received += len(data)
        self.buffer += data

    async def send(self, data: bytes) -> None:
        """Send bytes, as fast as the peer takes them."""
        self.writer.write(data)
        await self.writer.drain()

    @property
    def path(self) -> str:
        """The path that is asked for."""
        return self.head.split(" ", 2)[1]

    # Steps

    async def step_more(self) -> None:
        """Wait until something comes."""
        await self.receive()

    async def step_head(self) -> None:
        """Read up to the end of the request's headers."""
        while b"\r\n\r\n" not in self.buffer:
            await self.receive()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        self.head = head.decode("latin-1")
        self.listener.methods[self.head.split(" ", 1)[0]] += 1

    async def step_body(self) -> None:
        """Read the request's whole body."""
        length = next(
            int(line.partition(":")[2])
            for line in self.head.splitlines()
            if line.lower().startswith("content-length:")
        )
        while len(self.buffer) < length:
            await self.receive()
        self.raw, self.buffer = self.buffer[:length], self.buffer[length:]
        self.request = json.loads(self.raw)

    async def step_process(self) -> None:
        """Do what is asked for, and count it."""
        names = things(self.path, self.request)
        async with self.listener.news:
            self.listener.processed.update(names)
            self.listener.order.extend(names)
            self.listener.news.notify_all()

    async def step_receipts(self, twist: str = "straight", *headers: str) -> None:
        """Answer as documented, or with a twist."""
        rows = answer(self.path, self.request)
        body = json.dumps(TWISTS[twist](rows) if twist != "straight" else rows).encode()
        await self.send(reply(200, body, "Content-Type: application/json", *headers))

    async def step_gzipped(self) -> None:
        """Answer as documented, but compressed, which nobody asked for."""
        body = gzip.compress(json.dumps(answer(self.path, self.request)).encode())
        await self.send(
            reply(200, body, "Content-Type: application/json", "Content-Encoding: gzip")
        )

    async def step_reply(self, status: int, body: str, *headers: str) -> None:
        """Answer with this."""
        await self.send(reply(status, body.encode("latin-1"), *headers))

    async def step_echo(self, status: int, spelling: str) -> None:
        """Answer with the request's own body, on a page such as debuggers make."""
        body = f"<h1>Error</h1><pre>{SPELLINGS[spelling](self.raw.decode())}</pre>"
        await self.send(reply(status, body.encode(), "Content-Type: text/html"))

    async def step_receipts_and(self, text: str) -> None:
        """Answer as documented, and send this on top, in the same breath."""
        body = json.dumps(answer(self.path, self.request)).encode()
        await self.send(reply(200, body, "Content-Type: application/json") + text.encode("latin-1"))

    async def step_later(self, status: int, seconds: int, ahead: int | None) -> None:
        """Ask for patience until a date, by a clock that is so far ahead, or that is not told."""
        now = time.time() + (ahead or 0)
        headers = [] if ahead is None else [f"Date: {formatdate(now, usegmt=True)}"]
        await self.send(
            reply(status, b"", *headers, f"Retry-After: {formatdate(now + seconds, usegmt=True)}")
        )

    async def step_encoded(self, encoding: str) -> None:
        """Answer as documented, in another encoding."""
        text = json.dumps(answer(self.path, self.request), ensure_ascii=False)
        await self.send(reply(200, text.encode(encoding), "Content-Type: application/json"))

    async def step_say(self, text: str) -> None:
        """Send these very bytes."""
        await self.send(text.encode("latin-1"))

    async def step_drip(self, text: str, seconds: float) -> None:
        """Send one byte at a time."""
        for byte in text.encode("latin-1"):
            await self.send(bytes([byte]))
            await asyncio.sleep(seconds)

    async def step_flood(self, text: str) -> None:
        """Send this again and again, for as long as the peer takes it."""
        data = text.encode("latin-1")
        while True:
            await self.send(data)
            await asyncio.sleep(0)

    async def step_bomb(self, megabytes: int) -> None:
        """Answer with a little that decompresses to a lot."""
        headers = ["Content-Type: application/json", "Content-Encoding: gzip"]
        await self.send(reply(200, bomb(megabytes), *headers))

    async def step_wait(self, seconds: float) -> None:
        """Do nothing for so long."""
        await asyncio.sleep(seconds)

    async def step_meet(self, names: list[str]) -> None:
        """Wait until all of these are processed, if what is asked for is one of them."""
        if not set(names).isdisjoint(things(self.path, self.request)):
            async with self.listener.news:
                await self.listener.news.wait_for(
                    lambda: set(names) <= self.listener.processed.keys()
                )

    async def step_hold(self) -> None:
        """Wait until the listener is told to let go."""
        await self.listener.released.wait()

    async def step_stall(self) -> None:
        """Read what comes and never answer."""
        while True:
            await self.receive()

    async def step_finish(self) -> None:
        """Close the sending half only, and stall."""
        self.writer.write_eof()
        await self.step_stall()

    async def step_close(self) -> None:
        """Hang up."""
        raise Gone

    async def step_reset(self) -> None:
        """Hang up rudely."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
        raise Gone

    async def step_tunnel(self, port: int) -> None:
        """Agree to CONNECT and carry bytes both ways."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await self.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        there = asyncio.ensure_future(carry(self.reader, writer))
        back = asyncio.ensure_future(carry(reader, self.writer))
        try:
            await asyncio.wait([there, back], return_when=asyncio.FIRST_COMPLETED)
        finally:
            there.cancel()
            back.cancel()
            writer.transport.abort()
        raise Gone


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes one way, until either side leaves."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


# One port


class Listener:
    """One port, its scripts and its counts."""

    def __init__(self, order: Row) -> None:
        self.order_of_service = order
        self.connections: deque[Script] = deque(order.get("connections", []))
        self.requests: deque[Script] = deque(order.get("requests", []))
        self.otherwise: Script = order.get("otherwise", BEHAVE)
        self.released = asyncio.Event()
        self.processed: Counter[str] = Counter()
        self.order: list[str] = []
        self.methods: Counter[str] = Counter()
        self.received = 0
        self.opened = 0
        self.acted_out = 0
        self.present: dict[asyncio.Task[None], asyncio.StreamReader] = {}
        self.news = asyncio.Condition()

    async def open(self) -> int:
        """Listen, and return the port."""
        tls = self.order_of_service.get("tls")
        self.server = await asyncio.start_server(
            self.converse,
            "127.0.0.1",
            self.order_of_service.get("port", 0),
            backlog=4096,
            ssl=None if tls is None else context_for(tls),
        )
        port: int = self.server.sockets[0].getsockname()[1]
        return port

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        task = asyncio.current_task()
        assert task is not None
        self.opened += 1
        self.present[task] = reader
        try:
            await Conversation(self, reader, writer).act()
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            del self.present[task]
            writer.close()

    def next_for_connection(self) -> Script:
        """Return what the next connection begins with."""
        return self.connections.popleft() if self.connections else []

    def next_for_request(self) -> Script:
        """Return what happens to the next request."""
        return self.requests.popleft() if self.requests else self.otherwise

    def report(self) -> Row:
        """Return all counts."""
        return {
            "processed": dict(self.processed),
            "order": self.order,
            "requests": self.methods.total(),
            "methods": dict(self.methods),
            "received": self.received,
            "opened": self.opened,
            "acted_out": self.acted_out,
            "open": sum(not gone(reader) for reader in self.present.values()),
        }

    async def close(self) -> None:
        """Stop listening and drop all connections."""
        self.server.close()
        tasks = list(self.present)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def gone(reader: asyncio.StreamReader) -> bool:
    """Tell whether the peer has left, even if the script has not come to see it."""
    return reader.at_eof() or reader.exception() is not None


class FullBacklog(Listener):
    """A port whose queue is full: whoever connects waits for an answer to his first packet."""

    async def open(self) -> int:
        """Listen, fill the queue, and return the port."""
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.socket.setblocking(False)
        port: int = self.socket.getsockname()[1]
        self.fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            self.fillers.append(filler)
        return port

    async def close(self) -> None:
        """Stop listening."""
        for each in [*self.fillers, self.socket]:
            each.close()


def context_for(tls: Row) -> ssl.SSLContext:
    """Make a server's TLS context."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls["certificate"])
    if tls.get("old"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
    return context


# The desk that takes orders


class Desk:
    """Takes orders and keeps the listeners."""

    def __init__(self) -> None:
        self.listeners: dict[int, Listener] = {}

    async def take(self, order: Row) -> Any:
        """Do what an order says and return what it asks for."""
        do: Callable[[Row], Awaitable[Any]] = getattr(self, f"do_{order['do']}")
        return await do(order)

    async def do_listen(self, order: Row) -> int:
        """Open a listener."""
        listener = (FullBacklog if order.get("full") else Listener)(order)
        port = await listener.open()
        self.listeners[port] = listener
        return port

    async def do_script(self, order: Row) -> None:
        """Replace the scripts of a listener."""
        listener = self.listeners[order["port"]]
        listener.requests = deque(order["requests"])
        listener.connections = deque(order.get("connections", listener.connections))
        listener.otherwise = order["otherwise"] or listener.otherwise

    async def do_release(self, order: Row) -> None:
        """Let go whoever is held: those who are now, or all who ever will be."""
        listener = self.listeners[order["port"]]
        listener.released.set()
        if order["once"]:
            listener.released = asyncio.Event()

    async def do_report(self, order: Row) -> Row:
        """Tell the counts of a listener."""
        return self.listeners[order["port"]].report()

    async def do_close(self, order: Row) -> Row:
        """Close a listener and tell its counts."""
        listener = self.listeners.pop(order["port"])
        await listener.close()
        return listener.report()


async def main() -> None:
    """Take orders until the input ends."""
    orders = asyncio.StreamReader(limit=16 * MEGABYTE)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    desk = Desk()
    print(json.dumps("ready"), flush=True)
    while line := await orders.readline():
        print(json.dumps(await desk.take(json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
