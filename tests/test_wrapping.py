"""Where in an answer the rows are, and what is said around them."""

from __future__ import annotations

from typing import Any

import pytest

from insim_async import _tolerant
from insim_async._tolerant import Words
from insim_async._wire.wrapping import find, says_failed, says_no, says_sent, spelled_codes

WORDS = Words(
    sms_id=(_tolerant.text, "id_sms_api"),
    number=(_tolerant.text, "phone_number phone"),
    sent=(_tolerant.flag, "sent"),
    errors=(_tolerant.codes, "errors error"),
)
ROW = {"id_sms_api": "a", "sent": 1}


@pytest.mark.parametrize(
    ("answer", "rows"),
    [
        ([ROW], [ROW]),
        (ROW, [ROW]),
        ({"data": [ROW, ROW]}, [ROW, ROW]),
        ({"data": {"data": [ROW], "envoi": 0}}, [ROW]),
        ({"DATA": ROW, "errors": [], "ok": True}, [ROW]),
        ({"errors": "none", "data": [ROW, ROW]}, [ROW, ROW]),
        (ROW | {"parts": [{"sent": 1}], "more": {}}, [ROW | {"parts": [{"sent": 1}], "more": {}}]),
        ([ROW, 5, None], [ROW, None, None]),
        ({"data": [5, ROW]}, [None, ROW]),
        ({"0": ROW, "2": ROW}, [ROW, ROW]),
        ({"data": {"0": ROW, "1": 5}}, [ROW, None]),
        ("text", [None]),
        (None, [None]),
        ([], []),
    ],
)
def test_objects_are_found_in_any_wrapper(answer: object, rows: Any) -> None:
    assert find(answer, WORDS, own="sms_id").rows == rows


REQUEST = {"phone_number": "1", "message": "a", "id_sms_api": "a"}


@pytest.mark.parametrize(
    ("answer", "rows"),
    [
        (
            ROW | {"request": REQUEST | {"errors": []}},
            [ROW | {"request": REQUEST | {"errors": []}}],
        ),
        ({"sent": 1, "data": [ROW]}, [ROW]),
        ({"id_sms_api": "a", "phone": "1", "data": {"sent": 1, "phone_number": "2"}}, None),
    ],
    ids=["what it was told", "a summary", "as much outside as inside"],
)
def test_what_decides_is_looked_for(answer: Any, rows: Any) -> None:
    assert find(answer, WORDS, own="sms_id").rows == (rows or [answer])


@pytest.mark.parametrize(
    "answer",
    [
        {"errors": ["#001"], "data": [ROW]},
        {"error": "credit exhausted", "data": [ROW]},
        {"sent": 0, "data": [ROW]},
        {"errors": ["#001"], "data": [ROW | {"sent": 0}]},
        {"success": False, "data": [ROW]},
        {"Result": "Failed", "data": [ROW]},
        {"envoi": 0.0, "data": [ROW]},
        {"STATUS": "ko", "data": [ROW]},
    ],
)
def test_a_wrapper_may_say_no(answer: object) -> None:
    (wrapper,) = find(answer, WORDS, own="sms_id").wrappers
    assert says_no(wrapper)


@pytest.mark.parametrize(
    "wrapper",
    [
        {"envoi": 1},
        {"status": {"code": 500}},
        {"Success": True, "errors": [], "ERROR": "none"},
        {"status": 200, "data": 0},
        {},
    ],
)
def test_a_wrapper_that_does_not_say_no(wrapper: dict[str, Any]) -> None:
    assert not says_no(wrapper)


@pytest.mark.parametrize(
    "answer", [{}, {"result": "no"}, {"a": [ROW], "b": [ROW]}, {"data": {}}, {"sent": {}}]
)
def test_an_answer_with_no_or_two_places_to_look_is_refused(answer: object) -> None:
    with pytest.raises(ValueError, match="documented"):
        find(answer, WORDS, own="sms_id")


@pytest.mark.parametrize(
    ("answer", "ordered", "first"),
    [
        ([ROW, 5], True, ROW),
        ({"1": 5, "0": ROW}, True, ROW),
        ({"0": ROW, "2": 5}, False, ROW),
        ({"100": 5, "101": ROW}, False, None),
        ({"33639980001": ROW}, False, ROW),
    ],
)
def test_the_fields_of_an_object_have_no_order_of_their_own(
    answer: Any, ordered: bool, first: Any
) -> None:
    found = find(answer, WORDS)
    assert (found.ordered, found.rows[0]) == (ordered, first)


@pytest.mark.parametrize(
    ("answer", "plain"),
    [
        ([ROW], True),
        ({"data": [ROW]}, True),
        ({"Data": {"DATA": [ROW], "envoi": 3}, "errors": [], "ok": "oui"}, True),
        ({"failed": [ROW]}, False),
        ({"data": [ROW], "status": "rejected"}, False),
        ({"data": [ROW], "code": 403}, False),
        ({"data": [ROW], "note": "for your eyes"}, False),
    ],
)
def test_a_wrapper_is_plain_that_holds_data_and_says_nothing_but_yes(
    answer: Any, plain: bool
) -> None:
    assert find(answer, WORDS).plain is plain


def test_a_row_with_an_id_is_never_a_wrapper() -> None:
    row = {"id_sms_api": "a", "status": "queued", "last": ROW | {"phone_number": "1"}}
    assert find(row, WORDS, own="sms_id").rows == [row]


def test_what_says_sent_and_failed() -> None:
    assert [says_sent({"envoi": value}) for value in (0, 1, 3, "oui", "")] == [
        False,
        True,
        True,
        True,
        False,
    ]
    assert [
        says_failed(row) for row in ({"success": False}, {"result": "failed"}, {"status": 0}, {})
    ] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("error", "codes"),
    [
        (["#001", "#006"], ["#001", "#006"]),
        ("#001", ["#001"]),
        ([1, "2", 500], []),
        ("#timeout", []),
        ("#001 invalid", []),
        ({"code": "#007"}, ["#007"]),
    ],
)
def test_a_code_is_spelled_out_or_it_is_none(error: object, codes: list[str]) -> None:
    assert spelled_codes({"Error": error}) == codes
