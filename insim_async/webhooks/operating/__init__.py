"""Look at an inbox and mend it, from a command line: ``python -m insim_async.webhooks inbox``.

``_commands`` does what a command says and returns lines; ``_arguments`` reads what was typed, and
``_printing`` writes what people and programs read. All of it can be had from Python: the methods of
an ``Inbox`` are what does the work.
"""

from __future__ import annotations

from insim_async.webhooks.operating._arguments import run
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

__all__ = [
    "Report",
    "Selection",
    "back_up",
    "discard",
    "list_entries",
    "requeue",
    "run",
    "show_entry",
    "show_status",
]
