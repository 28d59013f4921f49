"""Many spellings, one meaning."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from insim_async import _tolerant
from insim_async._tolerant import Words

WORDS = Words(
    sms_id=(_tolerant.text, "id_sms_api"),
    number=(_tolerant.text, "phone_number phone"),
    sent=(_tolerant.flag, "sent"),
    errors=(_tolerant.codes, "errors error"),
)


@pytest.mark.parametrize(
    "word",
    [
        "phone_number",
        "phonenumber",
        "PHONE_NUMBER",
        "phoneNumber",
        "Phone Number",
        "phone-number",
        "PHONE",
    ],
)
def test_case_and_underscores_do_not_matter(word: str) -> None:
    assert WORDS.read({word: "+33"}) == ({"number": "+33"}, {})


@pytest.mark.parametrize(
    ("row", "known", "extra"),
    [
        ({"phone": "1", "cost": 2}, {"number": "1"}, {"cost": 2}),
        ({"phone_number": "", "phone": "1"}, {"number": "1"}, {}),
        ({"phone": "1", "phone_number": "2"}, {"number": "2"}, {"phone": "1"}),
        ({"sent": 0, "SENT": 1}, {"sent": False}, {"SENT": 1}),
        ({"errors": [0], "ERRORS": ["#003"]}, {"errors": ("#003",)}, {}),
        ({"id_sms_api": 7, "sent": None}, {"sms_id": "7"}, {}),
        ({"sent": "perhaps", "id_sms_api": ["x"]}, {}, {"sent": "perhaps", "id_sms_api": ["x"]}),
    ],
    ids=[
        "unknown is kept",
        "empty gives way",
        "the best name holds",
        "no is not empty",
        "no error is",
        "numbers and nulls",
        "unreadable is kept",
    ],
)
def test_a_row_is_split_into_known_and_other(row: Any, known: Any, extra: Any) -> None:
    assert WORDS.read(row) == (known, extra)


def test_a_documented_name_is_better_than_any_other() -> None:
    row = {"phone_number": "2", "PHONE": "1"}
    assert WORDS.read(row, {"phone"}) == ({"number": "1"}, {"phone_number": "2"})


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        (1, True),
        ("1", True),
        (True, True),
        ("success", True),
        ("OK", True),
        (" success ", True),
        (1.0, True),
        ("oui", True),
        ("non", False),
        (0, False),
        ("0", False),
        ("failed", False),
    ],
)
def test_a_flag_is_read_in_any_spelling(value: object, meaning: bool) -> None:
    assert _tolerant.flag(value) is meaning


NO_ERROR: list[object] = [[], "", {}, [[]], [{}], 0, "0", [0], False, None, "[]", "null"]


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        (["#001", 2], ("#001", "#002")),
        ("#006", ("#006",)),
        (" #006 ", ("#006",)),
        ([None, "", "#1"], ("#001",)),
        ([{"code": "#007"}], ("#007",)),
        ({"0": ["#001", {"1": 12}]}, ("#001", "#012")),
        ("no credit", ("no credit",)),
        (True, ("True",)),
        ([3.0, 0.5], ("#003", "0.5")),
        (["00", "#000", 0.0], ()),
        *((no_error, ()) for no_error in NO_ERROR),
    ],
)
def test_codes_are_read_from_any_wrapping_and_nothing_is_none(
    value: object, meaning: tuple[str, ...]
) -> None:
    assert _tolerant.codes(value) == meaning


def test_the_order_of_fields_decides_nothing() -> None:
    """Not even among spellings of one name: the documented one holds."""
    rows = [
        {"SENT": 0, "sent": 1, "Sent": 0},
        {"Sent": 0, "sent": 1, "SENT": 0},
        {"sent": 1, "SENT": 0, "Sent": 0},
    ]
    for row in rows:
        assert WORDS.read(row) == ({"sent": True}, {"SENT": 0, "Sent": 0})
    assert WORDS.read({"SENT": 1, "Sent": 0})[0] == WORDS.read({"Sent": 0, "SENT": 1})[0]


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ("2025-10-29T10:16:10.541Z", datetime(2025, 10, 29, 10, 16, 10, 541_000, UTC)),
        ("2025-10-29 10:16:10", datetime(2025, 10, 29, 10, 16, 10)),  # noqa: DTZ001 - the wire names no zone
        ("2025-10-29", datetime(2025, 10, 29)),  # noqa: DTZ001
    ],
)
def test_a_date_is_aware_if_it_says_so_and_midnight_without_a_time(
    value: str, meaning: datetime
) -> None:
    assert _tolerant.moment(value) == meaning


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (_tolerant.text, True),
        (_tolerant.text, []),
        (_tolerant.text, None),
        (_tolerant.whole, "many"),
        (_tolerant.flag, "maybe"),
        (_tolerant.flag, {}),
        (_tolerant.moment, "soon"),
        (_tolerant.moment, 5),
        (_tolerant.moment, "1702120112345"),
    ],
)
def test_what_cannot_be_read_is_a_value_error(read: Any, value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words are datetime's, int's or ours
        read(value)
