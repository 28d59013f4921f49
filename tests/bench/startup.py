"""What starting costs: G15 and G16."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from tempfile import TemporaryDirectory

import httpx

from . import peers
from .calls import Bench
from .tables import Goal, Table, compare
from .timing import Lap, Run, Watch, interleave

_IMPORT = """
import time
wall, cpu = time.perf_counter(), time.process_time()
import {}
print([time.perf_counter() - wall, time.process_time() - cpu])
"""


async def g15(_: Bench) -> list[Table]:
    goals = {
        "httpx": Goal(at_most=1.25),
        "twilio.rest": Goal(at_most=0.6),
        "openai": Goal(at_most=0.15),
    }
    absent = {
        name: "not installed" for name in goals if not importlib.util.find_spec(name.split(".")[0])
    }
    with TemporaryDirectory() as bytecode:  # the round that does not count writes it, for each
        runs: dict[str, Run] = {
            name: partial(_import, name, bytecode)
            for name in ("insim_async", *goals)
            if name not in absent
        }
        laps = await interleave(runs, rounds=9)
    return [compare("G15 import, in a fresh process", laps, goals, unit="", absent=absent)]


async def _import(module: str, bytecode: str) -> Lap:
    seconds, cpu = json.loads(_python(_IMPORT.format(module), bytecode))
    return Lap(messages=1, seconds=seconds, cpu=cpu)


def _python(program: str, bytecode: str) -> bytes:
    env = os.environ | {"PYTHONPYCACHEPREFIX": bytecode, "PYTHONDONTWRITEBYTECODE": ""}
    return subprocess.check_output([sys.executable, "-c", program], env=env)


async def g16(_: Bench) -> list[Table]:
    from insim_async import AsyncInSim

    def ours() -> AbstractAsyncContextManager[object]:
        return AsyncInSim(peers.LOGIN, peers.ACCESS_KEY, base_url="https://localhost")

    async with ours():
        runs: dict[str, Run] = {
            "insim_async": partial(_open, ours),
            "httpx": partial(_open, httpx.AsyncClient),
        }
        laps = await interleave(runs, rounds=9)
    title = "G16 a second client in one process, opened for https, its certificates loaded"
    return [compare(title, laps, {"httpx": Goal(at_most=0.05)}, unit="")]


async def _open(client: Callable[[], AbstractAsyncContextManager[object]], times: int = 5) -> Lap:
    with Watch() as watch:
        for _ in range(times):
            async with client():
                pass
    return watch.lap(times)
