"""The vendor's language, pinned by its published payloads."""

from __future__ import annotations

import copy
import json
import pickle
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insim_async import (
    AuthenticationFailed,
    Contact,
    ContactResult,
    InSimError,
    OutcomeUnknown,
    Refused,
    SmsReceipt,
    Status,
    _tolerant,
)
from insim_async._wire import (
    Account,
    Message,
    Receipts,
    fast,
    matching,
    read_call,
    read_contacts,
    read_receipts,
    wrapping,
)
from insim_async._wire.answers import receipt_rows, result_rows

DATA = Path(__file__).parent / "data"
NUMBERS = [f"+3363998000{n}" for n in range(10)]


def result_rows_of(body: bytes) -> list[Any]:
    results, _ = result_rows(body)
    return results


def vectors(name: str) -> list[Any]:
    found = json.loads((DATA / f"{name}.json").read_text("utf-8"))
    return [pytest.param(vector, id=vector["name"]) for vector in found]


def plain(value: Any) -> Any:
    return (
        value.isoformat()
        if isinstance(value, datetime)
        else list(value)
        if isinstance(value, tuple)
        else value
    )


def encoded(value: object) -> bytes:
    return msgspec.json.encode(value)


def row(number: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "id_sms_api": f"id{number}",
        "sms_per_message": 1,
        "user": "me@example.com",
        "sent_time": "2025-10-29T10:16:10.541Z",
        "phone_number": NUMBERS[number],
        "message": "Hello",
        "sent": 1,
    } | changes


class Markup(str):
    """Text as web frameworks mark it."""

    __slots__ = ()


def test_a_subclass_of_text_is_written_as_text() -> None:
    message = Message(Markup(NUMBERS[0]), Markup("Hello"), Markup("id0"))
    account = Account(Markup("me"), Markup("key"))
    assert json.loads(account.messages([message]))["messages"][0]["message"] == "Hello"
    assert (
        json.loads(account.contacts([Contact(NUMBERS[0], first_name=Markup("Zoé"))]))["contacts"][
            0
        ]["firstname"]
        == "Zoé"
    )
    assert json.loads(account.call(Markup(NUMBERS[0])))["header"]["phone_number"] == NUMBERS[0]


class TestPublishedAnswers:
    @pytest.mark.parametrize("vector", vectors("sendsms"))
    def test_receipts(self, vector: dict[str, Any]) -> None:
        receipts = receipt_rows(encoded(vector["response"])).receipts
        for receipt, expected in zip(receipts, vector["receipts"], strict=True):
            assert {name: plain(getattr(receipt, name)) for name in expected} == expected

    @pytest.mark.parametrize("vector", vectors("contact"))
    def test_contacts(self, vector: dict[str, Any]) -> None:
        results = result_rows_of(encoded(vector["response"]))
        for result, expected in zip(results, vector["results"], strict=True):
            assert {name: plain(getattr(result, name)) for name in expected} == expected

    @pytest.mark.parametrize("vector", vectors("click_to_call"))
    def test_calls(self, vector: dict[str, Any]) -> None:
        result = read_call(encoded(vector["response"]))
        assert {name: plain(getattr(result, name)) for name in vector["result"]} == vector["result"]


class TestRequests:
    def test_messages(self) -> None:
        (vector, *_) = json.loads((DATA / "sendsms.json").read_text("utf-8"))
        first, second = vector["request_messages"]
        body = Account("me", "key").messages(
            [
                Message(
                    first["phone_number"],
                    first["message"],
                    "id0",
                    first["url"],
                    2,
                    first["date_to_send"],
                ),
                Message(second["phone_number"], second["message"], "id1"),
            ]
        )
        assert json.loads(body) == {
            "header": {"login": "me", "accessKey": "key"},
            "messages": [
                first | {"id_sms_api": "id0", "priorite": 2},
                {
                    "phone_number": second["phone_number"],
                    "message": second["message"],
                    "id_sms_api": "id1",
                },
            ],
        }

    def test_contacts(self) -> None:
        body = Account("me", "key").contacts(
            [
                Contact(NUMBERS[0]),
                Contact(NUMBERS[1], first_name="A", last_name="B", address="C", email="D"),
            ]
        )
        assert json.loads(body)["contacts"] == [
            {"phone_number": NUMBERS[0], "firstname": "", "lastname": ""},
            {
                "phone_number": NUMBERS[1],
                "firstname": "A",
                "lastname": "B",
                "adress": "C",
                "email": "D",
            },
        ]

    def test_a_call_has_everything_in_its_header(self) -> None:
        assert json.loads(Account("me", "key").call(NUMBERS[0])) == {
            "header": {
                "login": "me",
                "accessKey": "key",
                "type": "clicToCall",
                "phone_number": NUMBERS[0],
            }
        }

    def test_a_dry_run_says_so(self) -> None:
        assert (
            json.loads(Account("me", "key", dry_run=True).messages([]))["header"]["mode"] == "test"
        )

    @pytest.mark.parametrize("count", [1, 3, 500])
    @pytest.mark.parametrize("length", [1, 160, 5_000])
    def test_any_length_of_text_goes_out_whole(self, count: int, length: int) -> None:
        messages = [Message(NUMBERS[0], "é" * length, f"id{place}") for place in range(count)]
        body = Account("me", "key").messages(messages)
        assert type(body) is bytes
        assert json.loads(body) == {
            "header": {"login": "me", "accessKey": "key"},
            "messages": [msgspec.to_builtins(message) for message in messages],
        }

    @given(st.text(st.characters(exclude_categories=["Cs"])))
    def test_any_text_goes_out_as_it_is(self, text: str) -> None:
        body = Account("me", "key").messages([Message(NUMBERS[0], text, "id0")])
        assert json.loads(body)["messages"][0]["message"] == text

    def test_the_key_is_neither_shown_nor_pickled_nor_copied(self) -> None:
        account = Account("me", "secret-key")
        assert "secret" not in repr(account)
        for spread in (pickle.dumps, copy.copy):
            with pytest.raises(TypeError, match="not pickled"):
                spread(account)


