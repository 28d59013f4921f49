"""The misbehaving gateway, as the tests hold it: its process, its listeners, its counts."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

Script = list[list[Any]]

HEAD, BODY, PROCESS, RECEIPTS = ["head"], ["body"], ["process"], ["receipts"]
CLOSE, RESET, STALL = ["close"], ["reset"], ["stall"]
BEHAVE: Script = [HEAD, BODY, PROCESS, RECEIPTS]
TAKE: Script = [HEAD, BODY, PROCESS]
PATIENCE = 20.0


class Report(NamedTuple):
    """What a listener counted: per message id, per request, per connection."""

    processed: dict[str, int]
    order: list[str]
    requests: int
    methods: dict[str, int]
    received: int
    acted_out: int
    opened: int
    open: int


class Listener(NamedTuple):
    """One port of the gateway."""

    gateway: Gateway
    port: int

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def script(self, *requests: Script, otherwise: Script = BEHAVE, **order: Any) -> None:
        """Say what happens to the next requests, and what to all after them."""
        self.gateway.order(
            "script", port=self.port, requests=requests, otherwise=otherwise, **order
        )

    def release(self, *, once: bool = False) -> None:
        """Let go all that are held, now or ever; or only those that are now."""
        self.gateway.order("release", port=self.port, once=once)

    def report(self) -> Report:
        """Return the counts."""
        return Report(**self.gateway.order("report", port=self.port))

    def close(self) -> Report:
        """Stop listening, drop all connections, and return the final counts."""
        return Report(**self.gateway.order("close", port=self.port))


class Gateway:
    """The process; it ends when its input does."""

    def __init__(self) -> None:
        command = [sys.executable, str(Path(__file__).with_name("server.py"))]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.answer() == "ready"

    def order(self, do: str, **details: Any) -> Any:
        """Give an order and wait for the answer: a moment, in which no event loop needs to turn."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **details}).encode() + b"\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self) -> Any:
        """Read one answer."""
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], PATIENCE)[0], (
            "the gateway does not answer"
        )
        return json.loads(self.process.stdout.readline())

    def listen(self, **order: Any) -> Listener:
        """Open a port that acts as ordered, and as documented where nothing is ordered."""
        return Listener(self, self.order("listen", **order))

    def close(self) -> None:
        """End the process."""
        self.process.communicate(timeout=PATIENCE)
