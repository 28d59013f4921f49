"""``python -m insim_async.outbox``: look at an outbox, and mend it, while it is in use or not."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from insim_async._sqlite import File, prepare_database
from insim_async.campaigns import MessageStatus
from insim_async.campaigns._statements import LAYOUT
from insim_async.errors import ConfigurationError, LedgerUnavailable
from insim_async.outbox import Outbox
from insim_async.outbox import _parcels as parcels
from insim_async.outbox._operating import (
    cancel,
    list_messages,
    retry,
    show_message,
    show_status,
)

__all__ = ["main"]

_EPILOG = """\
exit codes: 0 all is well, or done; 1 something wants attention (status), or a message is not there
(show) or was not waiting (cancel); 2 the arguments are wrong, or the file cannot be used
"""
Command = Callable[[Outbox, Callable[[str], object]], Coroutine[Any, Any, bool]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say, and return the exit status.

    Raises:
        SystemExit: 2 for wrong arguments, 0 for ``--help``.
    """
    options = _parser().parse_args(arguments)
    try:
        path = Path(options.file).absolute()
        _check_it_is_there(path, options.name)
        with closing(Outbox.open(path, name=options.name)) as outbox:
            return 0 if anyio.run(_command(options), outbox, _print_line) else 1
    except (ConfigurationError, LedgerUnavailable) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except BrokenPipeError:  # of "... | head", which has seen enough
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - Python flushes it at the end
        return 0


def _check_it_is_there(path: Path, name: str) -> None:
    """Look before the outbox is opened, which would make it: whoever looks makes nothing.

    Raises:
        ConfigurationError: There is no such file, or no outbox of that name in it.
        LedgerUnavailable: Another process holds the file.
    """
    if not os.path.lexists(path):
        raise ConfigurationError(f"{path}: there is no such file")
    prepare_database(path, LAYOUT)
    with closing(File(path, LAYOUT, name="outbox", unavailable=LedgerUnavailable)) as file:
        [names] = file.transact([parcels.names])
    if not names:
        raise ConfigurationError(f"{path}: holds no outbox")
    if name not in names:
        asked = f"named {name}" if name else "without a name"
        ways = [f"say --name {each}" if each else "leave --name out" for each in names]
        raise ConfigurationError(f"{path}: holds no outbox {asked}: {', or '.join(ways)}")


def _command(options: argparse.Namespace) -> Command:
    match options.command:
        case "status":
            return partial(show_status, as_json=options.json)
        case "list":
            return partial(
                list_messages,
                status=options.status and MessageStatus(options.status),
                limit=None if options.all else options.limit,
                content=options.content,
                as_json=options.json,
            )
        case "show":
            return partial(
                show_message, sms_id=options.id, content=options.content, as_json=options.json
            )
        case "retry":
            return retry
        case _:
            return partial(cancel, ids=options.ids)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m insim_async.outbox",
        description="Look at an outbox, and mend it, while it is in use or not.",
        epilog=_EPILOG,
    )
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, words: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=words, description=f"{words}.", epilog=_EPILOG)
        command.add_argument("file", metavar="FILE", help="of the outbox")
        command.add_argument("--name", default="", help="of the outbox, where a file holds several")
        return command

    status = add("status", "how many messages wait and for how long, what is in the way, who sends")
    listing = add("list", "the messages, or those in a status")
    listing.add_argument("--status", choices=list(map(str, MessageStatus)))
    listing.add_argument("--limit", type=_number, default=100, help="how many at most (100)")
    listing.add_argument("--all", action="store_true", help="all of them")
    show = add("show", "one message")
    show.add_argument("id", metavar="ID")
    add("retry", "let what was not sent try again")
    add("cancel", "let messages that wait not go").add_argument("ids", metavar="ID", nargs="+")
    for command in (listing, show):
        command.add_argument(
            "--content", action="store_true", help="show numbers and texts of people, too"
        )
    for command in (status, listing, show):
        command.add_argument("--json", action="store_true", help="one JSON object to the line")
    return parser


def _number(written: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,8}", written):
        raise argparse.ArgumentTypeError("expected a number of 1 or more")
    return int(written)


def _print_line(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - these lines are what the command is for


if __name__ == "__main__":
    sys.exit(main())