OLDER = {
    "ID_SMS_API": 5,
    "count_sms": "2",
    "send_time": "2025-10-29 10:16:10",
    "phone": NUMBERS[0],
    "sms": "Hi",
    "SENT": "1",
}


class TestOtherSpellings:
    @pytest.mark.parametrize(
        "answer",
        [
            [OLDER],
            OLDER,
            {"data": [OLDER]},
            {"data": {"data": [OLDER]}},
            {"Data": OLDER, "envoi": 1},
        ],
        ids=["a list", "an object", "in data", "twice in data", "an object in data"],
    )
    def test_a_receipt_in_the_older_spelling(self, answer: object) -> None:
        (receipt,) = receipt_rows(encoded(answer)).receipts
        assert receipt == SmsReceipt(
            sms_id="5",
            phone_number=NUMBERS[0],
            message="Hi",
            parts=2,
            sent=True,
            sent_at=datetime(2025, 10, 29, 10, 16, 10),  # noqa: DTZ001 - the wire names no zone
            account="",
        )

    @pytest.mark.parametrize(
        ("changes", "name", "value"),
        [
            ({"sent": "1"}, "sent", True),
            ({"sent": "0"}, "sent", False),
            ({"sent": True}, "sent", True),
            ({"sent": 1.0}, "sent", True),
            ({"sent": 0.0}, "sent", False),
            ({"phone_number": 33639980000.0}, "phone_number", "33639980000"),
            ({"id_sms_api": 5.0}, "sms_id", "5"),
            ({"sms_per_message": 3.0}, "parts", 3),
            ({"sms_per_message": "many"}, "parts", 0),
            ({"sent_time": 1761732970}, "sent_at", datetime(2025, 10, 29, 10, 16, 10, tzinfo=UTC)),
            ({"sms_per_message": "3"}, "parts", 3),
            ({"sms_per_message": None}, "parts", 0),
            ({"id_sms_api": 12}, "sms_id", "12"),
            ({"sent_time": "yesterday"}, "sent_at", None),
            ({"sent_time": ""}, "sent_at", None),
            ({"error": ["#003"]}, "errors", ("#003",)),
            ({"sent": None, "ERRORS": "#003"}, "errors", ("#003",)),
            *(({name: ["#003"]}, "errors", ("#003",)) for name in ("error", "ERROR", "ERRORS")),
            ({"errors": ["#003"]}, "errors", ("#003",)),
            ({"errors": ["003 "]}, "errors", ("#003",)),
            ({"errors": [{"code": "#003"}]}, "errors", ("#003",)),
            ({"errors": {"0": "#003"}}, "errors", ("#003",)),
            ({"errors": True}, "errors", ("True",)),
            ({"errors": ["0"]}, "errors", ()),
            ({"error": 0}, "errors", ()),
        ],
    )
    def test_a_receipt_that_differs_in_one_field(
        self, changes: dict[str, Any], name: str, value: object
    ) -> None:
        (receipt,) = receipt_rows(encoded([row() | changes])).receipts
        assert getattr(receipt, name) == value

    @pytest.mark.parametrize("spelling", ["firstname", "first_name", "firstName", "FIRST_NAME"])
    def test_a_contact_in_any_spelling(self, spelling: str) -> None:
        (result,) = result_rows_of(
            encoded([{spelling: "Zoé", "phone": NUMBERS[0], "RESULT": "success", "id": 5}])
        )
        assert result == ContactResult(NUMBERS[0], "Zoé", ok=True, extra={"id": 5})

    def test_a_call_as_one_object(self) -> None:
        assert read_call(b'{"RESULT": "Failed", "error": "#002", "id": 1}').errors == ("#002",)


class TestMoreFields:
    @pytest.mark.parametrize(
        "changes",
        [
            {"cost": 5},
            {"cost": 5, "error_count": 0},
            {"cost": 5, "sent": "1", "ID": None, "ID_SMS_API": "x"},
            {"cost": 5, "extra": {"deep": 1}},
            {"cost": 5, "extra": None, "(extra)": None},
        ],
    )
    def test_unknown_fields_are_kept_for_each_receipt(self, changes: dict[str, Any]) -> None:
        body = encoded([row(0) | changes, row(1) | changes | {"cost": 6}])
        read = read_receipts(MESSAGES[:2], body)
        assert read.errors is None or set(read.errors) == {None}
        assert [receipt.extra for receipt in read.receipts if receipt] == [
            {name: value for name, value in (changes | {"cost": cost}).items() if name != "sent"}
            for cost in (5, 6)
        ]
        assert all(receipt == SmsReceipt(**facts(receipt)) for receipt in read.receipts)

    def test_each_row_has_its_own_though_both_have_one_id(self) -> None:
        read = read_receipts(MESSAGES[:1], encoded([row(0, cost=5), row(0, cost=6)]))
        assert [receipt.extra for receipt in read.receipts if receipt] == [{"cost": 5}]
        rows = receipt_rows(encoded([row(0, cost=5), row(0, cost=6)])).receipts
        assert [receipt.extra for receipt in rows if receipt] == [{"cost": 5}, {"cost": 6}]

    @pytest.mark.parametrize("name", ["extra", "(extra)"])
    def test_a_field_is_kept_whatever_its_name(self, name: str) -> None:
        (receipt,) = read_receipts(MESSAGES[:1], encoded([row() | {name: None}])).receipts
        assert receipt is not None
        assert receipt.extra == {name: None}

    def test_a_receipt_read_to_the_letter_has_none(self) -> None:
        (receipt,) = read_receipts(MESSAGES[:1], encoded([row()])).receipts
        assert receipt is not None
        assert receipt.extra == {}

    def test_a_receipt_from_the_wire_travels_by_pickle(self) -> None:
        (receipt,) = read_receipts(MESSAGES[:1], encoded([row(cost=5)])).receipts
        again = pickle.loads(pickle.dumps(receipt))
        assert (again, again.extra) == (receipt, {"cost": 5})


