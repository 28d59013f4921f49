"""What a server said is repeated, what it was told is not."""

from __future__ import annotations

import json
import unicodedata

import pytest

from insim_async._privacy import excerpt


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
