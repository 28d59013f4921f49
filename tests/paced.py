"""A run without a ledger: what goes when, if each decision is asked for and kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from insim_async.campaigns import Limits
from insim_async.campaigns._calendar import Expired, Go, Spent, Wait, decide, periods
from insim_async.campaigns._plan import Plan


class Claim(NamedTuple):
    """What went at an instant, in parts."""

    at: float
    parts: int


def counted(now: float, claims: Sequence[Claim], limits: Limits, plan: Plan) -> Spent:
    """Count as a ledger does; each message goes to a number of its own."""
    since = periods(now, limits, plan)
    month = [claim for claim in claims if claim.at >= since.month]
    return Spent(
        last_at=claims[-1].at if claims else float("-inf"),
        last_parts=claims[-1].parts if claims else 0,
        hour=[claim for claim in claims if claim.at > since.hour],
        day=sum(claim.parts for claim in claims if claim.at >= since.day),
        month=sum(claim.parts for claim in month),
        numbers=len(month),
    )


def run(
    now: float,
    messages: Sequence[int],
    limits: Limits,
    plan: Plan,
    *,
    earlier: Sequence[Claim] = (),
    chance: float = 0.5,
) -> Iterator[Claim]:
    """Send messages of so many parts one by one, each as soon as it may go."""
    claims = list(earlier)
    for parts in messages:
        decision = ask(now, claims, limits, plan, parts, chance)
        while isinstance(decision, Wait):
            assert decision.until > now
            now = decision.until
            decision = ask(now, claims, limits, plan, parts, chance)
        if isinstance(decision, Expired):
            return
        assert decision.parts >= parts
        assert decision.numbers >= 1
        claims.append(Claim(now, parts))
        yield claims[-1]


def ask(
    now: float, claims: Sequence[Claim], limits: Limits, plan: Plan, parts: int, chance: float
) -> Go | Wait | Expired:
    """Ask once."""
    spent = counted(now, claims, limits, plan)
    return decide(now, spent, limits, plan, parts=parts, chance=chance)
