"""Contact lists of 100,000 rows: G25."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from insim_async.recipients import read_csv

from .calls import Bench
from .tables import Goal, Table, compare
from .timing import Lap, Run, Watch, interleave

COUNT = 100_000
OURS, PEER = "insim_async", "csv.DictReader, phonenumbers"
HEADINGS = ("Prénom", "Nom", "Téléphone", "E-mail", "Adresse", "Note")


async def g25(_: Bench) -> list[Table]:
    with tempfile.TemporaryDirectory() as folder:
        return [
            await _race(Path(folder), "without a region", None, _international),
            await _race(Path(folder), "with a region", "FR", _national),
        ]


async def _race(
    folder: Path, title: str, region: str | None, number: Callable[[int], str]
) -> Table:
    path = folder / f"{region}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=";").writerows([HEADINGS, *_rows(number)])

    def ours() -> int:
        return len(read_csv(path, region=region).contacts)

    def peer() -> int:
        return len(_by_hand(path, region))

    runs = {OURS: _timed(ours), PEER: _timed(peer)}
    laps = await interleave(runs, rounds=5)
    goals = {PEER: Goal(at_least=1)}
    return compare(f"G25 read {COUNT:,} rows, {title}", laps, goals, unit="rows")


def _by_hand(path: Path, region: str | None) -> dict[str, dict[str, str]]:
    """Read a list as one would without this package, row by row."""
    import phonenumbers as library

    people = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter=";"):
            try:
                number = library.parse(row["Téléphone"], region)
            except library.NumberParseException:
                continue
            if library.is_possible_number(number):
                written = library.format_number(number, library.PhoneNumberFormat.E164)
                people[written] = row
    return people


def _timed(read: Callable[[], int]) -> Run:
    async def run() -> Lap:
        with Watch() as watch:
            count = read()
        assert count == COUNT
        return watch.lap(count)

    return run


def _rows(number: Callable[[int], str]) -> Iterator[tuple[str, ...]]:
    for i in range(COUNT):
        mail, address = f"lea{i}@example.com", f"{i}, rue des Lilas"
        yield f"Léa{i}", "Müller", number(i), mail, address, "à rappeler; urgent" * (i % 9 == 0)


def _international(i: int) -> str:
    return f"+33 6 {i:08}" if i % 5 == 0 else f"+336{i:08}"


def _national(i: int) -> str:
    """Write a number as people do: most plainly, some for callers from abroad."""
    digits = f"6{i:08}"
    spaced = " ".join([f"0{digits[0]}", *(digits[place : place + 2] for place in (1, 3, 5, 7))])
    ways = (f"0{digits}", spaced, spaced.replace(" ", "."), f"+33{digits}", f"+33 (0){digits}")
    return ways[i % 10 // 2]
