"""Read contact lists as people keep them: contacts, and refused rows with line and reason.

Every row ends up in one of the two; nothing is guessed, and no cell is evaluated. Columns that
stand for nothing that a contact has are left alone.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct

from insim_async.errors import ConfigurationError, InvalidMessage
from insim_async.models import Contact
from insim_async.numbers import check, require_region

__all__ = ["Recipients", "Refusal", "read_csv", "read_rows"]

_HEADINGS = {
    "phone_number": """
        phone, phone number, phone no, phone 1 - value, telephone, telephone number, tel,
        tel no, mobile, mobile phone, mobile number, mobile phone number, cell, cell phone,
        cell number, msisdn, gsm, portable, numéro, numéro de téléphone, numéro téléphone,
        numéro de tél, numéro de mobile, numéro mobile, numéro de portable, numéro portable,
        tel mobile, tel portable, téléphone mobile, téléphone portable, num tel, n° tel,
        n° de téléphone, n° téléphone, n° de mobile, n° mobile, n° de portable, n° portable,
        no de téléphone, no téléphone, no mobile, no portable""",
    "first_name": "first name, first, given name, forename, prénom, prénoms",
    "last_name": "last name, last, surname, family name, nom, nom de famille",
    "email": """
        e-mail, mail, mél, e-mail 1 - value, e-mail address, mail address, courriel,
        adresse e-mail, adresse mail, adresse courriel, adresse de courriel,
        adresse électronique""",
    "address": "address, postal address, street address, adresse, adresse postale",
}

_DELIMITERS = ";,\t|"
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_holds_utf8 = re.compile(rb"\xc3[\x80-\xbf]|\xe2\x80[\x80-\xbf]").search
"""Accented letters and typographic signs; in Windows-1252 they would be ``Ã©`` and ``â€™``, which
nobody writes."""

_names_delimiter = re.compile(r'"?sep=([^"\r\n])"?\s*', re.IGNORECASE).fullmatch
"""A first line that is meant for Excel."""
_LINE_BREAK = re.compile(r"[\r\n]")

_FEWEST_DIGITS = 7
_may_be_a_number = re.compile(r"\W*(?:\d\W*){7,}").fullmatch

_EMPTY_ROW = "the row is empty"
_NO_MAPPING = "the row must be a mapping"
_NO_NUMBER = "the row ends before its phone number"
_QUOTES = "the quotes of the row do not add up: one is missing, or stands where none belongs"
_LONG_CELL = "a cell of the row has more than 131,072 characters, or a quote is missing"
_ROWS_IN_A_CELL = (
    "a cell in quotes holds lines that look like rows, "
    "as where a quote is missing: all up to line {}"
)


class Refusal(Struct, frozen=True, kw_only=True):
    """A row that is not a contact.

    Attributes:
        line: The line of the file on which the row begins, the heading being line 1; for rows that
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


class Recipients(Struct, frozen=True, kw_only=True):
    """A contact list that was read.

    Attributes:
        contacts: In the order of the list, each number once, in E.164.
        refused: The other rows, in the same order.
    """

    contacts: tuple[Contact, ...]
    refused: tuple[Refusal, ...]


class _Record(NamedTuple):
    """The cells between two row ends of a file.

    The line after it is number ``end``, counted from 0.
    """

    line: int
    cells: list[str]
    end: int
    fault: str = ""


class _Shape(NamedTuple):
    """How many cells a row has, and which one is its number."""

    width: int
    place: int

    def fits(self, cells: Sequence[str]) -> bool:
        """Say whether cells look like a row: enough with a number among them, or one in place."""
        digits = sum(map(str.isdigit, "".join(cells)))
        in_place = len(cells) > self.place and _may_be_a_number(cells[self.place])
        return self.width > 1 and (
            (len(cells) >= self.width and digits >= _FEWEST_DIGITS) or bool(in_place)
        )


class _Row(NamedTuple):
    line: int
    cells: Mapping[str, object]
    fault: str = ""


