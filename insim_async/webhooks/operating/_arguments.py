"""What was typed behind ``inbox``: read, done, and turned into an exit code."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from insim_async.errors import ConfigurationError, InboxUnavailable
from insim_async.webhooks.inbox import Inbox
from insim_async.webhooks.operating._commands import (
    Report,
    Selection,
    back_up,
    discard,
    list_entries,
    requeue,
    show_entry,
    show_status,
)

__all__ = ["run"]

_EPILOG = """\
exit codes: 0 all is well, or done; 1 something wants attention (status), or a key is not there
(show, requeue, discard); 2 the arguments are wrong, or the file cannot be used
"""
_AGE = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Command = Callable[[Inbox], Coroutine[Any, Any, Report]]


def run(arguments: Sequence[str] | None, write: Callable[[str], object]) -> int:
    """Do what the arguments say, and return the exit code.

    Args:
        arguments: Those behind ``inbox``.
        write: Gets each line.

    Raises:
        SystemExit: 2 for wrong arguments, 0 for ``--help``.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    command = _command(options, parser, write)
    try:
        path = Path(options.file)
        if not os.path.lexists(path):
            raise ConfigurationError(f"{path}: there is no such file")
        with closing(Inbox.open(path)) as inbox:
            return 0 if anyio.run(command, inbox).ok else 1
    except (ConfigurationError, InboxUnavailable) as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _command(
    options: argparse.Namespace, parser: argparse.ArgumentParser, write: Callable[[str], object]
) -> Command:
    name: str = options.command
    if name == "status":
        return partial(show_status, write=write, as_json=options.json)
    if name == "backup":
        return partial(back_up, write=write, path=options.to)
    if name == "show":
        return partial(
            show_entry, write=write, key=options.key, content=options.content, as_json=options.json
        )
    if name == "list":
        return partial(
            list_entries,
            write=write,
            state=options.state,
            selection=_selection(options),
            content=options.content,
            as_json=options.json,
        )
    selected = bool(options.all or options.kind or options.reason or options.older_than)
    if selected == bool(options.keys):
        parser.error(f"{name}: name keys, or say which: --kind, --reason, --older-than, --all")
    do = requeue if name == "requeue" else discard
    return partial(
        do,
        write=write,
        keys=options.keys,
        selection=_selection(options) if selected else None,
    )


def _selection(options: argparse.Namespace) -> Selection:
    return Selection(
        kind=options.kind,
        reason=options.reason,
        older_than=options.older_than,
        after=getattr(options, "after", ""),
        limit=None if options.all else getattr(options, "limit", None),
    )


def _age(written: str) -> timedelta:
    found = _AGE.fullmatch(written)
    if found is None:
        raise argparse.ArgumentTypeError("expected an age such as 90s, 15m, 2h or 3d")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m insim_async.webhooks inbox",
        description="Look at an inbox, and mend it, while it is in use or not.",
        epilog=_EPILOG,
    )
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, words: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=words, description=f"{words}.", epilog=_EPILOG)
        command.add_argument("file", metavar="FILE", help="of the inbox")
        return command

    status = add("status", "how many events wait and for how long, what fails and why, who works")
    listing = add("list", "the events that were set aside, or are in another state")
    listing.add_argument(
        "--state",
        default="set_aside",
        choices=["waiting", "failing", "claimed", "set_aside", "done"],
    )
    listing.add_argument("--limit", type=_number, default=100, help="how many at most (100)")
    listing.add_argument("--after", default="", metavar="KEY", help="begin behind that one")
    show = add("show", "one event")
    show.add_argument("key", metavar="KEY")
    mending = [
        add("requeue", "let handlers have again what was set aside"),
        add("discard", "erase what was set aside, as if it were handled"),
    ]
    for command in mending:
        command.add_argument("keys", metavar="KEY", nargs="*")
    for command in (listing, *mending):
        command.add_argument("--kind", default="", help="incoming_sms, call, ... or unreadable")
        command.add_argument("--reason", default="", help="what the reason has in it")
        command.add_argument("--older-than", type=_age, metavar="AGE", help="90s, 15m, 2h, 3d")
        command.add_argument("--all", action="store_true", help="all of them")
    for command in (listing, show):
        command.add_argument(
            "--content", action="store_true", help="show what people wrote and their numbers, too"
        )
    for command in (status, listing, show):
        command.add_argument("--json", action="store_true", help="one JSON object to the line")
    backup = add("backup", "copy the file while it is in use")
    backup.add_argument("to", metavar="TO", help="a new file")
    return parser


def _number(written: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,8}", written):
        raise argparse.ArgumentTypeError("expected a number of 1 or more")
    return int(written)
