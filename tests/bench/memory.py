"""Measure how much memory a bulk call takes.

It runs in a process of its own, and prints the bytes above what the import took.
"""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

from insim_async import AsyncInSim, Sms, Status


def _status(field: str) -> int:
    """Return a figure of the process in bytes.

    ``VmRSS`` is what it holds, ``VmHWM`` the most it ever held.
    """
    found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


async def _send(way: str, count: int, url: str) -> None:
    messages = (
        Sms(f"+3363998{i % 10_000:04d}", f"Hello, this is message {i}") for i in range(count)
    )
    async with AsyncInSim("bench@example.org", "key", base_url=url) as insim:
        if way == "stream":
            sent = 0
            async for outcome in insim.stream(messages):
                sent += outcome.status is Status.SENT
        else:
            sent = (await insim.send_many(list(messages))).sent
    assert sent == count


if __name__ == "__main__":
    imported = _status("VmRSS")
    asyncio.run(_send(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
    print(_status("VmHWM") - imported)
