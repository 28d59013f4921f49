"""What a single cell means, whatever format it came from: nothing, a number, letters that broke."""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from insim_async.recipients._table import ABSENT, NULLS, Quoted

__all__ = ["bare", "cleaned", "first_filled", "first_number", "is_empty"]

_TEXT = frozenset([str])
_SPOKEN = frozenset(["N/A", "n/a"])
_is_marked = re.compile(
    r"'(?=[+\d])(.*)|=\s*\"'?([+\d(][\d\s()./-]*)\"|=\s*(\+?\d+)", re.DOTALL
).fullmatch
"""``'+33639980001``, a number marked as text; ``="0639980001"`` and ``=+33639980001``, formulas
around nothing but a number."""

_EXACT = 2**53
"""Below it a floating-point number holds every digit."""


def cleaned(cells: Sequence[object], width: int, phones: Sequence[int] = ()) -> tuple[object, ...]:
    """Return the cells as they are meant, as many as there are headings.

    Spaces around text are gone, and what says that there is nothing is "". What a person wrote in
    place of a number stays: the reason for which it is refused says more.
    """
    texts = [cell.strip() if type(cell) is str else _plain(cell) for cell in cells[:width]]
    texts += [""] * (width - len(texts))
    if _TEXT.issuperset(map(type, texts)) and NULLS.isdisjoint(texts):
        return tuple(texts)
    return tuple([_meant(text, place in phones) for place, text in enumerate(texts)])


def _plain(cell: object) -> Any:
    """Return what is not quite a string as one; any other value as it is."""
    if cell is None or cell is ABSENT or _is_nothing(cell):
        return ""
    if isinstance(cell, Quoted):
        return Quoted(cell.strip())
    return str.strip(cell) if isinstance(cell, str) else cell


def _meant(text: object, is_phone: bool) -> object:
    if not isinstance(text, str) or (is_phone and text in _SPOKEN):
        return text
    return str(text) if isinstance(text, Quoted) or text not in NULLS else ""


def bare(number: object) -> object:
    """Leave out what a spreadsheet needs around a number to keep it as it was typed."""
    marked = _is_marked(number) if isinstance(number, str) else None
    return marked[marked.lastindex or 0] if marked else number


def _is_nothing(value: object) -> bool:
    """Say whether a value is NaN, NaT or NA: not equal to itself, or unwilling to say."""
    try:
        return bool(value != value)
    except TypeError:
        return True
    except ValueError:  # an array
        return False


def first_filled(cells: Sequence[object], places: Sequence[int]) -> object:
    """Return the first of the cells that is not empty; a whole number as its digits."""
    for place in places:
        cell = cells[place]
        if not isinstance(cell, str):
            return _digits(cell)
        if cell:
            return cell
    return ""


def first_number(cells: Sequence[object], places: Sequence[int]) -> object:
    """Return the first cell that is filled; one without a digit only if no other has any."""
    if len(places) > 1:
        places = [place for place in places if _may_be_number(cells[place])] or places
    first = next((cells[place] for place in places if not is_empty(cells[place])), "")
    return first if isinstance(first, str) else _number(first)


def _number(value: Any) -> object:
    """Return a whole number as its digits, a negative one as it is.

    Zeros at the end of a fraction are what scientific notation has left of other digits.
    """
    digits = _digits(value)
    if not isinstance(digits, str):
        return value
    if isinstance(value, float | Decimal) and digits.endswith("0000"):
        return f"{value:E}"
    return int(value) if digits.startswith("-") else digits


def _may_be_number(cell: object) -> bool:
    return not isinstance(cell, str) or any(map(str.isdigit, cell))


def _digits(value: Any) -> object:
    """Return a whole number as its digits, and anything else as it is."""
    if isinstance(value, float | Decimal):
        is_whole = -_EXACT < value < _EXACT and value % 1 == 0
        return str(int(value)) if is_whole else value
    try:
        return value if isinstance(value, bool) else str(operator.index(value))
    except TypeError:
        return value


def is_empty(cell: object) -> bool:
    """Say whether a cell holds nothing, without asking it what it equals."""
    return isinstance(cell, str) and not cell
