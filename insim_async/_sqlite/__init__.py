"""SQLite files that are whole and ours alone, and group commit to them from any event loop.

``placing`` gives a file its name, ``opening`` makes, checks and opens one; ``file`` is one file of
this process and its transactions; ``desk`` gathers what tasks want done into these. What is stored,
and which error says that it was not, is up to whoever opens a file.
"""

from __future__ import annotations

from sqlite3 import Connection

from insim_async._sqlite.desk import Desk, Desks, Operation
from insim_async._sqlite.file import Action, File
from insim_async._sqlite.opening import Layout, prepare_database
from insim_async._sqlite.placing import drafted

__all__ = [
    "Action",
    "Connection",
    "Desk",
    "Desks",
    "File",
    "Layout",
    "Operation",
    "drafted",
    "prepare_database",
]
