"""Explore until so many messages were sent, or until something does not hold.

For example ``python -m tests.explore 500000``.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import logging
import random
import sys
import time
import traceback
from collections import Counter

from insim_async import Status
from tests.faults.bench import AIOHTTP, HTTPX, HTTPX2, OWN, TRIO, TRIO_HTTPX2
from tests.faults.gateway import Gateway

from .rounds import Explorer

LEGS = {str(leg): leg for leg in (OWN, HTTPX, HTTPX2, AIOHTTP, TRIO, TRIO_HTTPX2)}
SIZE = 1500
"""Messages in a round, about."""


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.explore", description=__doc__)
    parser.add_argument("messages", type=int, nargs="?", default=20_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--leg", choices=LEGS, action="append", help="by default all, in turn")
    parser.add_argument("--round", type=int, help="this one only")
    return parser.parse_args()


def main() -> int:
    """Explore, and return 1 if something was found."""
    asked = arguments()
    legs = [LEGS[name] for name in asked.leg or LEGS]
    print(f"seed {asked.seed}, {asked.messages} messages, {', '.join(map(str, legs))}", flush=True)
    logging.disable(logging.CRITICAL)
    gateway = Gateway()
    gc.collect()
    gc.freeze()
    sent, endings, began, told = 0, Counter[Status](), time.monotonic(), 0
    for number in itertools.count() if asked.round is None else [asked.round]:
        chance = random.Random(f"{asked.seed} {number}")
        explorer = Explorer(
            legs[number % len(legs)], gateway, chance, chance.choice([50, SIZE, SIZE, 2 * SIZE])
        )
        try:
            explorer.explore()
        except Exception:
            traceback.print_exc()
            print(
                f"\nfound in round {number}: {explorer}\n"
                f"once more: {again(asked.seed, number, explorer)}"
            )
            return 1
        sent += explorer.given
        endings.update(explorer.book.values())
        if (tenth := sent * 10 // asked.messages) > told or sent >= asked.messages:
            told = tenth
            print(told_of(sent, number, endings, time.monotonic() - began), flush=True)
        if sent >= asked.messages:
            break
    gateway.close()
    return 0


def again(seed: int, number: int, explorer: Explorer) -> str:
    """Say how to run a round again.

    What it draws is the same; how the two processes meet is not.
    """
    return f"python -m tests.explore --seed {seed} --round {number} --leg {explorer.leg}"


def told_of(sent: int, number: int, endings: Counter[Status], seconds: float) -> str:
    """Say how far it is."""
    ended = ", ".join(f"{endings[status]} {status}" for status in Status)
    speed = f"{sent} messages in {number + 1} rounds, {sent / seconds:.0f} a second"
    return f"{speed}: {ended}; nobody saw how the others ended"


if __name__ == "__main__":
    sys.exit(main())
