"""What a server said is repeated, what it was told is not."""

from __future__ import annotations

import json
import sys
import unicodedata
from typing import Any, NoReturn

import pytest

from insim_async import BulkReport, ContactResult, Outcome, Sms
from insim_async._privacy import excerpt, repr_of
from tests.conftest import touchy


class Panic(BaseException):
    """A stand-in for what extensions written in Rust raise when they panic."""


class Touchy:
    """A value that refuses to be looked at."""

    __len__ = __repr__ = __bool__ = touchy


class Panicking(Touchy):
    """A value that is worse."""

    def __getattribute__(self, name: str) -> NoReturn:
        raise Panic("the text of a person")

    __len__ = __repr__ = __bool__ = __getattribute__  # type: ignore[assignment]


class TouchyText(str):
    """A text that refuses to be looked at."""

    __slots__ = ()
    __len__ = __repr__ = __bool__ = __eq__ = __hash__ = touchy


class TouchyTuple(tuple[str, ...]):
    """A tuple that refuses to be looked at."""

    __slots__ = ()
    __len__ = __repr__ = __bool__ = __iter__ = touchy


@pytest.mark.parametrize(
    ("value", "shown", "masked"),
    [
        (Touchy(), "<Touchy>", "<Touchy>"),
        (Panicking(), "<Panicking>", "<Panicking>"),
        (TouchyText("Hello"), "<TouchyText>", "<TouchyText>"),
        (TouchyTuple("ab"), "<TouchyTuple>", "<TouchyTuple>"),
        (range(5), "range(0, 5)", "<range>"),
        (b"Hello", "b'Hello'", "<5>"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_repr_never_raises_whatever_a_field_holds(value: Any, shown: str, masked: str) -> None:
    held = {name: value for name in Sms.__struct_fields__ if name != "message"}
    assert repr(Sms(message="Hi", **held)) == (
        f"Sms(phone_number={masked}, message=<2>, url={masked}, priority={masked}, "
        f"send_at={shown}, sms_id={shown})"
    )
    assert f"sms={masked}, receipt={masked}" in repr(Outcome(value, value))
    assert f"first_name={masked}" in repr(ContactResult(value, value, errors=value))
    assert repr(BulkReport(value, value)).startswith(f"BulkReport(outcomes={masked}, sent={shown},")


def test_only_the_end_of_the_program_ends_a_repr() -> None:
    class End:
        def __repr__(self) -> str:
            sys.exit(3)

    with pytest.raises(SystemExit):
        repr_of(End())


def test_an_excerpt_is_short_and_printable() -> None:
    assert excerpt(b"a\n\tb\x00c " + b"x" * 500 + b"\xff", b"{}") == "a b c " + "x" * 194


def test_an_excerpt_that_is_cut_ends_before_a_word_of_which_it_has_only_a_part() -> None:
    secret = "s3cret" * 800
    assert "s3cret" not in excerpt(b"No " + secret.encode(), json.dumps([secret]).encode())


def test_case_does_not_matter() -> None:
    request = json.dumps(["zoé", "Straße"]).encode()
    assert (
        excerpt("No ZOÉ in STRASSE or der STRAßEN".encode(), request) == "No […] in […] or der […]N"
    )


@pytest.mark.parametrize(
    "said",
    ["Hélène Lefèvre".encode("latin-1"), unicodedata.normalize("NFD", "Hélène Lefèvre").encode()],
)
def test_nor_does_the_encoding(said: bytes) -> None:
    assert excerpt(b"No " + said, json.dumps(["Hélène Lefèvre"]).encode()) == "No […] […]"


def test_a_character_that_is_cut_off_leaves_the_others_what_they_are() -> None:
    assert excerpt("a é ".encode() * 2000, b"{}").startswith("a é a é")


def test_an_excerpt_of_what_was_not_sent_is_left_alone() -> None:
    assert (
        excerpt(b"Busy, code 12345", json.dumps({"a": ["bzy", "", "1", 5, None]}).encode())
        == "Busy, code 12345"
    )


def test_a_word_that_was_sent_is_left_out_of_a_longer_one_too() -> None:
    assert (
        excerpt(b"No such user: bluedoorman", json.dumps(["bluedoor"]).encode())
        == "No such user: […]man"
    )
