"""What the cells of a list mean, whatever it came from: contacts, refused rows, duplicates."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from insim_async.errors import ConfigurationError, InvalidMessage
from insim_async.models import Contact
from insim_async.numbers import (
    Kind,
    calling_code,
    check,
    holds_two,
    is_service,
    kind,
    repeated,
    require_phone,
    require_region,
)
from insim_async.recipients._cells import bare, cleaned, first_filled, first_number, is_empty
from insim_async.recipients._headings import Named, columns_of, named
from insim_async.recipients._letters import is_broken
from insim_async.recipients._table import ABSENT, Record, Table
from insim_async.recipients._values import Cells, Recipients, Refusal, Row
from insim_async.recipients._words import are_headings, say_the_same, says_code

__all__ = ["Columns", "Rules", "Where", "read_table", "rules"]

Columns = Mapping[str, str | Sequence[str]]
Where = Callable[[Mapping[str, Any]], object]

_SAMPLE = 200
"""So many rows tell what a column mostly holds."""

_EMPTY_ROW = "the row is empty"
_NO_NUMBER = "the row ends before its phone number"
_HEADINGS_AGAIN = "the headings stand here once more"
_OTHER_HEADINGS = "other headings stand above it on line {}: save the two lists apart"
_NEGATIVE = "the number is negative: read or format the column as text"
_TWO_NUMBERS = "the cell holds two numbers"
_CODE_APART = "the country or area code stands in a column of its own ({!r}): join the two"
_LANDLINE = "the number is a landline"
_NO_MOBILE = "the number is no mobile"
_BROKEN = (
    "the {} holds letters that were lost or broken on their way: export the list again as UTF-8"
)

_is_code = re.compile(r"[0-9]{1,6}|[A-Z]{2}").fullmatch


class Rules(NamedTuple):
    """How the caller wants a list to be read."""

    region: str | None
    columns: Named
    where: Where | None
    mobile_only: bool


def rules(
    region: str | None, columns: Columns | None, where: Where | None, mobile_only: bool
) -> Rules:
    """Check what the caller wants before anything is read.

    Raises:
        ConfigurationError: It cannot be done.
    """
    if region is not None:
        require_region(region)
    if mobile_only:
        require_phone("mobile_only")
    if inspect.iscoroutinefunction(where):
        raise ConfigurationError("where must be a plain function: what it returns is not awaited")
    return Rules(region, named(columns), where, mobile_only)


def read_table(table: Table, wanted: Rules) -> Recipients:
    """Sort the rows of a list into contacts and refused ones."""
    sample = [row for row in islice(table.records(()), _SAMPLE) if not row.fault]
    columns = columns_of(table, sample, wanted.columns, wanted.region)
    return _List(table, columns, wanted).read()


class _List:
    """A list that is being read, row by row."""

    def __init__(self, table: Table, columns: Mapping[str, tuple[int, ...]], wanted: Rules) -> None:
        self._table = table
        self._places = {label: place for place, label in enumerate(table.headings)}
        self._columns = dict(columns)
        self._phones = self._columns.pop("phone_number")
        self._headings = [label for label, place in self._places.items() if place in self._phones]
        self._wanted = wanted
        self._codes = _codes(table, {*self._phones}.union(*self._columns.values()), wanted.region)
        self._lines: dict[str, int] = {}
        self._rows: list[Row] = []
        self._refused: list[Refusal] = []
        self._skipped = 0
        self._other_headings = 0

    def read(self) -> Recipients:
        for record in self._table.records(self._phones):
            if reason := record.fault or self._take(record):
                row = self._as_it_came(record)
                self._refused.append(Refusal(line=record.line, reason=reason, row=row))
        return Recipients(
            contacts=tuple([row.contact for row in self._rows]),
            refused=tuple(self._refused),
            skipped=self._skipped,
            unused_headings=self._unused(),
            rows=tuple(self._rows),
        )

    def _take(self, record: Record) -> str:
        """Take a row as a contact or leave it out, or return the reason why it is neither."""
        width = len(self._places)
        if len(record.cells) > width and any(str(cell).strip() for cell in record.cells[width:]):
            return f"the row has {len(record.cells)} cells under {width} headings"
        cells = cleaned(record.cells, width, self._phones)
        written = bare(first_number(cells, self._phones))
        if is_empty(written) and all(map(is_empty, cells)):
            return _EMPTY_ROW
        if reason := self._other_list(written, cells, record.line):
            return reason
        by_heading = Cells(self._places, cells)
        if not self._wants(by_heading, record.line):
            self._skipped += 1
            return ""
        if is_empty(written) and all(_is_missing(record.cells, place) for place in self._phones):
            return _NO_NUMBER
        contact = self._contact(written, cells)
        if isinstance(contact, str):
            return contact
        self._lines[contact.phone_number] = record.line
        self._rows.append(Row(contact=contact, line=record.line, cells=by_heading))
        return ""

    def _other_list(self, written: object, cells: Sequence[object], line: int) -> str:
        """Return the reason to leave out headings that come again, and rows below other ones."""
        if isinstance(written, str) and (not written or written[0].isalpha()):
            texts = [cell if isinstance(cell, str) else "" for cell in cells]
            headings = list(self._table.headings.values())
            if are_headings(texts, headings):
                self._other_headings = 0 if say_the_same(texts, headings) else line
                return _HEADINGS_AGAIN
            if written in self._headings:
                return _HEADINGS_AGAIN
        return _OTHER_HEADINGS.format(self._other_headings) if self._other_headings else ""

    def _wants(self, cells: Cells, line: int) -> bool:
        if self._wanted.where is None:
            return True
        try:
            return bool(self._wanted.where(cells))
        except Exception as error:
            error.add_note(f"raised by where, for the row of line {line}")
            raise

    def _contact(self, written: object, cells: Sequence[object]) -> Contact | str:
        """Return the contact that the row is, or the reason why it is none."""
        if fault := self._fault_of(written, cells):
            return fault
        number = check(written, self._wanted.region)
        if isinstance(number, InvalidMessage):
            if not (isinstance(written, str) and holds_two(written)):
                return number.reason
            number = repeated(written, self._wanted.region)
        if not number:
            return _TWO_NUMBERS
        if number in self._lines:
            return f"same number as line {self._lines[number]}"
        if self._wanted.mobile_only and (fault := _no_mobile(number)):
            return fault
        values = {}
        for field, places in self._columns.items():
            value = first_filled(cells, places)
            if not isinstance(value, str):
                return f"{field} must be text, not {type(value).__name__}"
            if is_broken(value):
                return _BROKEN.format(field)
            values[field] = value
        return Contact(number, **values)

    def _fault_of(self, written: object, cells: Sequence[object]) -> str:
        """Return what is wrong with a number that is negative or has its code elsewhere."""
        if isinstance(written, int) and written < 0:
            return _NEGATIVE
        for place, (label, own) in self._codes.items():
            code = re.sub(r"[\s+()/-]", "", str(first_filled(cells, [place]))).upper()
            is_national = not str(written).lstrip().startswith(("+", "00"))
            if is_national and _is_code(code) and code.removeprefix("00") not in own:
                return _CODE_APART.format(label)
        return ""

    def _as_it_came(self, record: Record) -> Mapping[str, object]:
        if record.given is not None:
            return record.given
        labels = [*self._places]
        labels += [f"(column {place})" for place in range(len(labels) + 1, len(record.cells) + 1)]
        return dict(zip(labels, record.cells, strict=False))

    def _unused(self) -> tuple[str, ...]:
        used = {*self._phones}.union(*self._columns.values())
        headings = enumerate(self._table.headings.items())
        return tuple(label for place, (label, said) in headings if said and place not in used)


def _codes(
    table: Table, used: Collection[int], region: str | None
) -> dict[int, tuple[str, frozenset[str]]]:
    """Return where the codes of numbers stand, under which labels, and which of them are usual."""
    if region is None:
        return {}
    own = frozenset({region, calling_code(region)})
    headings = enumerate(table.headings)
    return {
        place: (label, own) for place, label in headings if place not in used and says_code(label)
    }


def _no_mobile(number: str) -> str:
    if kind(number) == Kind.FIXED:
        return _LANDLINE
    return _NO_MOBILE if is_service(number) else ""


def _is_missing(cells: Sequence[object], place: int) -> bool:
    return place >= len(cells) or cells[place] is ABSENT