class TestJson:
    """However a receipt was spelled, msgspec writes it as it is documented, and reads it again."""

    @pytest.mark.parametrize(
        ("changes", "more"),
        [
            ({}, {}),
            ({"cost": 5}, {"extra": {}}),
            ({"SENT": "1", "Phone": "0"}, {"extra": {}}),
            ({"sent": "1", "sent_time": "2025-10-29T10:16:10.541+00:00"}, {}),
        ],
        ids=["to the letter", "with more", "twice", "in other words"],
    )
    def test_is_the_documented_row(self, changes: dict[str, Any], more: dict[str, Any]) -> None:
        for receipt in read_receipts(
            MESSAGES[:2], encoded([row(0) | changes, row(1) | changes])
        ).receipts:
            assert receipt is not None
            for _ in range(2):
                written = msgspec.json.encode(receipt)
                documented = {"sent": True, "sent_time": "2025-10-29T10:16:10.541000Z"}
                assert json.loads(written) == row(int(receipt.sms_id[-1])) | documented | more
                assert msgspec.json.decode(written, type=SmsReceipt) == receipt
                # The second time it has been looked at before.
                assert set(receipt.extra) == set(changes) - {
                    "sent",
                    "sent_time",
                }

    def test_says_why_it_was_not_sent(self) -> None:
        (receipt,) = receipt_rows(encoded([row(sent=0, error=["#003"])])).receipts
        assert json.loads(msgspec.json.encode(receipt))["errors"] == ["#003"]


def facts(receipt: SmsReceipt | None) -> dict[str, Any]:
    assert receipt is not None
    return {
        name: getattr(receipt, name) for name in SmsReceipt.__struct_fields__ if name != "_more"
    }


