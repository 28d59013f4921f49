"""Interleaved rounds, medians, and ratios taken pair by pair.

Each ratio compares what two clients did right after one another.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from statistics import median
from typing import Self

import msgspec

Run = Callable[[], Awaitable["Lap"]]
Laps = Mapping[str, list["Lap"]]


class Lap(msgspec.Struct, kw_only=True):
    """One turn of one peer: its messages, time, processor time and connections.

    Half of the sends took no longer than ``p50`` seconds, and 99 of 100 no longer than ``p99``.
    What nobody measured is 0.
    """

    messages: int
    seconds: float
    cpu: float
    connections: int = 0
    p50: float = 0.0
    p99: float = 0.0

    @property
    def rate(self) -> float:
        return self.messages / self.seconds

    @property
    def cpu_per_message(self) -> float:
        return self.cpu / self.messages


class Watch:
    """Measures a block: ``with Watch() as watch: ...``, then ``watch.lap(messages)``."""

    def __enter__(self) -> Self:
        gc.collect()
        self._cpu, self._wall = time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._wall
        self.cpu = time.process_time() - self._cpu

    def lap(self, messages: int) -> Lap:
        return Lap(messages=messages, seconds=self.seconds, cpu=self.cpu)

    def lap_of(self, times: Sequence[float]) -> Lap:
        """Return the lap of sends that took ``times``, one message each."""
        lap = self.lap(len(times))
        lap.p50, lap.p99 = percentile(times, 50), percentile(times, 99)
        return lap


def percentile(times: Sequence[float], percent: int) -> float:
    return sorted(times)[len(times) * percent // 100]


async def interleave(peers: Mapping[str, Run], rounds: int = 5) -> Laps:
    """Let the peers take turns, A B A B ..., after one round that does not count."""
    laps: dict[str, list[Lap]] = {name: [] for name in peers}
    for turn in range(rounds + 1):
        for name, run in peers.items():
            lap = await run()
            assert lap.messages, f"{name} did nothing"
            if turn:
                laps[name].append(lap)
    return laps


def speed_ratio(ours: list[Lap], peers: list[Lap]) -> float:
    """Return how many times as fast as the peer we are: the median over the rounds."""
    return median(our.rate / peer.rate for our, peer in zip(ours, peers, strict=True))


def cpu_ratio(ours: list[Lap], peers: list[Lap]) -> float:
    """Return how many times as much of the processor the peer takes.

    It is steadier than speed on a busy machine.
    """
    return median(
        peer.cpu_per_message / our.cpu_per_message for our, peer in zip(ours, peers, strict=True)
    )


def computed(function: Callable[[], object], per_call: int, seconds: float = 0.01) -> Run:
    """Return a run that calls a pure function again and again.

    Its time is the processor's, whoever else runs.
    """

    async def run() -> Lap:
        calls = 0
        with Watch() as watch:
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                function()
                calls += 1
        return Lap(messages=calls * per_call, seconds=watch.cpu, cpu=watch.cpu)

    return run
