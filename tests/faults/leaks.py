"""What must not be found, and the places where it is looked for."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

LOGIN = "account@example.com"
KEY = "k7/Qz+thekeyitself=Wm31"
NUMBER = "+33639980001"
TEXT = """Grüße, "Zoé" & Ada: the bluedoor/7 isn't far <3 100%"""

CORE_OF_KEY = "thekeyitself"
CORES = (CORE_OF_KEY, "39980001", "bluedoor")
"""What stays of them in any spelling: JSON, HTML, a URL."""
TESTS = str(Path(__file__).parent)


def found_in(text: str, *, personal: bool = True) -> list[str]:
    """Return what of it stands in a text."""
    wanted = CORES if personal else (CORE_OF_KEY,)
    return [each for each in wanted if each in text]


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and all that hang on it."""
    if error is not None:
        yield error
        yield from chain(error.__cause__)
        yield from chain(error.__context__)
        yield from (inner for each in getattr(error, "exceptions", ()) for inner in chain(each))


def locals_of(error: BaseException) -> Iterator[tuple[str, Any]]:
    """Yield what a traceback with locals would show of frames that are not the tests' own."""
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        if not frame.f_code.co_filename.startswith(TESTS):
            for name, value in frame.f_locals.items():
                yield f"{Path(frame.f_code.co_filename).name}:{trace.tb_lineno} {name}", value
        trace = trace.tb_next


def shown_by(error: BaseException) -> Iterator[tuple[str, str]]:
    """Yield each place of one exception that people or programs print, and its text."""
    yield "str", str(error)
    yield "repr", repr(error)
    yield "args", repr(error.args)
    yield "attributes", repr(vars(error))
    yield "notes", repr(getattr(error, "__notes__", ()))
    yield "pickle", pickle.dumps(error).decode("latin-1")
    for place, value in locals_of(error):
        yield place, repr(value)


def leaks_of_error(error: BaseException) -> list[str]:
    """Return where an exception, or one that hangs on it, shows what it must not."""
    return [
        f"{type(each).__name__} {place}: {secret}"
        for each in chain(error)
        for place, text in shown_by(each)
        for secret in found_in(text)
    ]


USUAL = vars(logging.makeLogRecord({})).keys()


def shown_by_record(record: logging.LogRecord) -> str:
    """Return all that a handler could print of a log record.

    That is its message, its arguments, and what came with it.
    """
    more = {name: value for name, value in vars(record).items() if name not in USUAL}
    return f"{record.getMessage()} {record.args!r} {more!r} {record.exc_info!r}"


def leaks_of_records(records: Iterable[logging.LogRecord]) -> list[str]:
    """Name the log records that show what they must not, and the secrets in them.

    Secrets are the key and, above DEBUG, a person's number or text.
    """
    return [
        f"{record.name} {record.levelname}: {secret}"
        for record in records
        for secret in found_in(shown_by_record(record), personal=record.levelno > logging.DEBUG)
    ]
