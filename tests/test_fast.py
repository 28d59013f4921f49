"""The fast way through the checks says what the slow way says, or asks it."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from insim_async import AsyncInSim, Priority, Sms, Status
from insim_async._sending.checks import Ids, Rules, check_sms
from insim_async._sending.fast import plain_messages
from insim_async._wire import Message
from tests.conftest import Gateway, NotAvailable

NUMBER = "+33639980001"
RULES = [Rules(), Rules(max_parts=1), Rules(max_parts=255)]


class Text(str):
    """As the templates of web frameworks make."""

    __slots__ = ()


class Reminder(Sms, frozen=True, kw_only=True):
    """A message of a caller's own kind."""


def batch_of(*changes: dict[str, Any], kind: Any = Sms) -> list[Any]:
    return [kind(**{"phone_number": NUMBER, "message": "Hi"} | change) for change in changes]


def ids(count: int) -> list[str]:
    return [f"fresh.{place}" for place in range(count)]


def test_a_plain_batch_goes_the_fast_way() -> None:
    batch = batch_of({}, {"message": "\N{GRINNING FACE} a\nb"}, {"phone_number": "+33639980002"})
    assert plain_messages(batch, Rules(), ids(3), Ids()) == [
        Message(NUMBER, "Hi", "fresh.0"),
        Message(NUMBER, "\N{GRINNING FACE} a\nb", "fresh.1"),
        Message("+33639980002", "Hi", "fresh.2"),
    ]


def test_so_does_one_whose_ids_are_all_its_own_where_none_is_remembered() -> None:
    batch = batch_of({"sms_id": "a"}, {"sms_id": "b"})
    messages = [Message(NUMBER, "Hi", "a"), Message(NUMBER, "Hi", "b")]
    assert plain_messages(batch, Rules(), ids(2), None) == messages
    assert plain_messages(batch, Rules(), ids(2), Ids()) is None
    assert plain_messages([*batch, *batch_of({})], Rules(), ids(3), None) is None


ODD: list[Any] = [None, 5, True, 1.5, b"Hi", [], object(), NotAvailable()]
LONG = [
    sign * (count + more)
    for sign in "a€łé😀"
    for count in (33, 70, 160, 660, 3_060, 8_415)
    for more in (0, 1)
]
ODD_TEXTS: list[Any] = [
    "",
    " ",
    "\n",
    "a\0",
    "\ud800",
    "[Lien_Tracking]",
    *LONG,
    Text("Hi"),
    Text(""),
    *ODD,
]
ODD_NUMBERS: list[Any] = [
    "",
    "+",
    "\n",
    f"{NUMBER}\n",
    f"\n{NUMBER}",
    f"{NUMBER}\n{NUMBER}",
    f"{NUMBER}\r",
    f"{NUMBER}\0",
    f"{NUMBER} ",
    "+33 6 39 98 00 01",
    "+3363998000\N{ARABIC-INDIC DIGIT ONE}",
    "+3363998000\N{SUPERSCRIPT ONE}",
    "0639980001",
    "+0639980001",
    "+330639980001",
    "+99900000001",
    "+123456",
    "+1234567890123456",
    "\ud800",
    Text(NUMBER),
    *ODD,
]
GOOD_NUMBERS = ["+39012345678", "+99910000001", "+12025550123"]
PERTURBED = {
    "phone_number": st.sampled_from([*ODD_NUMBERS, *GOOD_NUMBERS])
    | st.text("+1\n\0 \ud800", max_size=20),
    "message": st.sampled_from(ODD_TEXTS) | st.text(max_size=5),
    "url": st.sampled_from(["", "".join([]), Text(""), "https://example.com", *ODD]),
    "priority": st.sampled_from([*Priority, 0, 1, 2, 3, "high", *ODD]),
    "send_at": st.sampled_from([datetime(2031, 1, 1), datetime(2031, 1, 1, tzinfo=UTC), *ODD]),  # noqa: DTZ001
    "sms_id": st.sampled_from(["", "a", "a b", Text("a"), *ODD]),
}
ANY_MESSAGE = st.one_of(
    st.just(Sms(NUMBER, "Hi")),
    *(
        st.builds(batch_of, st.fixed_dictionaries({f: PERTURBED[f]})).map(lambda batch: batch[0])
        for f in PERTURBED
    ),
    st.builds(batch_of, st.fixed_dictionaries({}, optional=PERTURBED)).map(lambda batch: batch[0]),
    st.just(Reminder(NUMBER, "Hi")),
    st.sampled_from(["+33639980001", None, {"phone_number": NUMBER}]),
)
OWN_IDS = st.none() | st.sampled_from(["a", "booking-1", "a b", "a\nb", "x" * 129, ""])
PLAIN = st.lists(
    st.builds(Sms, st.just(NUMBER), st.text(min_size=1, max_size=5), sms_id=OWN_IDS), max_size=3
)
ONE_AMONG_PLAIN = st.tuples(PLAIN, ANY_MESSAGE, PLAIN).map(
    lambda three: [*three[0], three[1], *three[2]]
)


@settings(max_examples=500, deadline=None)
@example(batch_of({}, {"phone_number": ""}))
@given(PLAIN | ONE_AMONG_PLAIN | st.lists(ANY_MESSAGE, max_size=4))
def test_whatever_the_fast_way_returns_is_what_the_slow_way_says(batch: list[Any]) -> None:
    for rules, is_kept in product(RULES, (False, True)):
        seen = Ids() if is_kept else None
        fast = plain_messages(batch, rules, ids(len(batch)), seen)
        slow = [
            check_sms(sms, rules, fresh, seen)
            for sms, fresh in zip(batch, ids(len(batch)), strict=True)
        ]
        assert fast is None or (fast, list(map(exactly, fast))) == (slow, list(map(exactly, slow)))


@pytest.mark.parametrize("odd", ODD_NUMBERS)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_no_number_hides_among_others(odd: Any, place: int) -> None:
    three = batch_of({}, {}, {})
    three[place] = Sms(odd, "Hi")
    assert plain_messages(three, Rules(), ids(3), None) is None


async def test_an_empty_number_in_the_last_place_is_not_sent(
    insim: AsyncInSim, gateway: Gateway
) -> None:
    report = await insim.send_many([Sms(NUMBER, "a"), Sms("", "b")])
    assert [outcome.status for outcome in report.outcomes] == [Status.SENT, Status.NOT_SENT]
    assert gateway.batches == [1]


def exactly(message: Any) -> list[type]:
    """Name the types of what would be written.

    Equality would take a subclass of ``str`` for what it looks like.
    """
    return [type(message), *(type(getattr(message, name)) for name in message.__struct_fields__)]
