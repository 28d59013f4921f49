"""What is printed: one table per subject, each row a peer with its ratio to ours and the goal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import median

import msgspec

from .timing import Lap, Laps, cpu_ratio, speed_ratio

_HEADINGS = (
    "peer",
    "median",
    "ours : peer",
    "goal",
    "",
    "CPU",
    "by CPU",
    "p50",
    "p99",
    "connections",
)


class Goal(msgspec.Struct, frozen=True):
    """A bound on how fast we are beside a peer.

    ``at_least`` is of our speed as a multiple of its, ``at_most`` of our time as a multiple of its,
    ``cpu_at_most`` of our processor time as a multiple of its.
    """

    at_least: float | None = None
    at_most: float | None = None
    cpu_at_most: float | None = None

    def __str__(self) -> str:
        speed = (
            f"≥ {self.at_least:g}×"
            if self.at_least is not None
            else f"≤ {self.at_most:g}× its time"
        )
        cpu = "" if self.cpu_at_most is None else f" at ≤ {self.cpu_at_most:g} of its CPU"
        return speed + cpu

    def ratio(self, speed: float) -> float:
        """Return the speed ratio in the goal's own terms."""
        return speed if self.at_least is not None else 1 / speed

    def is_met(self, speed: float, by_cpu: float = 1.0) -> bool:
        if self.cpu_at_most is not None and 1 / by_cpu > self.cpu_at_most:
            return False
        if self.at_least is not None:
            return speed >= self.at_least
        return self.at_most is None or 1 / speed <= self.at_most


class Within(msgspec.Struct, frozen=True):
    """What our own row may take, whoever else is there: ``p99`` in seconds."""

    p99: float | None = None
    connections: int | None = None

    def __str__(self) -> str:
        p99 = [] if self.p99 is None else [f"p99 ≤ {_time(self.p99)}"]
        few = [] if self.connections is None else [f"≤ {self.connections} connections"]
        return ", ".join(p99 + few)

    def is_met(self, laps: list[Lap]) -> bool:
        slow = self.p99 is not None and median(lap.p99 for lap in laps) > self.p99
        many = self.connections is not None and _connections(laps) > self.connections
        return not (slow or many)


class Row(msgspec.Struct, kw_only=True):
    peer: str
    median: str = ""
    ratio: str = ""
    goal: str = ""
    met: bool | None = None
    cpu: str = ""
    by_cpu: str = ""
    p50: str = ""
    p99: str = ""
    connections: str = ""

    def cells(self) -> tuple[str, ...]:
        verdict = "" if self.met is None else "ok" if self.met else "MISSED"
        race = self.peer, self.median, self.ratio, self.goal, verdict
        return *race, self.cpu, self.by_cpu, self.p50, self.p99, self.connections


class Table(msgspec.Struct):
    title: str
    rows: list[Row] = []

    def __str__(self) -> str:
        cells = [row.cells() for row in self.rows]
        used = [column for column in zip(_HEADINGS, *cells, strict=True) if any(column[1:])]
        widths = [max(map(len, column)) for column in used]
        printed = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in zip(*used, strict=True)
        ]
        return "\n".join([self.title, *(f"  {line}" for line in printed), ""])

    @property
    def missed(self) -> int:
        return sum(row.met is False for row in self.rows)


def compare(
    title: str,
    laps: Laps,
    goals: Mapping[str, Goal],
    *,
    unit: str = "messages",
    absent: Mapping[str, str] | None = None,
    limit: str = "",
    within: Within | None = None,
) -> Table:
    """Make the table of interleaved laps; the first peer is ours.

    Args:
        title: What was measured.
        laps: Of each peer.
        goals: By peer.
        unit: What is counted by the second; empty to show the time that one takes.
        absent: Who could not be had, and why.
        limit: The peer that does nothing but the work: where not even it reaches a goal, the table
            says so.
        within: What our own row may take.
    """
    ours = next(iter(laps.values()))
    rows = []
    for peer, theirs in laps.items():
        goal = goals.get(peer)
        speed, by_cpu = speed_ratio(ours, theirs), cpu_ratio(ours, theirs)
        best = speed_ratio(laps[limit], theirs) if limit else float("inf")
        capped = goal is not None and goal.at_least is not None and best < goal.at_least
        shown = goal or Goal(at_least=0)
        row = Row(
            peer=peer,
            median=_rate_or_time(median(lap.rate for lap in theirs), unit),
            cpu=_time(median(lap.cpu_per_message for lap in theirs)),
            p50=_measured(lap.p50 for lap in theirs),
            p99=_measured(lap.p99 for lap in theirs),
            connections=str(_connections(theirs) or ""),
        )
        if theirs is not ours:
            row.ratio = f"{shown.ratio(speed):.2f}×"
            row.by_cpu = f"{shown.ratio(by_cpu):.2f}×"
            row.goal = f"{goal or ''}" + f" (the limit: {best:.2f}×)" * capped
            row.met = goal.is_met(speed, by_cpu) if goal else None
        elif within is not None:
            row.goal, row.met = str(within), within.is_met(ours)
        rows.append(row)
    rows += [Row(peer=peer, median=f"not measured: {why}") for peer, why in (absent or {}).items()]
    return Table(title, rows)


def _rate_or_time(rate: float, unit: str) -> str:
    return f"{rate:,.0f} {unit}/s" if unit else _time(1 / rate)


def _connections(laps: list[Lap]) -> int:
    """Return the most that were opened in any round."""
    return max(lap.connections for lap in laps)


def _measured(times: Iterable[float]) -> str:
    middle = median(times)
    return _time(middle) if middle else ""


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms" if seconds >= 0.002 else f"{seconds * 1e6:.2f} µs"