def read_csv(
    path: str | os.PathLike[str],
    *,
    region: str | None = None,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> Recipients:
    """Read a contact list from a CSV file, as spreadsheets and address books write them.

    The first line that is not blank holds the headings, in French or English, in any order. A row
    may leave out cells at its end; a row with a missing or stray quote is refused alone, and
    reading goes on with the next line. A cell with lines in it that look like rows is refused with
    all of them: a quote may be missing, or they may be a note that lists people nobody wants to
    write to. Of two rows with the same number the later one is refused. An e-mail address is taken
    as it is: the API warns of a bad one and adds the contact all the same. Reading blocks: in a
    server, call it through ``asyncio.to_thread``.

    Args:
        path: The file.
        region: The country whose national numbers are understood (``"FR"``); needs the extra
            ``phone``.
        columns: Which heading holds what, where they do not say it themselves: ``{"phone_number":
            "Mobile"}``. The names are those of ``Contact``.
        encoding: By default UTF-8, UTF-16 with a byte order mark, or else Windows-1252.
        delimiter: By default the one that a first line ``sep=;`` names, else the one of ``;``,
            ``,``, tab and ``|`` that makes the most of the heading line.

    Raises:
        ConfigurationError: The file cannot be read as asked: unknown region or encoding, no
            headings, no column for the number, two for one thing.
        OSError: The file cannot be opened.
    """
    _require(region, delimiter)
    text = _decoded(Path(path).read_bytes(), encoding)
    lines = io.StringIO(text, newline="").readlines()
    if lines and (named := _names_delimiter(lines[0])):
        delimiter, lines[0] = delimiter or named[1], "\n"
    delimiter = delimiter or _delimiter_of(lines, columns or {})
    heading = _heading(lines, delimiter)
    headings = _labelled(heading.cells)
    found = _columns(headings, columns or {})
    shape = _Shape(len(headings), list(headings).index(found["phone_number"]))
    records = _records(lines, delimiter, heading.end, shape)
    rows = (_row(record, list(headings)) for record in records if record.cells)
    return _sorted_out(rows, found, region)


def read_rows(
    rows: Iterable[Mapping[str, object]],
    *,
    region: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Recipients:
    """Read a contact list from mappings, such as the rows of a database or of ``csv.DictReader``.

    Keys are read as headings are in ``read_csv``. Values are strings or None; a row in which
    another type stands for something that a contact has is refused.

    Args:
        rows: One mapping for each row.
        region: As for ``read_csv``.
        columns: As for ``read_csv``.

    Raises:
        ConfigurationError: Unknown region, no key for the number, two for one thing.
    """
    _require(region)
    found = [_checked(place, cells) for place, cells in enumerate(rows, 1)]
    read = [row for row in found if not row.fault.startswith(_NO_MAPPING)]
    if found and not read:
        raise ConfigurationError(f"rows: {found[0].fault}")
    headings = {key: key for row in read for key in row.cells if isinstance(key, str)}
    return _sorted_out(found, _columns(headings, columns or {}) if found else {}, region)


def _require(region: str | None, delimiter: str | None = None) -> None:
    if region is not None:
        require_region(region)
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise ConfigurationError(
            "delimiter must be one character, and neither a quote nor a line break"
        )


def _decoded(content: bytes, encoding: str | None) -> str:
    encoding = encoding or _encoding_of(content)
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except LookupError as error:
        raise ConfigurationError(f"unknown encoding {encoding!r}") from error
    except UnicodeDecodeError as error:
        line, byte = content.count(b"\n", 0, error.start) + 1, content[error.start]
    # Raised out here because the codec's own error holds the whole file.
    fault = f"line {line} holds byte 0x{byte:02x}, which is not {encoding}"
    raise ConfigurationError(f'{fault}: name the encoding of the file, such as encoding="cp1252"')


def _encoding_of(content: bytes) -> str:
    """Find the encoding; a file that mixes two is UTF-8 with a fault in it, never Windows-1252."""
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return encoding
    try:
        content.decode()
    except UnicodeDecodeError:
        return "utf-8" if _holds_utf8(content) else "cp1252"
    return "utf-8"


def _delimiter_of(lines: Sequence[str], columns: Mapping[str, str]) -> str:
    """Find the delimiter that brings out a phone number, or else the most headings.

    Known headings count before others.
    """
    named = {field: {_folded(label)} for field, label in columns.items()}
    phones, *others = ((named.get(field) or names) for field, names in _KNOWN.items())

    def score(delimiter: str) -> tuple[bool, int, int]:
        record = _first(lines, delimiter)
        headings = (
            [] if record is None or record.fault else [_folded(cell) for cell in record.cells]
        )
        known = sum(heading in names for heading in headings for names in others)
        return any(heading in phones for heading in headings), known, len(headings)

    return max(_DELIMITERS, key=score)


def _heading(lines: Sequence[str], delimiter: str) -> _Record:
    record = _first(lines, delimiter)
    if record is None:
        raise ConfigurationError("the file is empty: it has no headings")
    if record.fault:
        raise ConfigurationError(f"line {record.line}, the headings: {record.fault}")
    lines_within = (line for cell in record.cells for line in _LINE_BREAK.split(cell)[1:])
    if any(sum(map(str.isdigit, line)) >= _FEWEST_DIGITS for line in lines_within):
        raise ConfigurationError(
            f"line {record.line}, the headings: {_ROWS_IN_A_CELL.format(record.end)}"
        )
    if any("\0" in cell for cell in record.cells):
        raise ConfigurationError(
            'the headings hold NUL characters: if it is UTF-16, say so, encoding="utf-16-le"'
        )
    return record


def _first(lines: Sequence[str], delimiter: str) -> _Record | None:
    """Return the first row that says anything."""
    records = _records(lines, delimiter)
    return next(
        (record for record in records if record.fault or any(map(_folded, record.cells))), None
    )


def _records(
    lines: Sequence[str], delimiter: str, begin: int = 0, shape: _Shape | None = None
) -> Iterator[_Record]:
    while begin < len(lines):
        record = _record(lines, delimiter, begin, shape)
        yield record
        begin = record.end


def _record(lines: Sequence[str], delimiter: str, begin: int, shape: _Shape | None) -> _Record:
    """Read the row that begins at a line; where its quotes are wrong, that line is the row."""
    remaining = map(lines.__getitem__, range(begin, len(lines)))
    reader = csv.reader(remaining, delimiter=delimiter, strict=True)
    try:
        cells = next(reader)
    except csv.Error as error:
        return _Record(
            begin + 1, [lines[begin]], begin + 1, _LONG_CELL if "limit" in str(error) else _QUOTES
        )
    end = begin + reader.line_num
    if shape is not None and any(map(shape.fits, _inner_rows(cells, delimiter))):
        return _Record(begin + 1, ["".join(lines[begin:end])], end, _ROWS_IN_A_CELL.format(end))
    return _Record(begin + 1, cells, end)


def _inner_rows(cells: Sequence[str], delimiter: str) -> Iterator[list[str]]:
    """Split the lines within cells into rows, as if each were one.

    What stands before the first break in a cell is one row with the cells before it.
    """
    for place, cell in enumerate(cells):
        first, *further = _LINE_BREAK.split(cell)
        if further and delimiter in first:
            yield [""] * place + first.split(delimiter)
        yield from (line.split(delimiter) for line in further)


def _labelled(cells: Sequence[str]) -> dict[str, str]:
    """Give each heading a name of its own.

    The place of its column is added where it is blank or was there before.
    """
    headings: dict[str, str] = {}
    for place, cell in enumerate(map(str.strip, cells), 1):
        label = f"{cell} (column {place})".strip() if not cell or cell in headings else cell
        headings[label] = cell
    return headings


def _columns(headings: Mapping[str, str], columns: Mapping[str, str]) -> dict[str, str]:
    """Find the column of each field: the one that was named, or whose heading says it."""
    _require_known(headings, columns)
    found = dict(columns)
    free = [label for label in headings if label not in columns.values()]
    for field in (field for field in _KNOWN if field not in columns):
        claims = [label for label in free if _folded(headings[label]) in _KNOWN[field]]
        if len(claims) > 1:
            raise ConfigurationError(
                f"{_listed(claims)} may all be the {field}: name one, {_example(field, claims)}"
            )
        found.update((field, label) for label in claims)
    if "phone_number" not in found:
        raise ConfigurationError(
            f"no heading says phone number among {_shown(headings)}: name it, "
            f"{_example('phone_number', ['Mobile'])}"
        )
    return found


def _require_known(headings: Mapping[str, str], columns: Mapping[str, str]) -> None:
    for field, label in columns.items():
        if field not in _KNOWN:
            raise ConfigurationError(
                f"columns: unknown name {field!r}, known are {_listed(_KNOWN)}"
            )
        if label not in headings:
            raise ConfigurationError(f"columns: there is no {label!r} among {_shown(headings)}")


def _example(field: str, labels: Sequence[str]) -> str:
    return f'such as columns={{"{field}": "{labels[0]}"}}'


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


def _shown(headings: Mapping[str, str]) -> str:
    """List the headings, unless they are the data of a person in a file without headings."""
    if any("@" in heading or sum(map(str.isdigit, heading)) > 5 for heading in headings):
        return f"the {len(headings)} headings, which look like a row of data"
    return _listed(headings)


def _folded(heading: str) -> str:
    """Leave out case, accents and punctuation."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKD", heading).casefold()))


_KNOWN = {field: frozenset(map(_folded, names.split(","))) for field, names in _HEADINGS.items()}


def _row(record: _Record, labels: Sequence[str]) -> _Row:
    if record.fault:
        return _Row(record.line, {"unread": record.cells[0]}, record.fault)
    left_over = {
        f"(column {place})": cell
        for place, cell in enumerate(record.cells, 1)
        if place > len(labels)
    }
    fault = f"the row has {len(record.cells)} cells under {len(labels)} headings"
    cells = dict(zip(labels, record.cells, strict=False)) | left_over
    return _Row(record.line, cells, fault if any(map(str.strip, left_over.values())) else "")


def _checked(place: int, row: Mapping[str, object]) -> _Row:
    try:
        cells = row if isinstance(row, Mapping) else dict(row)  # as sqlite3.Row becomes one
    except (TypeError, ValueError):
        return _Row(place, {"unread": row}, f"{_NO_MAPPING}, not {type(row).__name__}")
    odd = [type(key).__name__ for key in cells if not isinstance(key, str)]
    return _Row(
        place, cells, f"the row has a cell under {odd[0]} in place of a heading" if odd else ""
    )


def _sorted_out(rows: Iterable[_Row], columns: Mapping[str, str], region: str | None) -> Recipients:
    contacts: dict[str, Contact] = {}
    lines: dict[str, int] = {}
    refused = []
    for row in rows:
        found = row.fault or _contact(row.cells, columns, region)
        if isinstance(found, Contact) and found.phone_number in contacts:
            found = f"same number as line {lines[found.phone_number]}"
        if isinstance(found, str):
            refused.append(Refusal(line=row.line, reason=found, row=row.cells))
        else:
            contacts[found.phone_number] = found
            lines[found.phone_number] = row.line
    return Recipients(contacts=tuple(contacts.values()), refused=tuple(refused))


def _contact(
    cells: Mapping[str, object], columns: Mapping[str, str], region: str | None
) -> Contact | str:
    """Return the contact that the row is, or the reason why it is none."""
    if all(_stripped(cell) == "" for cell in cells.values()):
        return _EMPTY_ROW
    if columns["phone_number"] not in cells:
        return _NO_NUMBER
    values = {field: _stripped(cells.get(label)) for field, label in columns.items()}
    number = check(values.pop("phone_number"), region)
    if isinstance(number, InvalidMessage):
        return number.reason
    texts = {field: value for field, value in values.items() if isinstance(value, str)}
    for field, value in values.items():
        if field not in texts:
            return f"{field} must be text, not {type(value).__name__}"
    return Contact(phone_number=number, **texts)


def _stripped(cell: object) -> object:
    if cell is None:
        return ""
    return cell.strip() if isinstance(cell, str) else cell
