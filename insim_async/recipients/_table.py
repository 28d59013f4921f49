"""The shape into which each format brings its cells: headings, and rows with their lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Final, NamedTuple

__all__ = ["ABSENT", "FOUND", "NULLS", "Absent", "Found", "Quoted", "Record", "Table"]

_NULLS = r"""
    NULL null (null) <null> [NULL] \N NaN nan <NA> None undefined N/A n/a #N/A #N/D #NV #NULL! #NUL!
    #REF! #VALUE! #VALEUR! #WERT! #DIV/0! #NAME? #NOM? #NUM! #NOMBRE! #BEZUG! #ZAHL!"""
NULLS = frozenset(_NULLS.split())
"""How databases, data frames and spreadsheets write that there is nothing, or nothing any more."""


class Absent(Enum):
    """A cell that a mapping does not have, while others have it."""

    ABSENT = ""


class Found(Enum):
    """A line that is looked for."""

    FOUND = "found"


ABSENT: Final = Absent.ABSENT
FOUND: Final = Found.FOUND


class Quoted(str):
    """A cell whose quotes say that it is what it says: a person may be called NULL."""

    __slots__ = ()


class Record(NamedTuple):
    """The cells of one row.

    Attributes:
        line: The line on which it begins, from 1; for mappings, their place.
        cells: Under the headings, in their order; fewer where the row ends before.
        fault: Why it cannot be read as a row.
        given: The row as it came, where that is not its cells by heading.
        end: The line after it, counted from 0.
    """

    line: int
    cells: Sequence[object]
    fault: str = ""
    given: Mapping[str, object] | None = None
    end: int = 0


class Table(NamedTuple):
    """A list whose headings are found.

    Attributes:
        headings: By label: what a column is called here, each once.
        records: Yields the rows below the headings, given the places of the phone numbers, which
            tell a row from what only looks like one; it may be called again.
        has_headings: False if there are none, and labels are all that there is.
    """

    headings: Mapping[str, str]
    records: Callable[[Sequence[int]], Iterable[Record]]
    has_headings: bool = True
