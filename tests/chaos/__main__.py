"""Attack, print a row for each attack, and end with 1 if a promise was broken."""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import sys

from tests.faults.campaign_process import FAULTS

from . import campaigns, outbox, webhooks

ATTACKS = {
    "webhooks": (webhooks.attack, 300, ["", "acknowledges first", "forgets"]),
    "campaigns": (campaigns.attack, 100, list(FAULTS)),
    "outbox": (outbox.attack, 100, list(FAULTS)),
}
"""Each with how many kills, or campaigns of 400 messages, there are by default; and the mistakes
that a program could have, to see that they are found."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("what", choices=ATTACKS)
    parser.add_argument("many", type=int, nargs="?", help="kills, or campaigns")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--fault", default="")
    options = parser.parse_args()
    attack, many, faults = ATTACKS[options.what]
    if options.fault not in faults:
        parser.error(f"--fault: expected one of {', '.join(map(repr, faults))}")
    print(f"the seed is {options.seed}; load {os.getloadavg()[0]:.1f}", flush=True)
    return asyncio.run(attack(options.many or many, options.seed, options.fault))


if __name__ == "__main__":
    sys.exit(main())
