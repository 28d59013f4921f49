"""What a list holds once it is read: its contacts, and the rows that are none."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from insim_async.models import Contact

__all__ = ["Cells", "Recipients", "Refusal", "Row"]

_LINES_SHOWN = 5
_IN_GENERAL = {"position": "position …", "same number as line": "same number as an earlier line"}
_numbered = re.compile(r"(position|same number as line|all up to line) \d+").sub
"""What sets reasons of one kind apart."""


class Cells(Mapping[str, Any]):
    """The cells of a row by heading, which all rows share; hidden in the ``repr``."""

    __slots__ = ("_cells", "_places")

    def __init__(self, places: Mapping[str, int], cells: Sequence[object]) -> None:
        self._places = places
        self._cells = cells

    def __getitem__(self, heading: str) -> Any:
        try:
            return self._cells[self._places[heading]]
        except KeyError:
            known = ", ".join(map(repr, self._places))
        raise KeyError(f"there is no {heading!r} among {known}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __repr__(self) -> str:
        return f"<{len(self)} cells>"


class Row(Struct, frozen=True, kw_only=True):
    """A contact, and where in the list it stands.

    Attributes:
        contact: As in ``Recipients.contacts``.
        line: The line of the file on which the row begins, as in ``Refusal``.
        cells: All its cells by heading, those that became the contact among them: spaces around
            text are gone, and a cell that the row leaves out is ``""``. Hidden in the ``repr``.
    """

    contact: Contact
    line: int
    cells: Mapping[str, Any]


class Refusal(Struct, frozen=True, kw_only=True):
    """A row that is not a contact.

    Attributes:
        line: The line of the file on which the row begins, the first being line 1; for rows that
            were given as mappings, their place, from 1.
        reason: What is wrong with it, without repeating its content.
        row: Its cells by heading, as they came. Hidden in the ``repr``.
    """

    line: int
    reason: str
    row: Mapping[str, object]

    def __repr__(self) -> str:
        return f"Refusal(line={self.line}, reason={self.reason!r}, row=<{len(self.row)} cells>)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("line", self.line), ("reason", self.reason), ("cells", len(self.row))]


class Recipients(Struct, frozen=True, kw_only=True, eq=False):
    """A contact list that was read.

    As text it is a summary: counts, and each reason with how often it was met and its first lines.
    Two lists are equal if all but their ``rows`` are.

    Attributes:
        contacts: In the order of the list, each number once, in E.164.
        refused: The rows that are no contacts, in the same order.
        skipped: How many rows ``where`` left out.
        unused_headings: The columns that stand for nothing that a contact has.
        rows: The contacts once more, each with its line and all its cells.
    """

    contacts: tuple[Contact, ...]
    refused: tuple[Refusal, ...]
    skipped: int = 0
    unused_headings: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipients) and self._compared() == other._compared()

    def __str__(self) -> str:
        lines: defaultdict[str, list[int]] = defaultdict(list)
        for refusal in self.refused:
            lines[_in_general(refusal.reason)].append(refusal.line)
        counts = f"contacts: {len(self.contacts)}, refused: {len(self.refused)}"
        if self.skipped:
            counts += f", left out by where: {self.skipped}"
        unused = f"further columns: {', '.join(self.unused_headings)}"
        reasons = [
            f"{len(found)} × {reason}: {_listed(found)}"
            for reason, found in sorted(lines.items(), key=lambda item: -len(item[1]))
        ]
        return "\n".join([counts, *reasons, *([unused] if self.unused_headings else [])])

    def _compared(self) -> tuple[object, ...]:
        return self.contacts, self.refused, self.skipped, self.unused_headings


def _in_general(reason: str) -> str:
    return _numbered(lambda found: _IN_GENERAL.get(found[1], "all up to a later line"), reason)


def _listed(lines: Sequence[int]) -> str:
    shown = ", ".join(map(str, lines[:_LINES_SHOWN]))
    more = ", …" if len(lines) > _LINES_SHOWN else ""
    return f"line{'s' if len(lines) > 1 else ''} {shown}{more}"
