"""The gateway of the benchmarks: its own process on its own core, as fast as asyncio lets it be.

It answers each message with one receipt that repeats id, number and text. Four ports: one answers
at once, one after 25 to 75 ms, one as far away takes 5 ms more for each message in a request, and
one tells how many connections and requests there were.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import cast

import msgspec

NEAREST, FARTHEST = 0.025, 0.075
FOR_EACH_MESSAGE = 0.005
_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"content-length:"


class Message(msgspec.Struct, gc=False):
    """A message on its way in, and its receipt on the way out.

    What the request lacks is there already.
    """

    id_sms_api: str = "AbCdEfGhIjKlMnOpQrStUv"
    sms_per_message: int = 1
    user: str = "bench@example.org"
    sent_time: str = "2025-10-29T10:16:10.541Z"
    phone_number: str = ""
    message: str = ""
    sent: int = 1


class Request(msgspec.Struct, gc=False):
    messages: list[Message]


class Ports(msgspec.Struct, frozen=True):
    near: int
    far: int
    slow: int
    counts: int


class Counts(msgspec.Struct):
    """What the server saw since it started; ``cpu`` in seconds."""

    connections: int = 0
    requests: int = 0
    cpu: float = 0.0


_decode = msgspec.json.Decoder(Request).decode
_encode = msgspec.json.Encoder().encode


def _answer(head: bytes, body: bytes) -> tuple[bytes, int]:
    """Return the answer to a request, and how many messages were in it."""
    messages = _decode(body).messages
    receipts = _encode(messages)
    if b"/api/v2/" in head:
        receipts = b'{"success":true,"sent_count":%d,"result":%b}' % (len(messages), receipts)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(receipts) + receipts, len(messages)


class Gateway(asyncio.Protocol):
    """Reads requests, pipelined ones too, and answers each."""

    def __init__(self, counts: Counts, *, far: bool = False, for_each: float = 0.0) -> None:
        self.counts = counts
        self.far = far
        self.for_each = for_each
        self.received = bytearray()
        self.wanted = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.counts.connections += 1

    def data_received(self, data: bytes) -> None:
        received = self.received
        received += data
        while len(received) >= self.wanted and (end := received.find(_END_OF_HEAD)) >= 0:
            head = bytes(received[:end]).lower()
            start = end + len(_END_OF_HEAD)
            self.wanted = start + int(
                head[head.index(_LENGTH) + len(_LENGTH) :].split(b"\r\n", 1)[0]
            )
            if len(received) < self.wanted:
                return
            body = bytes(received[start : self.wanted])
            answer, messages = _answer(head[: head.index(b"\r\n")], body)
            del received[: self.wanted]
            self.wanted = 0
            self.counts.requests += 1
            if self.far:
                delay = random.uniform(NEAREST, FARTHEST) + messages * self.for_each
                asyncio.get_running_loop().call_later(delay, self.send, answer)
            else:
                self.send(answer)

    def send(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)


class Clerk(asyncio.Protocol):
    """Tells the counts to whoever connects."""

    def __init__(self, counts: Counts) -> None:
        self.counts = counts

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.counts.cpu = time.process_time()
        cast("asyncio.Transport", transport).write(_encode(self.counts))
        transport.close()


async def serve(core: int) -> None:
    """Serve until whoever started this process closes its standard input."""
    os.sched_setaffinity(0, {core})
    counts = Counts()
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(make, "127.0.0.1", 0, backlog=8192)
        for make in (
            partial(Gateway, counts),
            partial(Gateway, counts, far=True),
            partial(Gateway, counts, far=True, for_each=FOR_EACH_MESSAGE),
            partial(Clerk, counts),
        )
    ]
    ports = Ports(*(server.sockets[0].getsockname()[1] for server in servers))
    print(_encode(ports).decode(), flush=True)
    done = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), done.set)
    gc.freeze()
    gc.disable()
    await done.wait()


class Server:
    """The running server, as its clients see it."""

    def __init__(self, ports: Ports) -> None:
        self.near = f"http://127.0.0.1:{ports.near}"
        self.far = f"http://127.0.0.1:{ports.far}"
        self.slow = f"http://127.0.0.1:{ports.slow}"
        self._ports = ports

    def counts(self) -> Counts:
        with socket.create_connection(("127.0.0.1", self._ports.counts)) as clerk:
            return msgspec.json.decode(b"".join(iter(lambda: clerk.recv(4096), b"")), type=Counts)

    def ceiling(self, size: int, seconds: float = 0.5) -> float:
        """Return how many messages a second it can answer in requests of ``size``.

        The requests are sent without ever waiting for an answer.
        """
        message = {"phone_number": "+33639980001", "message": "x" * 70, "id_sms_api": "i" * 22}
        body = json.dumps({"messages": [message] * size}).encode()
        request = b"POST /api/v1/sendsms HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (
            len(body),
            body,
        )
        answer = len(_answer(b"/api/v1/", body)[0])
        requests = request * (per_burst := max(1, 64 // size))
        with socket.create_connection(("127.0.0.1", self._ports.near)) as connection:
            connection.sendall(requests)
            bursts, started = 0, time.perf_counter()
            while time.perf_counter() - started < seconds:
                connection.sendall(requests)
                _discard(connection, answer * per_burst)
                bursts += 1
            elapsed = time.perf_counter() - started
            _discard(connection, answer * per_burst)
        return bursts * per_burst * size / elapsed


def _discard(connection: socket.socket, size: int) -> None:
    while size:
        size -= len(connection.recv(min(size, 1 << 20)))


@contextmanager
def running(core: int) -> Iterator[Server]:
    """Start the server on ``core`` and stop it in the end."""
    command = [sys.executable, str(Path(__file__)), str(core)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Server(msgspec.json.decode(process.stdout.readline(), type=Ports))
        process.stdin.close()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
