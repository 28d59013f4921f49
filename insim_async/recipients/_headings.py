"""Which line holds the headings, and which column stands for what.

A column claims to be the phone number if its heading says so, if its heading holds a word for a
phone, or if it mostly holds numbers; of two claims none is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile

from insim_async.errors import ConfigurationError
from insim_async.numbers import Kind, check, kind
from insim_async.recipients._table import Record, Table
from insim_async.recipients._words import (
    KNOWN,
    composed,
    folded,
    hints_at_phone,
    known_fields,
    says_other_number,
)

__all__ = [
    "LOOKED_AT",
    "Named",
    "above",
    "columns_of",
    "heading_among",
    "holds_number",
    "labelled",
    "named",
    "score",
]

LOOKED_AT = 50
"""So many rows are looked at for headings."""

Named = Mapping[str, tuple[str, ...]]
"""The headings that the caller names for each field, in order of preference."""

_ABOVE = "the row stands above the headings: move them to the first line"

_is_international = re.compile(r"\+[0-9 .()\-/\xa0]{7,}").fullmatch
_is_national = re.compile(
    r"(?:0[1-9]|\()[0-9 .()\-/\xa0]{6,}|[0-9]{2,}(?:[ .\-\xa0][0-9]{2,})+"
).fullmatch
_is_ten_digits = re.compile(r"0[1-9](?:[ .\-/\xa0]?[0-9]){8}").fullmatch
_date = re.compile(
    r"(?<![0-9./-])(?:[0-9]{1,2}[-./][0-9]{1,2}[-./](?:19|20)?[0-9]{2}"
    r"|(?:19|20)[0-9]{2}[-./][0-9]{2}[-./][0-9]{2})(?![0-9./-])"
)
_holds_date = _date.search
_FEWEST_OF_A_NUMBER = 5


def named(columns: Mapping[str, str | Sequence[str]] | None) -> Named:
    """Check what the caller names, as far as can be told without the headings."""
    names = {
        field: (labels,) if isinstance(labels, str) else tuple(labels)
        for field, labels in (columns or {}).items()
    }
    for field, labels in names.items():
        if field not in KNOWN:
            raise ConfigurationError(f"columns: unknown name {field!r}, known are {_listed(KNOWN)}")
        if not labels or not all(isinstance(label, str) for label in labels):
            raise ConfigurationError(
                f"columns: {field} must be a heading, or several in order of preference"
            )
    return {field: tuple(map(composed, labels)) for field, labels in names.items()}


def labelled(cells: Iterable[object]) -> dict[str, str]:
    """Give each heading a name of its own.

    The place of its column is added where it is blank or was there before.
    """
    headings: dict[str, str] = {}
    for place, cell in enumerate(cells, 1):
        heading = composed(cell)
        is_new = heading != "" and heading not in headings
        label = heading if is_new else f"{heading} (column {place})".strip()
        headings[label] = heading
    return headings


def heading_among(records: Sequence[Record], names: Named) -> Record | None:
    """Find the headings among the first rows: below title lines, if those say nothing.

    Without a row that says phone it is the first one that is not blank.
    """
    filled = [record for record in records if record.fault or any(map(folded, _texts(record)))]
    if not filled or filled[0].fault:
        return filled[0] if filled else None
    candidates = [
        record for record in filled if not record.fault and not looks_like_data(_texts(record))
    ]
    if _says_phone(filled[0], names) or (filled[0] in candidates and _claims(filled[0], names)):
        return filled[0]
    by_name = (record for record in candidates if _says_phone(record, names))
    by_word = (record for record in candidates if _claims(record, names))
    return next(by_name, None) or next(by_word, None) or filled[0]


def above(records: Iterable[Record], heading: Record) -> list[Record]:
    """Refuse the rows above the headings that are no titles, as where a sheet was sorted."""
    rows = takewhile(lambda record: record.line < heading.line, records)
    return [
        record._replace(fault=record.fault or _ABOVE)
        for record in rows
        if record.fault
        or looks_like_data(_date.sub("", str(c)) for c in record.cells if isinstance(c, str | int))
    ]


def score(record: Record | None, names: Named) -> tuple[bool, bool, int, int]:
    """Rate a row as headings: it says phone, hints at it, has other known ones, or many."""
    if record is None or record.fault:
        return False, False, 0, 0
    headings = [folded(heading) for heading in _texts(record)]
    others = [
        {*map(folded, names[field])} if field in names else known
        for field, known in KNOWN.items()
        if field != "phone_number"
    ]
    known = sum(heading in words for heading in headings for words in others)
    return _says_phone(record, names), _claims(record, names), known, len(headings)


def columns_of(
    table: Table, sample: Sequence[Record], names: Named, region: str | None
) -> dict[str, tuple[int, ...]]:
    """Find the places of each field: those that were named, or the one whose heading says it."""
    places = {label: place for place, label in enumerate(table.headings)}
    for labels in names.values():
        for label in labels:
            if label not in places:
                raise ConfigurationError(
                    f"columns: there is no {label!r} among {_shown(table.headings)}"
                )
    found = {field: tuple(map(places.__getitem__, labels)) for field, labels in names.items()}
    taken = {place for of_field in found.values() for place in of_field}
    said = known_fields(list(table.headings.values()))
    for field in (field for field in KNOWN if field not in names):
        claims = [place for place, known in enumerate(said) if known == field]
        if field == "phone_number":
            claims = _phone_claims(table, sample, said, region)
        claims = [place for place in claims if place not in taken]
        if len(claims) > 1:
            raise _too_many(field, [label for label, place in places.items() if place in claims])
        found.update((field, (place,)) for place in claims)
    if "phone_number" not in found:
        raise _none_says_phone(table)
    return found


def looks_like_data(cells: Iterable[str]) -> bool:
    """Say whether cells are rather a person's data than headings."""
    return any("@" in cell or sum(map(str.isdigit, cell)) > 5 for cell in cells)


