"""Lists that a program holds already: rows of a database, of a data frame, of another reader."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from insim_async.errors import ConfigurationError
from insim_async.recipients._headings import labelled
from insim_async.recipients._reading import Columns, Where, read_table, rules
from insim_async.recipients._table import ABSENT, Record, Table
from insim_async.recipients._values import Recipients

__all__ = ["read_rows"]

_NO_MAPPING = "the row must be a mapping"


def read_rows(
    rows: Iterable[Mapping[str, object]],
    *,
    region: str | None = None,
    columns: Columns | None = None,
    where: Where | None = None,
    mobile_only: bool = False,
) -> Recipients:
    """Read a contact list from mappings, such as the rows of a database or of ``csv.DictReader``.

    Keys are read as headings are in ``read_csv``. Values are strings; None, NaN and ``pandas.NA``
    are empty, and a whole number is its digits. A row in which anything else stands for something
    that a contact has is refused. Of a data frame take ``frame.to_dict("records")``.

    Args:
        rows: One mapping for each row.
        region: As for ``read_csv``.
        columns: As for ``read_csv``.
        where: As for ``read_csv``.
        mobile_only: As for ``read_csv``.

    Raises:
        ConfigurationError: Unknown region, no key for the number, two for one thing.
    """
    wanted = rules(region, columns, where, mobile_only)
    given = [(_mapping(row), row) for row in rows]
    mappings = [cells for cells, _ in given if cells is not None]
    if not given:
        return Recipients(contacts=(), refused=())
    if not mappings:
        raise ConfigurationError(f"rows: {_NO_MAPPING}, not {type(given[0][1]).__name__}")
    keys = list({key: None for cells in mappings for key in cells if isinstance(key, str)})
    records = [_record(place, cells, row, keys) for place, (cells, row) in enumerate(given, 1)]
    return read_table(Table(labelled(keys), lambda _: records), wanted)


def _mapping(row: object) -> Mapping[str, object] | None:
    try:
        # As sqlite3.Row becomes one.
        return row if isinstance(row, Mapping) else dict(cast("Mapping[str, object]", row))
    except (TypeError, ValueError):
        return None


def _record(
    place: int, cells: Mapping[str, object] | None, row: object, keys: Sequence[str]
) -> Record:
    if cells is None:
        fault = f"{_NO_MAPPING}, not {type(row).__name__}"
        return Record(place, (), fault, {"unread": row})
    odd = [type(key).__name__ for key in cells if not isinstance(key, str)]
    fault = f"the row has a cell under {odd[0]} in place of a heading" if odd else ""
    return Record(place, [cells.get(key, ABSENT) for key in keys], fault, cells)