@pytest.mark.parametrize("decode", [receipt_rows, result_rows, read_call])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"<html>Sign in</html>",
        b'[{"sent": 1, "result": "success"',
        b"\xef\xbb\xbf[]",
        b'[{"message": "caf\xe9", "sent": 1, "result": "success"}]',
        b"5",
        b"{}",
        b'{"error": "busy"}',
        b'{"error": 1}',
        b'[{"message": "hello"}]',
        b"[" * 100_000,
        b"[{}, {}]",
    ],
    ids=repr,
)
def test_what_is_no_answer_is_refused_as_a_whole(decode: Any, body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any words will do: they go into an OutcomeUnknown
        decode(body)


@pytest.mark.parametrize("more", [{}, {"operator": "Exemple"}], ids=["plain", "more"])
def test_an_answer_with_a_byte_that_is_no_utf8_is_not_read_fast(more: dict[str, str]) -> None:
    body = encoded([row(0, **more)])
    assert fast.documented(body) is not None
    for place in range(len(body)):
        assert fast.documented(body[:place] + b"\xff" + body[place + 1 :]) is None, place


def test_a_row_that_says_nothing_leaves_the_others_readable() -> None:
    receipts = receipt_rows(encoded([row(0), {"id_sms_api": "id1"}, 7])).receipts
    assert [receipt and receipt.sms_id for receipt in receipts] == ["id0", None, None]


MESSAGES = [Message(NUMBERS[n], "Hello", f"id{n}") for n in range(3)]
S, R, A, U = Status.SENT, Status.REFUSED, AuthenticationFailed, Status.UNKNOWN


def older(number: int, **changes: Any) -> dict[str, Any]:
    """Return what the older pages document of a message that was taken."""
    return {
        "id_sms_api": "0",
        "count_sms": 1,
        "user": "me@example.com",
        "send_time": "2025-10-29 10:16:10",
        "phone": NUMBERS[number],
        "sms": "Hello",
    } | changes


def refusal(place: object, *codes: str) -> dict[str, Any]:
    """Return what the older pages document of a message that was refused."""
    return {"id_sms_api": place, "error": list(codes)}


def statuses(messages: list[Message], answer: object) -> list[object]:
    """Say how each message ended; of a refused login that it was one."""
    try:
        read = read_receipts(messages, encoded(answer))
    except ValueError:
        return [U] * len(messages)
    errors = read.errors or [None] * len(read.receipts)
    return [A if type(error) is A else status_of(error) for error in errors]


def status_of(error: InSimError | None) -> Status:
    return S if error is None else R if isinstance(error, Refused) else U


MATCHES: dict[str, tuple[Any, list[object]]] = {
    "as sent": ([row(0), row(1), row(2)], [S, S, S]),
    "permuted": ([row(2), row(0), row(1, sent=0)], [S, R, S]),
    "one missing": ([row(0), row(2)], [S, U, S]),
    "one repeated": ([row(0), row(0), row(1), row(2)], [S, S, S]),
    "one contradicted": ([row(0), row(0, sent=0), row(1), row(2)], [U, S, S]),
    "refused twice, for different reasons": (
        [row(0, sent=0), row(0, sent=0, error="#003"), row(1), row(2)],
        [R, S, S],
    ),
    "one foreign": ([row(0), row(1, id_sms_api="x"), row(2)], [S, U, S]),
    "more than asked": ([row(0), row(1), row(2), row(3)], [S, S, S]),
    "ids of their own": ([row(n, id_sms_api=f"x{n}") for n in range(3)], [S, S, S]),
    "no ids": ([row(n, id_sms_api="") for n in range(3)], [S, S, S]),
    "one without an id": ([row(0), row(1, id_sms_api=""), row(2)], [S, S, S]),
    "one with a placeholder": ([row(0), row(1, id_sms_api=0), row(2)], [S, S, S]),
    "one with its index": ([row(0), row(1, id_sms_api="1"), row(2)], [S, S, S]),
    "one with another's index": ([row(0), row(1, id_sms_api="2"), row(2)], [S, U, S]),
    "ids of their own, permuted": ([row(n, id_sms_api=f"x{n}") for n in (1, 0, 2)], [U, U, S]),
    "ids of their own, one missing": ([row(n, id_sms_api=f"x{n}") for n in (0, 1)], [U, U, U]),
    "the older refusal": ([refusal(n, "#006") for n in range(3)], [R, R, R]),
    "the older success": ({"data": [older(0), older(1), older(2)]}, [S, S, S]),
    "the older success, numbers as numbers": (
        [older(n, phone=float(NUMBERS[n])) for n in range(3)],
        [S, S, S],
    ),
    "the older success, with more": ([older(0, cost=1), older(1), older(2)], [U, S, S]),
    "the older success, with less": ([older(0), {**older(1), "sms": ""}, older(2)], [S, U, S]),
    "the older success, no part of it": ([older(0), older(1), older(2, count_sms=0)], [S, S, U]),
    "the older success, unreadable": ([older(0), older(1), older(2, send_time="soon")], [S, S, U]),
    "the older success, in other words": (
        [{**older(0), "SMS": "Hello"}, older(1), older(2)],
        [U, S, S],
    ),
    "the older success in what says no": (
        {"data": {"data": [older(0), older(1), older(2)]}, "envoi": 0},
        [U, U, U],
    ),
    "older, mixed": ([row(0), refusal(0, "#007"), row(2)], [S, R, S]),
    "older, mixed and permuted": ([row(2), refusal(0, "#007"), row(0)], [S, U, S]),
    "refused without a number, in order": (
        [row(0, id_sms_api=""), refusal(1, "#006"), row(2, id_sms_api="")],
        [S, R, S],
    ),
    "refused without a number, out of order": (
        [row(1, id_sms_api=""), refusal(1, "#006"), row(2, id_sms_api="")],
        [U, U, S],
    ),
    "sent, but to nobody": ([{"id_sms_api": n, "sent": 1} for n in range(3)], [U, U, U]),
    "our ids for other numbers": ([row(n, id_sms_api=f"id{n - 1}") for n in range(3)], [U, U, U]),
    "an id and no number": (
        [row(0), row(1, phone_number=""), row(2, phone_number="+336XXXX02")],
        [S, S, S],
    ),
    "one that says nothing": ([row(0), {"id_sms_api": "id1"}, row(2)], [S, U, S]),
    "national numbers": (
        [row(n, id_sms_api="", phone_number=f"063998000{n}") for n in range(3)],
        [S, S, S],
    ),
    "numbers percent-encoded": (
        [row(n, id_sms_api="", phone_number=f"%2B3363998000{n}") for n in range(3)],
        [S] * 3,
    ),
    "numbers with a zero": (
        [row(n, id_sms_api="", phone_number=f"+33(0)6 39 98 00 0{n}") for n in range(3)],
        [S] * 3,
    ),
    "numbers as fractions": (
        [row(n, phone_number=f"3363998000{n}.0") for n in range(3)],
        [S, S, S],
    ),
    "numbers as floats": (
        [row(n, phone_number=float(NUMBERS[n]), sent=1.0) for n in range(3)],
        [S, S, S],
    ),
    "sent, with a code": ([row(0), row(1, error=["#003"]), row(2)], [S, U, S]),
    "a wrapper that says no, beside yes": (
        {"success": False, "data": [row(0), row(1), row(2, sent=0)]},
        [U, U, R],
    ),
    "a wrapper that failed": ({"result": "failed", "data": [row(n) for n in range(3)]}, [U, U, U]),
    "a wrapper that sent nothing": (
        {"data": {"data": [row(n) for n in range(3)]}, "envoi": 0},
        [U, U, U],
    ),
    "a wrapper that says yes": (
        {"data": {"data": [row(n) for n in range(3)]}, "envoi": 3},
        [S, S, S],
    ),
    "a wrapper with a code": (
        {"errors": ["#004"], "data": [row(0), row(1, sent=0), row(2)]},
        [U, R, U],
    ),
    "the account, in one row": ({"data": {"data": [refusal(0, "#001")], "envoi": 0}}, [A, A, A]),
    "the account, in each row": ([refusal(n, "#001") for n in range(3)], [A, A, A]),
    "the account, around no rows": ({"result": "failed", "errors": ["#002"]}, [A, A, A]),
    "the account, around refused rows": (
        {"errors": "#001", "data": [refusal(n, "#006") for n in range(3)]},
        [A, A, A],
    ),
    "the account, around rows that were taken": (
        {"errors": ["#001"], "data": [row(n) for n in range(3)]},
        [U, U, U],
    ),
    "the account, in a row of three": (
        [row(0, sent=0), row(1, error="#001", sent=0), row(2, sent=0)],
        [R, A, R],
    ),
    "the account, in a row beside some that were taken": (
        [row(0), row(1, error="#001", sent=0), row(2)],
        [S, R, S],
    ),
    "the account, beside what says nothing": (
        [7, row(1, error="#001", sent=0), row(2, sent=0)],
        [U, R, R],
    ),
    "the account, of one message alone": (
        [{"id_sms_api": "x", "phone_number": NUMBERS[1], "sent": 0, "error": "#001"}],
        [U, U, U],
    ),
    "foreign ids and no numbers": (
        [{"id_sms_api": f"x{n}", "sent": 0} for n in range(3)],
        [U, U, U],
    ),
    "an object in place of a list": ({"2": row(2), "0": row(0, sent=0), "1": row(1)}, [R, S, S]),
    "an object by ids": ({"102": {"sent": 1}, "101": {"sent": 0}, "100": {"sent": 0}}, [U, U, U]),
    "a number that is no code": ({"error": 1, "data": [refusal(0)]}, [U, U, U]),
}


@pytest.mark.parametrize(("answer", "expected"), MATCHES.values(), ids=MATCHES)
def test_receipts_are_matched_by_id_else_by_position_and_number(
    answer: Any, expected: list[object]
) -> None:
    assert statuses(MESSAGES, answer) == expected


TWINS = [Message(NUMBERS[0], text, sms_id) for text, sms_id in (("One", "id0"), ("Two", "id1"))]
SMALL_IDS = [Message(NUMBERS[0], text, sms_id) for text, sms_id in (("One", "1"), ("Two", "2"))]


@pytest.mark.parametrize(
    "rows",
    [
        [row(0, id_sms_api=0), row(0, id_sms_api=1, sent=0)],
        [row(0, id_sms_api=0, sent=0), row(0, id_sms_api=1)],
    ],
)
def test_an_index_is_not_taken_for_an_id(rows: Any) -> None:
    """Callers have ids such as 1 and 2, and to one number nothing else tells the rows apart."""
    assert statuses(SMALL_IDS, rows) == [U, U]


OF_ONE_NUMBER: dict[str, tuple[Any, list[object]]] = {
    "by id": ([row(0), row(0, id_sms_api="id1", sent=0)], [S, R]),
    "foreign ids, one fate": ([row(0, id_sms_api="x"), row(0, id_sms_api="y")], [S, S]),
    "foreign ids, two fates": ([row(0, id_sms_api="x"), row(0, id_sms_api="y", sent=0)], [U, U]),
    "foreign ids, both refused": (
        [row(0, id_sms_api="x", sent=0), row(0, id_sms_api="y", sent=0)],
        [R, R],
    ),
    "no ids, one says nothing": ([row(0, id_sms_api=""), 7], [U, U]),
    "one by its id": ([row(0), refusal(1, "#006")], [S, R]),
}


@pytest.mark.parametrize(("rows", "expected"), OF_ONE_NUMBER.values(), ids=OF_ONE_NUMBER)
def test_of_two_messages_to_one_number_none_takes_the_others_receipt(
    rows: Any, expected: list[object]
) -> None:
    assert statuses(TWINS, rows) == expected


MAYOTTE = [Message("+33639980001", "Hi", "id0"), Message("+262639980001", "Hi", "id1")]
LOOK_ALIKE: dict[str, tuple[Any, list[object]]] = {
    "alike": (
        [
            row(0, id_sms_api="x", phone_number="0639980001"),
            row(0, id_sms_api="y", phone_number="0639980001"),
        ],
        [S, S],
    ),
    "not alike": (
        [
            row(0, id_sms_api="x", phone_number="0639980001", sent=0),
            row(0, id_sms_api="y", phone_number="0639980001"),
        ],
        [U, U],
    ),
    "one refused": (
        [refusal(0, "#007"), row(0, id_sms_api="x", phone_number="0639980001")],
        [U, U],
    ),
    "whole": (
        [
            row(0, id_sms_api="x", sent=0, phone_number="+33639980001"),
            row(0, id_sms_api="y", phone_number="+262639980001"),
        ],
        [R, S],
    ),
}


@pytest.mark.parametrize(("rows", "expected"), LOOK_ALIKE.values(), ids=LOOK_ALIKE)
def test_numbers_that_look_alike_without_their_country_code_are_not_told_apart(
    rows: Any, expected: list[object]
) -> None:
    assert statuses(MAYOTTE, rows) == expected


OWN_IDS = [Message(NUMBERS[n], "Hello", sms_id) for n, sms_id in enumerate(("1", "0"))]
LIKE_PLACEHOLDERS: dict[str, tuple[Any, list[object]]] = {
    "as ids": ([row(0, id_sms_api="1"), row(1, id_sms_api="0", sent=0)], [S, R]),
    "as placeholders, alike": ([refusal(0, "#006"), refusal(1, "#006")], [R, R]),
    "as placeholders, one of them": ([refusal(0, "#006"), row(1, id_sms_api=1)], [R, S]),
    "as indices from 1": ([row(0, id_sms_api=1, sent=0), row(1, id_sms_api=2)], [R, S]),
    "of one, and the index of both": ([refusal(1, "#006"), row(1, id_sms_api="2")], [R, S]),
    "as ids, permuted": ([row(1, id_sms_api="0", sent=0), row(0, id_sms_api="1")], [S, R]),
}


@pytest.mark.parametrize(("rows", "expected"), LIKE_PLACEHOLDERS.values(), ids=LIKE_PLACEHOLDERS)
def test_an_id_that_could_be_a_placeholder_counts_where_the_number_says_so(
    rows: Any, expected: list[object]
) -> None:
    assert statuses(OWN_IDS, rows) == expected


ONE: dict[str, tuple[Any, list[object]]] = {
    "an object": (row(0), [S]),
    "the older object": (older(0), [S]),
    "a code": ({"error": ["#004"]}, [R]),
    "a refused login": ({"errors": ["#001"]}, [A]),
    "an object that says no as well": (row(0, result="failed"), [U]),
    "taken, by a placeholder": ([row(0, id_sms_api=0)], [S]),
    "a number that may be anything": ([{"id_sms_api": 0, "error": [7]}], [U]),
    "a flag that something failed": ([{**row(0), "sent": None, "error": 1}], [U]),
    "a word that is no code": ([{**row(0), "sent": None, "error": "#timeout"}], [U]),
    "a code beside a flag that cannot be read": ([row(0, sent="queued", error=["#004"])], [U]),
    "a refusal in what says that one was sent": ({"data": [refusal(0, "#006")], "envoi": 1}, [U]),
    "a row that says no as well": ([row(0, success=False)], [U]),
    "an older row under a name that says no": ({"failed": [older(0)]}, [U]),
    "an older row beside what says no": ({"code": 403, "data": [older(0)]}, [U]),
    "sent by a server that failed": ({"status": 500, "data": [row(0)]}, [U]),
    "sent, and nothing where yes belongs": ({"success": "", "data": [row(0)]}, [U]),
    "a row inside the row": ({"id_sms_api": "id0", "status": "queued", "last": row(1)}, [U]),
    "a second row that cannot be read": ([row(0), {"id_sms_api": "id0", "error": "timeout"}], [U]),
    "a date at the end of time": ([row(0, sent_time=253402300800)], [S]),
    "any number in a row of its own": ([row(0), {"id_sms_api": 0, "error": [500]}], [S]),
}


@pytest.mark.parametrize(("answer", "expected"), ONE.values(), ids=ONE)
def test_one_message_may_be_answered_by_one_object(answer: Any, expected: list[object]) -> None:
    assert statuses(MESSAGES[:1], answer) == expected


ALL_SENT: list[tuple[Any, bool]] = [
    ([row(0), row(1), row(2)], True),
    ([row(0), row(1, cost=5), row(2)], True),
    ([row(0), row(1)], False),
    ([], False),
    ([row(0), row(2), row(1)], False),
    ([row(0), 5, row(2)], False),
    ([row(0), row(1), row(2, sent=0)], False),
    ([row(0), row(1), row(2, errors=["#003"])], False),
    ([row(0), row(1), row(2, phone_number=NUMBERS[1])], False),
]


@pytest.mark.parametrize(("rows", "all_sent"), ALL_SENT)
def test_all_are_sent_only_where_nothing_is_to_be_looked_at(rows: Any, all_sent: bool) -> None:
    assert (fast.all_sent(MESSAGES, encoded(rows)) is not None) is all_sent


@pytest.mark.parametrize("name", sorted(wrapping.ERRORS | wrapping.OUTCOMES))
def test_a_field_that_may_say_no_is_looked_at_unless_it_is_null(name: str) -> None:
    odd = row(2, cost=5) | {name: 7}
    assert fast.all_sent(MESSAGES, encoded([row(0), row(1), odd])) is None
    if name != "errors":
        assert fast.all_sent(MESSAGES, encoded([row(0), row(1), odd | {name: None}])) is not None


@pytest.mark.parametrize("name", sorted(wrapping.ERRORS | wrapping.OUTCOMES))
@pytest.mark.parametrize("value", [None, "", [], {}, False, 0, "0", "no", "ok", True, 1, "#003"])
def test_whatever_it_says_the_short_way_agrees_with_the_long_one(name: str, value: Any) -> None:
    body = encoded([row(0), row(1, cost=5) | {name: value}, row(2)])
    if (quickly := fast.all_sent(MESSAGES, body)) is not None:
        assert slowly(body, MESSAGES) == (quickly, [None, None, None])


@pytest.mark.parametrize("digits", [100, 639, 640, 4300, 5000])
def test_a_number_that_python_may_not_read_is_looked_at(digits: int) -> None:
    body = encoded([row(0, cost="?")]).replace(b'"?"', b"7" * digits)
    quickly = fast.all_sent(MESSAGES[:1], body)
    assert (quickly is not None) is (digits < 640)
    if quickly is None and digits > sys.int_info.default_max_str_digits:
        with pytest.raises(ValueError, match="not a whole JSON document"):
            slowly(body, MESSAGES[:1])
    else:
        (receipt,) = read_receipts(MESSAGES[:1], body).receipts
        assert receipt is not None
        assert receipt.extra == {"cost": int("7" * digits)}


@pytest.mark.parametrize(
    ("changes", "name"),
    [({"message": "", "SMS": "Hi"}, "message"), ({"user": "", "USER": "Hi"}, "account")],
)
def test_an_empty_field_gives_way_to_one_of_another_name(
    changes: dict[str, Any], name: str
) -> None:
    (receipt,) = read_receipts(MESSAGES[:1], encoded([row(cost=5) | changes])).receipts
    assert getattr(receipt, name) == "Hi"


@pytest.mark.parametrize("odd", [{}, {"sent": "x"}], ids=["read", "not read"])
def test_an_answer_is_let_go_once_it_was_looked_at(odd: dict[str, Any]) -> None:
    body = encoded([row(0, cost=5) | odd])
    held = sys.getrefcount(body)
    fast.documented(body)
    assert sys.getrefcount(body) == held


def slowly(body: bytes, messages: list[Message]) -> Receipts | None:
    """Read an answer with the short way cut off."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "all_sent", lambda messages, body: None)
        return read_receipts(messages, body)


ODD: list[Any] = [
    1,
    0,
    "1",
    "0",
    1.0,
    2.5,
    True,
    None,
    "",
    "x",
    [],
    {},
    ["#003"],
    1702120112,
    NUMBERS[0],
    "5",
]
VALUES = st.sampled_from(ODD)
NAMES = sorted(
    {spelling for name in row() for spelling in _tolerant.spellings(name)}
    | {"cost", "extra", "(extra)", "count_sms", "send_time", "phone", "sms", "result", "success"}
    | _tolerant.spellings("errors")
    | _tolerant.spellings("error")
)
CHANGES = st.dictionaries(
    st.one_of(st.sampled_from(sorted(row())), st.sampled_from(NAMES)), VALUES, max_size=3
)


@given(st.lists(CHANGES, min_size=1, max_size=3))
def test_the_short_way_reads_receipts_as_the_long_one(changes: list[dict[str, Any]]) -> None:
    messages = MESSAGES[: len(changes)]
    body = encoded([row(place) | change for place, change in enumerate(changes)])
    if (quickly := fast.all_sent(messages, body)) is not None:
        read = slowly(body, messages)
        assert read is not None
        assert read.receipts == quickly
        assert set(read.errors or ()) == {None}
        assert [each.extra for each in read.receipts if each] == [each.extra for each in quickly]


RESULT_NAMES = [
    "firstname",
    "lastname",
    "phonenumber",
    "first_name",
    "last_name",
    "phone_number",
    "adress",
    "email",
]
RESULTS = st.fixed_dictionaries(
    {"result": st.sampled_from(["success", "failed", "", 1])},
    optional={
        **{name: st.sampled_from(["", "Zoé", NUMBERS[0], "#001"]) for name in RESULT_NAMES},
        "errors": st.sampled_from([[], ["#001"], ["#004"], ["#004", "#003"], ["#009"], "x"]),
        "error": st.sampled_from([[], ["#001"]]),
    },
)


@given(st.lists(RESULTS, max_size=3))
def test_the_short_way_reads_results_as_the_long_one(results: list[dict[str, Any]]) -> None:
    body = encoded({"data": {"contact": results}})
    if (quickly := fast.plain_results(body)) is not None:
        assert result_rows_of(body) == quickly


@pytest.mark.parametrize("vector", vectors("contact"))
def test_results_as_documented_go_the_short_way(vector: dict[str, Any]) -> None:
    assert fast.plain_results(encoded(vector["response"])) == result_rows_of(
        encoded(vector["response"])
    )


SPELLINGS = {
    "success": ["firstname", "lastname", "phonenumber"],
    "failed": ["first_name", "last_name", "phone_number"],
}


@pytest.mark.parametrize("result", SPELLINGS)
@pytest.mark.parametrize("name", [name for names in SPELLINGS.values() for name in names])
def test_a_result_has_the_names_of_its_kind_or_is_looked_at(result: str, name: str) -> None:
    """And costs the whole answer its short way."""
    rows = [{"result": "success", "phonenumber": NUMBERS[0]}, {"result": result, name: "Zoé"}]
    quickly = fast.plain_results(encoded({"data": {"contact": rows}}))
    assert (quickly is not None) is (name in SPELLINGS[result])


@pytest.mark.parametrize("answer", [{}, {"data": {}}, {"data": {"contact": []}}], ids=str)
def test_an_answer_without_results_is_looked_at(answer: dict[str, Any]) -> None:
    assert fast.plain_results(encoded(answer)) is None


@pytest.mark.parametrize(
    ("mixed", "known", "extra"),
    [
        ({"first_name": "Zoe"}, ("Zoe", NUMBERS[0]), {"firstname": "Zoé"}),
        ({"phone_number": NUMBERS[1]}, ("Zoé", NUMBERS[1]), {"phonenumber": NUMBERS[0]}),
        ({"id": 1}, ("Zoé", NUMBERS[0]), {"id": 1}),
    ],
)
def test_results_in_both_spellings_are_looked_at(
    mixed: Any, known: tuple[str, str], extra: dict[str, Any]
) -> None:
    success = {"firstname": "Zoé", "lastname": "", "phonenumber": NUMBERS[0], "result": "success"}
    body = encoded({"data": {"contact": [success | mixed]}})
    assert fast.plain_results(body) is None
    (result,) = result_rows_of(body)
    assert (result.first_name, result.phone_number) == known
    assert result.extra == extra


CONTACTS = [Contact(NUMBERS[n], first_name=f"A{n}") for n in range(2)]
MASKED = "+XXXXXXXXX"


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([(NUMBERS[0], True), (NUMBERS[1], True)], [True, True]),
        ([(NUMBERS[1], True), (NUMBERS[0], False)], [False, True]),
        ([(NUMBERS[0], True), ("", False)], [True, False]),
        ([(NUMBERS[0], True), ("", True)], [True, True]),
        ([(MASKED, False), (MASKED, False)], [False, False]),
        ([(NUMBERS[2], True), (NUMBERS[0], True), (NUMBERS[1], False)], [True, False]),
        ([(NUMBERS[1], True)], [None, True]),
        ([(NUMBERS[1], True), ("", False)], [None, True]),
        ([(NUMBERS[0], True), (NUMBERS[2], True)], [True, None]),
        ([(NUMBERS[0], True), (NUMBERS[0], False), (NUMBERS[1], True)], [None, True]),
    ],
    ids=[
        "in line",
        "permuted",
        "a failure without a number",
        "a success without a number",
        "the vendor's own example",
        "one too many",
        "one missing",
        "without a number, out of order",
        "of somebody else",
        "contradictory",
    ],
)
def test_results_are_matched_by_position_else_by_number(
    results: Any, expected: list[bool | None]
) -> None:
    rows = [
        {"phone_number": number, "result": "success" if ok else "failed"} for number, ok in results
    ]
    found = read_contacts(CONTACTS, encoded({"data": {"contact": rows}} if rows else []))
    assert [result and result.ok for result in found] == expected
    assert all(result is None or (result.error is None) == result.ok for result in found)


@pytest.mark.parametrize(
    ("row", "ok"),
    [
        ({"errors": ["#001"]}, False),
        ({"errors": ["#004"]}, None),
        ({"errors": [1]}, None),
        ({"result": "pending", "errors": ["#001"]}, None),
        ({"result": "success", "errors": ["#001 invalid"]}, False),
    ],
)
def test_a_contact_without_a_result_is_refused_by_a_code_that_keeps_it_out(
    row: dict[str, Any], ok: bool | None
) -> None:
    """And costs no other its result."""
    good = {"phone_number": NUMBERS[1], "result": "success"}
    found = read_contacts(CONTACTS, encoded([{"phone_number": NUMBERS[0]} | row, good]))
    assert [result and result.ok for result in found] == [ok, True]


def test_a_contact_that_was_refused_says_why() -> None:
    (vector,) = (
        each
        for each in json.loads((DATA / "contact.json").read_text("utf-8"))
        if each["name"] == "failure"
    )
    (result,) = read_contacts(CONTACTS[:1], encoded(vector["response"]))
    assert result is not None
    assert isinstance(result.error, Refused)
    assert result.error.codes == result.errors == ("#001", "#002")
    assert str(result.error) == (
        "the server did not add the contact: #001 (invalid phone number), #002 (empty phone number)"
    )


def test_a_wrapper_that_says_no_makes_results_worthless() -> None:
    ok = {"phone_number": NUMBERS[0], "result": "success"}
    with pytest.raises(ValueError, match="as a whole"):
        read_contacts(CONTACTS[:1], encoded({"success": False, "data": {"contact": [ok]}}))
    with pytest.raises(ValueError, match="as a whole"):
        read_call(encoded({"success": False, "data": [{"result": "success"}]}))


@pytest.mark.parametrize(
    ("errors", "ok", "warnings"),
    [(["#001"], False, ()), (["#004"], True, ("#004",)), (["3"], False, ())],
)
@pytest.mark.parametrize("name", ["phonenumber", "PHONE"])
def test_a_contact_is_not_ok_beside_an_error_that_keeps_it_out(
    errors: list[str], ok: bool, warnings: tuple[str, ...], name: str
) -> None:
    (result,) = result_rows_of(encoded([{name: NUMBERS[0], "result": "success", "errors": errors}]))
    assert (result.ok, result.warnings) == (ok, warnings)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([], "no result in it"),
        ([{}], "no result in it"),
        ([{"result": "success"}] * 2, "more than one result in it"),
    ],
)
def test_an_answer_to_a_call_holds_one_result(answer: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_call(encoded(answer))


def test_a_call_is_not_ok_beside_an_error() -> None:
    assert not read_call(encoded([{"result": "success", "errors": ["#002"]}])).ok


def fault_of(changes: dict[str, Any]) -> InSimError | None:
    """Return the error of a single message whose row has these changes."""
    (error,) = read_receipts(MESSAGES[:1], encoded([row() | changes])).errors or [None]
    return error


def test_what_the_server_says_in_words_is_kept_and_not_repeated() -> None:
    """It may repeat what it was told."""
    body = encoded([row(sent=0, error=[f"{NUMBERS[0]} is no number", "#007"])])
    (receipt,), errors = read_receipts(MESSAGES[:1], body)
    (error,) = errors or [None]
    assert receipt is not None
    assert receipt.errors == (f"{NUMBERS[0]} is no number", "#007")
    assert isinstance(error, Refused)
    assert error.codes == ("#007",)
    assert NUMBERS[0] not in repr(receipt) + repr(error) + str(error)
    assert "'#007'" in repr(receipt)


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"sent": 0}, Refused, "no reason given"),
        ({"sent": 0, "error": ["#003"]}, Refused, r"#003 \(the recipient does not want SMS\)"),
        ({"sent": 0, "error": ["#999"]}, Refused, r"#999 \(undocumented\)"),
        ({"sent": 0, "error": ["#001"]}, AuthenticationFailed, "authentication failed"),
        ({"sent": 0, "error": [1]}, Refused, "authentication failed"),
        ({"error": ["footer added"]}, OutcomeUnknown, "sent it, and that there was an error"),
        ({"error": ["#003"]}, OutcomeUnknown, "sent it, and that there was an error"),
        (
            {"sent": 0, "error": ["#003", "no credit"]},
            Refused,
            r"#003 \(.*\), in words, which stand in the receipt",
        ),
    ],
)
def test_a_refusal_says_why(changes: dict[str, Any], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        raise fault_of(changes) or AssertionError
    assert type(caught.value) is kind


@pytest.mark.parametrize("error", ["OK", "no error", {"code": 0, "message": "Success"}])
def test_what_says_that_there_is_no_error_is_none(error: object) -> None:
    assert fault_of({"error": error}) is None


def test_words_beside_a_flag_that_cannot_be_read_say_nothing() -> None:
    assert receipt_rows(encoded([row(), row(sent="queued", error="later")])).receipts[1] is None


def test_what_was_taken_is_no_refusal() -> None:
    assert fault_of({}) is None
