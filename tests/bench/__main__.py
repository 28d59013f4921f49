"""Run the subjects named on the command line, or all: ``python -m tests.bench [G1 G7 ...]``."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

from . import (
    beside,
    bulk,
    calls,
    campaigns,
    codec,
    inbox,
    lists,
    outbox,
    startup,
    together,
    webhooks,
)
from .calls import Bench
from .npm import Npm
from .server import running
from .tables import Table

_LARGE = 16 << 20
"""A block of this size, once freed, teaches malloc to keep memory: as in a process that has worked
for a while."""

Subject = Callable[[Bench], Awaitable[list[Table]]]

SUBJECTS: dict[str, Subject] = {
    "G1": calls.g1,
    "G2": calls.g2,
    "G3": calls.g3,
    "G4": calls.g4,
    "G5": calls.g5,
    "G6": calls.g6,
    "G7": bulk.g7,
    "G8": bulk.g8,
    "G9": codec.g9,
    "G10": codec.g10,
    "G11": codec.g11,
    "G12": codec.g12,
    "G13": webhooks.g13,
    "G14": webhooks.g14,
    "G15": startup.g15,
    "G16": startup.g16,
    "G17": together.g17,
    "G18": together.g18,
    "G19": together.g19,
    "G20": together.g20,
    "G20A": together.g20a,
    "G20B": together.g20b,
    "G20C": beside.g20c,
    "G20D": together.g20d,
    "G21": campaigns.g21,
    "G22": campaigns.g22,
    "G23": campaigns.g23,
    "G24": beside.g24,
    "G25": lists.g25,
    "W1": inbox.w1,
    "W2": inbox.w2,
    "W3": inbox.w3,
    "O1": outbox.o1,
    "O2": outbox.o2,
    "O3": outbox.o3,
}


async def main(names: list[str]) -> int:
    """Print the tables and return how many goals were missed."""
    client_core, server_core = _cores()
    os.sched_setaffinity(0, {client_core})
    bytes(_LARGE)
    started, missed = time.monotonic(), 0
    with ExitStack() as stack:
        server = stack.enter_context(running(server_core))
        bench = Bench(server, Npm(stack))
        print(_machine(client_core, server_core))
        print(f"the server alone: {_ceilings(bench)}\n", flush=True)
        for name in names:
            for table in await SUBJECTS[name](bench):
                print(table, flush=True)
                missed += table.missed
    print(f"{missed} goals missed, {time.monotonic() - started:.0f} s")
    return missed


def _ceilings(bench: Bench) -> str:
    rates = {size: bench.server.ceiling(size) for size in (1, 100, 500)}
    return ", ".join(
        f"{rate:,.0f} messages/s in requests of {size}" for size, rate in rates.items()
    )


def _cores() -> tuple[int, int]:
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[-1]


def _machine(client_core: int, server_core: int) -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
        "unknown",
    )
    cores = f"client on core {client_core}, server on core {server_core}"
    if client_core == server_core:
        cores += " too (the figures mean little)"
    return f"Python {platform.python_version()}, {model}; {cores}; load {os.getloadavg()[0]:.1f}"


def _chosen(arguments: list[str]) -> list[str]:
    names = [argument.upper() for argument in arguments]
    if unknown := [name for name in names if name not in SUBJECTS]:
        raise SystemExit(f"no such subject: {', '.join(unknown)}; there are {', '.join(SUBJECTS)}")
    return names or list(SUBJECTS)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(_chosen(sys.argv[1:]))) > 0)
