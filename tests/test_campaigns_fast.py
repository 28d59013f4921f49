"""The fast way into a campaign gathers what the slow way gathers, or asks it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import product
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from insim_async import Contact, InvalidMessage, Priority, Sms
from insim_async._sending import Rules, check_sms
from insim_async.campaigns import _adding, _statements
from insim_async.campaigns._fast import Alike, alike
from insim_async.campaigns._texts import Texts
from insim_async.recipients import read_rows

from .campaigns import number, people
from .test_fast import GOOD_NUMBERS, ODD, ODD_NUMBERS, ODD_TEXTS, RULES

TEXT = "À demain !"
WHOLE_TEXTS = [text for text in ODD_TEXTS if type(text) is str and text != "\ud800"]


class Client(Contact, frozen=True):
    """Somebody's own kind of contact."""


def gathered(slice_: str | Alike) -> list[Any]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(_statements.LAYOUT.schema)
        _adding.begin_gathering(connection, "it")
        _adding.gather(connection, "it", slice_)
        return connection.execute("SELECT * FROM it ORDER BY place").fetchall()


def test_plain_contacts_go_the_fast_way() -> None:
    taken = alike(people(2), 7, TEXT, 1)
    assert taken is not None
    assert gathered(taken) == [
        (1, 7, 33639980000, TEXT, "", 1),
        (2, 8, 33639980001, TEXT, "", 1),
    ]


ROWS = st.one_of(
    st.integers(0, 9999).map(number).map(Contact),
    st.sampled_from(
        [
            *[Contact(odd) for odd in (*ODD_NUMBERS, *GOOD_NUMBERS, *ODD)],
            *ODD,
            Client(number(1)),
            {"phone_number": number(1)},
            *read_rows([{"mobile": number(1)}]).rows,
        ]
    ),
)


@settings(max_examples=300)
@given(
    st.lists(ROWS, max_size=5),
    st.integers(1, 10**6),
    st.sampled_from([TEXT, *[text for text in ODD_TEXTS if type(text) is str]]),
)
@example([], 1, TEXT)
@example(people(3), 1, TEXT)
@example([Contact(f"{number(1)}\n{number(2)}")], 1, TEXT)
@example([], 1, "\ud800")
def test_both_ways_gather_the_same(rows: list[Any], first: int, text: str) -> None:
    try:
        texts = Texts(text, "", Priority.NORMAL, Rules())
    except ValueError:  # half a surrogate pair
        return
    fast = alike(rows, first, *texts._constant) if texts._is_same else None
    slow = texts._slice(rows, first)
    assert fast is None or (gathered(fast) == gathered(slow) and not texts.refused)


@settings(max_examples=100)
@given(st.sampled_from(WHOLE_TEXTS) | st.text(max_size=4))
@example("")
@example("\N{NO-BREAK SPACE}")
@example("a\x7f")
def test_what_is_added_is_what_may_be_sent(text: str) -> None:
    """Whether it is the text for all, or what comes out for one person."""
    for rules, template in product(RULES, (text.replace("{", "{{").replace("}", "}}"), "{all|}")):
        checked = check_sms(Sms(number(1), text), rules, "x", None)
        wanted = [str(checked)] if isinstance(checked, InvalidMessage) else []
        texts = Texts(template, "", Priority.NORMAL, rules)
        texts._slice([{"phone_number": number(1), "all": text}], 1)
        assert [refusal.reason for refusal in texts.refused] == wanted
