"""vCards as a list: which of a card's numbers is meant, and what its other lines are called."""

from __future__ import annotations

from collections.abc import Sequence

from insim_async.numbers import check
from insim_async.recipients._encoding import decoded
from insim_async.recipients._headings import labelled
from insim_async.recipients._properties import Card, Property, cards
from insim_async.recipients._reading import Columns, Where, read_table, rules
from insim_async.recipients._source import Source, content_of, require_format
from insim_async.recipients._table import ABSENT, Record, Table
from insim_async.recipients._values import Recipients

__all__ = ["read_vcards"]

_FIELDS = {
    "phone_number": "TEL",
    "first_name": "N GIVEN",
    "last_name": "N FAMILY",
    "email": "EMAIL",
    "address": "ADR",
}
"""The heading of each field, where the caller names no other."""

_KEPT = frozenset({"FN", "NICKNAME", "ORG", "TITLE", "NOTE", "CATEGORIES", "BDAY"})
_MOBILE = frozenset({"CELL", "IPHONE", "MOBILE"})
_NO_PHONE = frozenset({"FAX", "PAGER", "MODEM", "BBS", "TLX", "VIDEO", "TEXTPHONE"})
_ANYBODY_S = frozenset({"VOICE", "PREF", "MSG", "TEXT", "INTERNET"})
"""Types that do not say where a number or an address leads."""

_SEVERAL = (
    "the card has {} numbers, and none is sure to take SMS: mark one as mobile, or name "
    'headings in order of preference, such as columns={{"phone_number": ["TEL CELL", "TEL HOME"]}}'
)


def read_vcards(
    source: Source,
    *,
    region: str | None = None,
    columns: Columns | None = None,
    where: Where | None = None,
    mobile_only: bool = False,
    encoding: str | None = None,
) -> Recipients:
    """Read a contact list from vCards (3.0, 4.0, and the 2.1 of older phones).

    The number is the one that its card marks as mobile, and of several mobiles the preferred one; a
    card that has no mobile must have one number only. Faxes do not count. Headings are the
    properties: ``TEL``, ``N GIVEN``, ``N FAMILY``, ``EMAIL``, ``ADR``, ``FN``, ``ORG``,
    ``CATEGORIES``, ``NOTE`` and so on; a card's further numbers are ``TEL HOME``, ``TEL WORK`` and
    so on. Where ``columns`` names the headings of the number, all are called by their types: ``TEL
    CELL``.

    Args:
        source: As for ``read_csv``.
        region: As for ``read_csv``.
        columns: As for ``read_csv``.
        where: As for ``read_csv``.
        mobile_only: As for ``read_csv``.
        encoding: As for ``read_csv``.

    Raises:
        ConfigurationError: The list cannot be read as asked, or it holds no vCards.
        OSError: The file cannot be opened.
    """
    wanted = rules(region, columns, where, mobile_only)
    content = content_of(source)
    require_format(content, "a file of vCards")
    text = content if isinstance(content, str) else decoded(content, encoding)
    chosen = "phone_number" not in wanted.columns
    table = _table(list(cards(text)), region, chosen=chosen)
    names = {field: (label,) for field, label in _FIELDS.items() if label in table.headings}
    return read_table(table, wanted._replace(columns={**names, **wanted.columns}))


def _table(found: Sequence[Card], region: str | None, *, chosen: bool) -> Table:
    """Give each kind of property a column; with the number chosen, that is the first one."""
    rows = [_row(card, region, chosen=chosen) for card in found]
    headings = dict.fromkeys(["TEL"] if chosen else [])
    headings.update((heading, None) for cells, fault in rows if not fault for heading in cells)
    records = [
        Record(card.line, [cells.get(heading, ABSENT) for heading in headings], fault, cells)
        for (cells, fault), card in zip(rows, found, strict=True)
    ]
    return Table(labelled(headings), lambda _: records)


def _row(card: Card, region: str | None, *, chosen: bool) -> tuple[dict[str, str], str]:
    """Return the cells of a card by heading, and why it cannot be read."""
    if card.fault:
        return {"unread": card.text}, card.fault
    cells: dict[str, str] = {"TEL": ""} if chosen else {}
    phones = [each for each in card.properties if each.name == "TEL"]
    mobile, fault = _mobile(phones, region) if chosen else (None, "")
    if mobile is not None:
        cells["TEL"] = mobile.text
    for each in sorted(card.properties, key=lambda each: not each.is_preferred):
        for heading, text in _cells(each) if each is not mobile else ():
            _add(cells, heading, text)
    return cells, fault


def _mobile(phones: Sequence[Property], region: str | None) -> tuple[Property | None, str]:
    """Return the number that is meant, if there is one, or why that is not clear."""
    able = [phone for phone in phones if phone.text and not phone.types & _NO_PHONE]
    mobiles = [phone for phone in able if phone.types & _MOBILE]
    preferred = [phone for phone in mobiles if phone.is_preferred]
    likely = preferred or mobiles or able
    count = len({_spelled_alike(phone.text, region) for phone in likely})
    return (likely[0], "") if count == 1 else (None, _SEVERAL.format(count) if count else "")


def _spelled_alike(text: str, region: str | None) -> str:
    number = check(text, region)
    return number if isinstance(number, str) else "".join(filter(str.isdigit, text))


def _cells(each: Property) -> list[tuple[str, str]]:
    """Return the headings and texts of a property."""
    match each.name:
        case "TEL":
            return [(" ".join(["TEL", *sorted(each.types - _ANYBODY_S)]), each.text)]
        case "N":
            family, given, *_ = (*each.parts, "", "")
            return [("N FAMILY", family), ("N GIVEN", given)]
        case "ADR":
            return [("ADR", ", ".join(filter(None, each.parts)))]
        case "EMAIL":
            return [("EMAIL", each.text)]
        case name:
            return [(name, each.text)] if name in _KEPT else []


def _add(cells: dict[str, str], heading: str, text: str) -> None:
    """Keep a cell; one that comes again has its number added."""
    place = 1
    while (label := f"{heading} {place}" if place > 1 else heading) in cells:
        place += 1
    cells[label] = text