def holds_number(cell: object, region: str | None) -> bool:
    """Say whether a cell holds what can hardly be anything but a phone number."""
    text = _text(cell)
    if _is_international(text):
        return isinstance(check(text, region), str)
    if _holds_date(text) or not _is_national(text):
        return False
    if region is None:
        return _is_ten_digits(text) is not None
    number = check(text, region)
    return isinstance(number, str) and kind(number) != Kind.OTHER


def _phone_claims(
    table: Table, sample: Sequence[Record], said: Sequence[str], region: str | None
) -> list[int]:
    """Return the places of the columns that claim to hold phone numbers."""
    headings = list(table.headings.values())
    if not table.has_headings and len(headings) == 1:
        return [0]
    fewest = 2 if table.has_headings else 1
    by_content = not table.has_headings or not looks_like_data(headings)
    claims, empty = [], []
    for place, (heading, field) in enumerate(zip(headings, said, strict=True)):
        cells = [record.cells[place] for record in sample if place < len(record.cells)]
        texts = [text for text in map(_text, cells) if text]
        hinted = hints_at_phone(heading) and any(map(_may_hold_number, texts))
        counted = (
            by_content and not says_other_number(heading) and _mostly_numbers(texts, region, fewest)
        )
        if field == "phone_number" or (not field and (hinted or counted)):
            claims.append(place)
        elif not field and not texts and hints_at_phone(heading):
            empty.append(place)
    # A column that is empty so far is no answer, but may be another one.
    return sorted(claims + empty) if claims else []


def _may_hold_number(text: str) -> bool:
    return sum(map(str.isdigit, text)) >= _FEWEST_OF_A_NUMBER and not _holds_date(text)


def _mostly_numbers(texts: Sequence[str], region: str | None, fewest: int) -> bool:
    count = sum(holds_number(text, region) for text in texts)
    return count >= fewest and 2 * count > len(texts)


def _text(cell: object) -> str:
    return cell.strip() if isinstance(cell, str) else ""


def _texts(record: Record) -> list[str]:
    return [_text(cell) for cell in record.cells]


def _says_phone(record: Record, names: Named) -> bool:
    cells = _texts(record)
    if labels := names.get("phone_number"):
        return not set(labels).isdisjoint(map(composed, cells))
    return "phone_number" in known_fields(cells)


def _claims(record: Record, names: Named) -> bool:
    if _says_phone(record, names):
        return True
    cells = [cell for cell in _texts(record) if cell]
    return "phone_number" not in names and len(cells) > 1 and any(map(hints_at_phone, cells))


def _too_many(field: str, labels: Sequence[str]) -> ConfigurationError:
    ordered = sorted(
        labels, key=lambda label: not re.search("(?i)mob|cel|port|handy|gsm|m[oó]v", label)
    )
    return ConfigurationError(
        f"{_listed(labels)} may all be the {field}: name one, {_example(field, ordered)}, "
        f"or several in order of preference, [{_listed(ordered)}]"
    )


def _none_says_phone(table: Table) -> ConfigurationError:
    if not table.has_headings:
        return ConfigurationError(
            f"no column mostly holds phone numbers: name it, "
            f"{_example('phone_number', ['(column 1)'])}"
        )
    hint = ", or, for a list without headings, say header_line=None"
    return ConfigurationError(
        f"no heading says phone number among {_shown(table.headings)}: name it, "
        f"{_example('phone_number', ['Mobile'])}{hint * looks_like_data(table.headings)}"
    )


def _shown(headings: Mapping[str, str]) -> str:
    """List the headings, unless they are the data of a person in a file without headings."""
    if looks_like_data(headings):
        return f"the {len(headings)} headings, which look like a row of data"
    return _listed(headings)


def _example(field: str, labels: Sequence[str]) -> str:
    return f'such as columns={{"{field}": "{labels[0]}"}}'


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
