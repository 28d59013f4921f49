"""Attack, print a row for each attack, and end with 1 if a promise was broken."""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import sys

from . import webhooks


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("what", choices=["webhooks"])
    parser.add_argument("kills", type=int, nargs="?", default=300, help="in all (300)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--fault", default="", choices=["", "acknowledges first", "forgets"])
    options = parser.parse_args()
    print(f"the seed is {options.seed}; load {os.getloadavg()[0]:.1f}", flush=True)
    return asyncio.run(webhooks.attack(options.kills, options.seed, options.fault))


if __name__ == "__main__":
    sys.exit(main())
