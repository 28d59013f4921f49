"""What is printed: one table per subject, each row a peer with its ratio to ours and the goal."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

import msgspec

from .timing import Laps, cpu_ratio, speed_ratio

_HEADINGS = ("peer", "median", "ours : peer", "goal", "", "CPU", "by CPU")


class Goal(msgspec.Struct, frozen=True):
    """A bound on how fast we are beside a peer.

    ``at_least`` is of our speed as a multiple of its, ``at_most`` of our time as a multiple of its.
    """

    at_least: float | None = None
    at_most: float | None = None

    def __str__(self) -> str:
        return (
            f"≥ {self.at_least:g}×"
            if self.at_least is not None
            else f"≤ {self.at_most:g}× its time"
        )

    def ratio(self, speed: float) -> float:
        """Return the speed ratio in the goal's own terms."""
        return speed if self.at_least is not None else 1 / speed

    def is_met(self, speed: float) -> bool:
        if self.at_least is not None:
            return speed >= self.at_least
        return self.at_most is None or 1 / speed <= self.at_most


class Row(msgspec.Struct, kw_only=True):
    peer: str
    median: str = ""
    ratio: str = ""
    goal: str = ""
    met: bool | None = None
    cpu: str = ""
    by_cpu: str = ""

    def cells(self) -> tuple[str, ...]:
        verdict = "" if self.met is None else "ok" if self.met else "MISSED"
        return self.peer, self.median, self.ratio, self.goal, verdict, self.cpu, self.by_cpu


class Table(msgspec.Struct):
    title: str
    rows: list[Row] = []

    def __str__(self) -> str:
        lines = [_HEADINGS, *(row.cells() for row in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
        printed = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
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
    """
    ours = next(iter(laps.values()))
    rows = []
    for peer, theirs in laps.items():
        goal = goals.get(peer)
        speed = speed_ratio(ours, theirs)
        best = speed_ratio(laps[limit], theirs) if limit else float("inf")
        capped = goal is not None and goal.at_least is not None and best < goal.at_least
        shown = goal or Goal(at_least=0)
        ratio = "" if theirs is ours else f"{shown.ratio(speed):.2f}×"
        rows.append(
            Row(
                peer=peer,
                median=_rate_or_time(median(lap.rate for lap in theirs), unit),
                ratio=ratio,
                goal=f"{goal or ''}" + f" (the limit: {best:.2f}×)" * capped,
                met=goal.is_met(speed) if goal else None,
                cpu=_time(median(lap.cpu_per_message for lap in theirs)),
                by_cpu="" if theirs is ours else f"{shown.ratio(cpu_ratio(ours, theirs)):.2f}×",
            )
        )
    rows += [Row(peer=peer, median=f"not measured: {why}") for peer, why in (absent or {}).items()]
    return Table(title, rows)


def _rate_or_time(rate: float, unit: str) -> str:
    return f"{rate:,.0f} {unit}/s" if unit else _time(1 / rate)


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms" if seconds >= 0.002 else f"{seconds * 1e6:.2f} µs"
