"""Draw at random what happens to a request; no answer lies about what was done."""

from __future__ import annotations

import random

from tests.faults.gateway import BEHAVE, BODY, CLOSE, HEAD, RESET, STALL, TAKE, Script
from tests.faults.test_answers import BODIES, RECEIPTS, R
from tests.faults.test_hangups import HANGUPS

OK = "HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n[{"
HTML, JSON = "Content-Type: text/html", "Content-Type: application/json"
PAGE = "<html><body>Something else</body></html>"
GARBAGE = [body for body in BODIES.values() if len(body) < 1000]
TOLD = [twist for twist, statuses in RECEIPTS.items() if R not in statuses]
REFUSED = [twist for twist, statuses in RECEIPTS.items() if R in statuses]
LATE: list[Script] = [[CLOSE], [RESET], [["reply", 408, "", "Connection: close"], CLOSE]]
"""How a server ends a connection that it had kept."""


def hang_up(chance: random.Random) -> Script:
    """Hang up or reset: before anything, behind the headers or the body, or within the answer."""
    return chance.choice(HANGUPS).script


def stall(chance: random.Random) -> Script:
    """Never end."""
    return [*chance.choice([[HEAD], TAKE, [*TAKE, ["say", OK]]]), STALL]


def ask_for_patience(chance: random.Random) -> Script:
    """Do nothing, and say when to come back."""
    headers = chance.choice([[], ["Retry-After: 0"], ["Retry-After: 2"], ["Retry-After: soon"]])
    return [HEAD, BODY, ["reply", 429, "slow down", *headers]]


def fail(chance: random.Random) -> Script:
    """Do it or not, and say that something went wrong."""
    status = chance.choice([500, 502, 503, 504, 520])
    return [*chance.choice([TAKE, [HEAD, BODY]]), ["reply", status, PAGE, HTML]]


def refuse(chance: random.Random) -> Script:
    """Do nothing, and say that it will not be done."""
    status, body, kind = chance.choice(
        [
            (413, "too large", HTML),
            (413, "too large", HTML),
            (403, PAGE, HTML),
            (401, '{"error": "access denied"}', JSON),
            (400, PAGE, HTML),
            (422, '{"error": "no"}', JSON),
            (404, PAGE, HTML),
        ]
    )
    return [HEAD, BODY, ["reply", status, body, kind]]


def answer_garbage(chance: random.Random) -> Script:
    """Do it or not, and answer with a 200 that is no answer."""
    return [*chance.choice([TAKE, [HEAD, BODY]]), ["reply", 200, chance.choice(GARBAGE), JSON]]


def answer_askew(chance: random.Random) -> Script:
    """Do it, and answer with receipts that are not as they should be.

    They are too few, in another order, somebody else's, or without ``sent``.
    """
    return [*TAKE, ["receipts", chance.choice(TOLD)]]


def refuse_in_receipts(chance: random.Random) -> Script:
    """Do nothing, and say so of each message."""
    return [HEAD, BODY, ["receipts", chance.choice(REFUSED)]]


def answer_and_leave(chance: random.Random) -> Script:
    """Do as documented, and close the connection a moment later."""
    moment = chance.choice([0, 0, 0.0005, 0.002]) * chance.random()
    return [*BEHAVE, ["wait", moment], *chance.choice(LATE)]


def answer_late(chance: random.Random) -> Script:
    """Do as documented, after a moment."""
    return [
        HEAD,
        BODY,
        ["wait", 0.01 * chance.random()],
        ["process"],
        ["wait", 0.01 * chance.random()],
        ["receipts"],
    ]


FAULTS = {
    hang_up: 5,
    stall: 1,
    ask_for_patience: 3,
    fail: 2,
    refuse: 3,
    answer_garbage: 2,
    answer_askew: 3,
    refuse_in_receipts: 1,
    answer_and_leave: 3,
    answer_late: 4,
}


def scripts(chance: random.Random, count: int, share: float) -> list[Script]:
    """Draw what happens to so many requests, that share of which meet a fault."""
    kinds, weights = list(FAULTS), list(FAULTS.values())
    return [
        chance.choices(kinds, weights)[0](chance) if chance.random() < share else BEHAVE
        for _ in range(count)
    ]
