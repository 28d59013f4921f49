"""``python -m insim_async.webhooks``: test a callback URL, make a secret, operate an inbox."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from insim_async.errors import ConfigurationError
from insim_async.webhooks import new_secret, operating
from insim_async.webhooks.selftest import (
    SampleResult,
    over_network,
    read_callback,
    run_selftest,
    verdict,
)


class _DiscreetParser(argparse.ArgumentParser):
    """Never repeats an argument, which may be a URL with its secret."""

    def error(self, message: str) -> NoReturn:  # noqa: ARG002 - it repeats the argument
        super().error("expected: check URL, or: secret, or: inbox COMMAND FILE")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say, and return the exit status.

    It is 0 if all is well, 1 if an event did not arrive, 2 for a URL that cannot be called; those
    of ``inbox`` are in its help.

    Raises:
        SystemExit: 2 for wrong arguments.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["inbox"]:
        return _operate(given[1:])
    options = _parser().parse_args(given)
    if options.command == "secret":
        _print_line(new_secret())
        return 0
    try:
        return _check_url(options.url)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _operate(arguments: Sequence[str]) -> int:
    try:
        return operating.run(arguments, _print_line)
    except BrokenPipeError:  # of "... | head", which has seen enough
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - Python flushes it at the end
        return 0


def _check_url(url: str) -> int:
    callback = read_callback(url)
    _print_line(
        f"{callback}"
        + " (the secret and all texts travel in clear: use https)" * url.lower().startswith("http:")
    )
    results: list[SampleResult] = []
    for result in run_selftest(callback, over_network()):
        _print_line(str(result))
        results.append(result)
    _print_line(verdict(results))
    if found := next((result.app for result in results if result.app), ""):
        _print_line(found)
    return 0 if all(result.arrived for result in results) else 1


def _parser() -> argparse.ArgumentParser:
    parser = _DiscreetParser(
        prog="python -m insim_async.webhooks", description="Webhooks of inSIM."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    checking = commands.add_parser(
        "check", help="send one long event of each kind to your app and say what arrived"
    )
    checking.add_argument(
        "url", metavar="URL", help="the callback URL with its secret, as it stands in your account"
    )
    commands.add_parser("secret", help="print a new secret for a callback URL")
    commands.add_parser("inbox", help="look at an inbox, and mend it: inbox --help")
    return parser


def _print_line(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - these lines are what the command is for


if __name__ == "__main__":
    sys.exit(main())
