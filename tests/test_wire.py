"""The vendor's language, pinned by its published payloads."""

from __future__ import annotations

import copy
import json
import pickle
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insim_async import AuthenticationFailed, Contact, ContactResult, OutcomeUnknown, Refused, SmsReceipt, _wire
from insim_async._wire import Account, Message, requests

DATA = Path(__file__).parent / "data"
NUMBERS = [f"+3363998000{n}" for n in range(10)]


def vectors(name: str) -> list[Any]:
    found = json.loads((DATA / f"{name}.json").read_text("utf-8"))
    return [pytest.param(vector, id=vector["name"]) for vector in found]


def plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else list(value) if isinstance(value, tuple) else value


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
        json.loads(account.contacts([Contact(NUMBERS[0], first_name=Markup("Zoé"))]))["contacts"][0]["firstname"]
        == "Zoé"
    )
    assert json.loads(account.call(Markup(NUMBERS[0])))["header"]["phone_number"] == NUMBERS[0]


class TestPublishedAnswers:
    @pytest.mark.parametrize("vector", vectors("sendsms"))
    def test_receipts(self, vector: dict[str, Any]) -> None:
        receipts = _wire.decode_receipts(encoded(vector["response"]))
        for receipt, expected in zip(receipts, vector["receipts"], strict=True):
            assert {name: plain(getattr(receipt, name)) for name in expected} == expected

    @pytest.mark.parametrize("vector", vectors("contact"))
    def test_contacts(self, vector: dict[str, Any]) -> None:
        results = _wire.decode_contacts(encoded(vector["response"]))
        for result, expected in zip(results, vector["results"], strict=True):
            assert {name: plain(getattr(result, name)) for name in expected} == expected

    @pytest.mark.parametrize("vector", vectors("click_to_call"))
    def test_calls(self, vector: dict[str, Any]) -> None:
        result = _wire.decode_call(encoded(vector["response"]))
        assert {name: plain(getattr(result, name)) for name in vector["result"]} == vector["result"]


class TestRequests:
    def test_messages(self) -> None:
        (vector, *_) = json.loads((DATA / "sendsms.json").read_text("utf-8"))
        first, second = vector["request_messages"]
        body = Account("me", "key").messages(
            [
                Message(first["phone_number"], first["message"], "id0", first["url"], 2, first["date_to_send"]),
                Message(second["phone_number"], second["message"], "id1"),
            ]
        )
        assert json.loads(body) == {
            "header": {"login": "me", "accessKey": "key"},
            "messages": [
                first | {"id_sms_api": "id0", "priorite": 2},
                {"phone_number": second["phone_number"], "message": second["message"], "id_sms_api": "id1"},
            ],
        }

    def test_contacts(self) -> None:
        body = Account("me", "key").contacts(
            [Contact(NUMBERS[0]), Contact(NUMBERS[1], first_name="A", last_name="B", address="C", email="D")]
        )
        assert json.loads(body)["contacts"] == [
            {"phone_number": NUMBERS[0], "firstname": "", "lastname": ""},
            {"phone_number": NUMBERS[1], "firstname": "A", "lastname": "B", "adress": "C", "email": "D"},
        ]

    def test_a_call_has_everything_in_its_header(self) -> None:
        assert json.loads(Account("me", "key").call(NUMBERS[0])) == {
            "header": {"login": "me", "accessKey": "key", "type": "clicToCall", "phone_number": NUMBERS[0]}
        }

    def test_a_dry_run_says_so(self) -> None:
        assert json.loads(Account("me", "key", dry_run=True).messages([]))["header"]["mode"] == "test"

    @given(st.text(st.characters(exclude_categories=["Cs"])))
    def test_any_text_goes_out_as_it_is(self, text: str) -> None:
        body = Account("me", "key").messages([Message(NUMBERS[0], text, "id0")])
        assert json.loads(body)["messages"][0]["message"] == text

    def test_a_body_is_not_spoilt_by_a_thread_that_makes_another(self, monkeypatch: pytest.MonkeyPatch) -> None:
        account, encode = Account("me", "key"), requests._encode_into

        def interrupted(messages: list[Message], buffer: bytearray) -> None:
            encode(messages, buffer)
            monkeypatch.setattr(requests, "_encode_into", encode)
            other = threading.Thread(target=account.messages, args=[[Message(NUMBERS[1], "not yours", "id1")]])
            other.start()
            other.join()

        monkeypatch.setattr(requests, "_encode_into", interrupted)
        body = account.messages([Message(NUMBERS[0], "yours", "id0")])
        assert [message["message"] for message in json.loads(body)["messages"]] == ["yours"]

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
        [[OLDER], OLDER, {"data": [OLDER]}, {"data": {"data": [OLDER]}}, {"Data": OLDER, "envoi": 1}],
        ids=["a list", "an object", "in data", "twice in data", "an object in data"],
    )
    def test_a_receipt_in_the_older_spelling(self, answer: object) -> None:
        (receipt,) = _wire.decode_receipts(encoded(answer))
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
    def test_a_receipt_that_differs_in_one_field(self, changes: dict[str, Any], name: str, value: object) -> None:
        (receipt,) = _wire.decode_receipts(encoded([row() | changes]))
        assert getattr(receipt, name) == value

    @pytest.mark.parametrize("spelling", ["firstname", "first_name", "firstName", "FIRST_NAME"])
    def test_a_contact_in_any_spelling(self, spelling: str) -> None:
        (result,) = _wire.decode_contacts(
            encoded([{spelling: "Zoé", "phone": NUMBERS[0], "RESULT": "success", "id": 5}])
        )
        assert result == ContactResult(NUMBERS[0], "Zoé", ok=True, extra={"id": 5})

    def test_a_call_as_one_object(self) -> None:
        assert _wire.decode_call(b'{"RESULT": "Failed", "error": "#002", "id": 1}').errors == ("#002",)


class TestMoreFields:
    @pytest.mark.parametrize(
        "changes", [{"cost": 5}, {"cost": 5, "error_count": 0}, {"cost": 5, "sent": "1", "ID": None, "ID_SMS_API": "x"}]
    )
    def test_unknown_fields_are_kept_for_each_receipt(self, changes: dict[str, Any]) -> None:
        receipts = _wire.decode_receipts(encoded([row(0) | changes, row(1) | changes | {"cost": 6}]))
        assert [receipt.extra["cost"] for receipt in receipts if receipt] == [5, 6]
        assert all(receipt == SmsReceipt(**facts(receipt)) for receipt in receipts)

    def test_a_receipt_read_to_the_letter_has_none(self) -> None:
        (receipt,) = _wire.decode_receipts(encoded([row()]))
        assert receipt is not None
        assert receipt.extra == {}

    def test_a_receipt_from_the_wire_travels_by_pickle(self) -> None:
        (receipt,) = _wire.decode_receipts(encoded([row(cost=5)]))
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
        for receipt in _wire.decode_receipts(encoded([row(0) | changes, row(1) | changes])):
            assert receipt is not None
            for _ in range(2):
                written = msgspec.json.encode(receipt)
                documented = {"sent": True, "sent_time": "2025-10-29T10:16:10.541000Z"}
                assert json.loads(written) == row(int(receipt.sms_id[-1])) | documented | more
                assert msgspec.json.decode(written, type=SmsReceipt) == receipt
                assert set(receipt.extra) == set(changes) - {"sent", "sent_time"}  # and it has been looked at

    def test_says_why_it_was_not_sent(self) -> None:
        (receipt,) = _wire.decode_receipts(encoded([row(sent=0, error=["#003"])]))
        assert json.loads(msgspec.json.encode(receipt))["errors"] == ["#003"]


def facts(receipt: SmsReceipt | None) -> dict[str, Any]:
    assert receipt is not None
    return {name: getattr(receipt, name) for name in SmsReceipt.__struct_fields__ if name != "_more"}


@pytest.mark.parametrize("decode", [_wire.decode_receipts, _wire.decode_contacts, _wire.decode_call])
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
        b'[{"message": "hello"}]',
        b"[" * 100_000,
        b"[{}, {}]",
    ],
    ids=repr,
)
def test_what_is_no_answer_is_refused_as_a_whole(decode: Any, body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any words will do: they go into an OutcomeUnknown
        decode(body)


def test_a_row_that_says_nothing_leaves_the_others_readable() -> None:
    receipts = _wire.decode_receipts(encoded([row(0), {"id_sms_api": "id1"}, 7]))
    assert [receipt and receipt.sms_id for receipt in receipts] == ["id0", None, None]


MESSAGES = [Message(NUMBERS[n], "Hello", f"id{n}") for n in range(3)]
MATCHES = {
    "as sent": ([row(0), row(1), row(2)], ["id0", "id1", "id2"]),
    "permuted": ([row(2), row(0), row(1)], ["id0", "id1", "id2"]),
    "one missing": ([row(0), row(2)], ["id0", None, "id2"]),
    "one repeated": ([row(0), row(0), row(1), row(2)], ["id0", "id1", "id2"]),
    "one contradicted": ([row(0), row(0, sent=0), row(1), row(2)], [None, "id1", "id2"]),
    "one foreign": ([row(0), row(1, id_sms_api="x"), row(2)], ["id0", None, "id2"]),
    "more than asked": ([row(0), row(1), row(2), row(3)], ["id0", "id1", "id2"]),
    "ids of their own": ([row(n, id_sms_api=f"x{n}") for n in range(3)], ["x0", "x1", "x2"]),
    "no ids": ([row(n, id_sms_api="") for n in range(3)], ["", "", ""]),
    "one without an id": ([row(0), row(1, id_sms_api=""), row(2)], ["id0", "", "id2"]),
    "ids of their own, permuted": ([row(n, id_sms_api=f"x{n}") for n in (1, 0, 2)], [None, None, "x2"]),
    "ids of their own, one missing": ([row(n, id_sms_api=f"x{n}") for n in (0, 1)], [None, None, None]),
    "the older refusal": ([{"id_sms_api": n, "error": ["#006"]} for n in range(3)], ["0", "1", "2"]),
    "refused without a number, in order": (
        [row(0, id_sms_api=""), {"id_sms_api": 1, "error": ["#006"]}, row(2, id_sms_api="")],
        ["", "1", ""],
    ),
    "refused without a number, out of order": (
        [row(1, id_sms_api=""), {"id_sms_api": 1, "error": ["#006"]}, row(2, id_sms_api="")],
        [None, None, ""],
    ),
    "sent, but to nobody": ([{"id_sms_api": n, "sent": 1} for n in range(3)], [None, None, None]),
    "our ids for other numbers": ([row(n, id_sms_api=f"id{n - 1}") for n in range(3)], [None, None, None]),
    "an id and no number": (
        [row(0), row(1, phone_number=""), row(2, phone_number="+336XXXX02")],
        ["id0", "id1", "id2"],
    ),
    "one that says nothing": ([row(0), {"id_sms_api": "id1"}, row(2)], ["id0", None, "id2"]),
    "national numbers": ([row(n, id_sms_api="", phone_number=f"063998000{n}") for n in range(3)], ["", "", ""]),
}


@pytest.mark.parametrize(("rows", "expected"), MATCHES.values(), ids=MATCHES)
def test_receipts_are_matched_by_id_else_by_position_and_number(rows: Any, expected: list[str | None]) -> None:
    matched = _wire.match(MESSAGES, _wire.decode_receipts(encoded(rows)))
    assert [receipt and receipt.sms_id for receipt in matched] == expected


@pytest.mark.parametrize(
    ("rows", "all_sent"),
    [
        ([row(0), row(1), row(2)], True),
        ([row(0), row(1)], False),
        ([row(0), row(2), row(1)], False),
        ([row(0), 5, row(2)], False),
        ([row(0), row(1), row(2, sent=0)], False),
        ([row(0), row(1), row(2, errors=["#003"])], False),
        ([row(0), row(1), row(2, phone_number=NUMBERS[1])], False),
    ],
)
def test_all_are_sent_only_where_nothing_is_to_be_looked_at(rows: Any, all_sent: bool) -> None:
    assert _wire.all_sent(MESSAGES, _wire.decode_receipts(encoded(rows))) is all_sent


CONTACTS = [Contact(NUMBERS[n], first_name=f"A{n}") for n in range(2)]


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([(NUMBERS[0], True), (NUMBERS[1], True)], [True, True]),
        ([(NUMBERS[1], True), (NUMBERS[0], False)], [False, True]),
        ([(NUMBERS[0], True), ("", False)], [True, False]),
        ([(NUMBERS[2], True), (NUMBERS[0], True), (NUMBERS[1], False)], [True, False]),
    ],
    ids=["in line", "permuted", "a failure without a number", "one too many"],
)
def test_results_are_matched_by_position_else_by_number(results: Any, expected: list[bool]) -> None:
    found = _wire.match_contacts(CONTACTS, [ContactResult(number, ok=ok) for number, ok in results])
    assert [result.ok for result in found] == expected


@pytest.mark.parametrize(
    "results", [[], [(NUMBERS[1], True)], [(NUMBERS[0], True), ("", True)], [(NUMBERS[0], True), (NUMBERS[2], True)]]
)
def test_a_contact_without_a_result_makes_the_answer_worthless(results: Any) -> None:
    with pytest.raises(ValueError, match="no result for one"):
        _wire.match_contacts(CONTACTS, [ContactResult(number, ok=ok) for number, ok in results])


@pytest.mark.parametrize(
    ("errors", "ok", "warnings"), [(["#001"], False, ()), (["#004"], True, ("#004",)), (["3"], False, ())]
)
@pytest.mark.parametrize("name", ["phonenumber", "PHONE"])
def test_a_contact_is_not_ok_beside_an_error_that_keeps_it_out(
    errors: list[str], ok: bool, warnings: tuple[str, ...], name: str
) -> None:
    (result,) = _wire.decode_contacts(encoded([{name: NUMBERS[0], "result": "success", "errors": errors}]))
    assert (result.ok, result.warnings) == (ok, warnings)


@pytest.mark.parametrize(
    ("answer", "words"),
    [([], "no result in it"), ([{}], "no result in it"), ([{"result": "success"}] * 2, "more than one result in it")],
)
def test_an_answer_to_a_call_holds_one_result(answer: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        _wire.decode_call(encoded(answer))


def test_a_call_is_not_ok_beside_an_error() -> None:
    assert not _wire.decode_call(encoded([{"result": "success", "errors": ["#002"]}])).ok


def test_what_the_server_says_in_words_is_kept_and_not_repeated() -> None:
    """It may repeat what it was told."""
    (receipt,) = _wire.decode_receipts(encoded([row(sent=0, error=[f"{NUMBERS[0]} is no number", "#007"])]))
    assert receipt is not None
    assert receipt.errors == (f"{NUMBERS[0]} is no number", "#007")
    refusal = _wire.fault_of(receipt)
    assert isinstance(refusal, Refused)
    assert refusal.codes == ("#007",)
    assert NUMBERS[0] not in repr(receipt) + repr(refusal) + str(refusal)
    assert "'#007'" in repr(receipt)


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"sent": 0}, Refused, "no reason given"),
        ({"error": ["#003"]}, Refused, r"#003 \(the recipient does not want SMS\)"),
        ({"sent": 0, "error": ["#999"]}, Refused, r"#999 \(undocumented\)"),
        ({"sent": 0, "error": ["#001"]}, AuthenticationFailed, "authentication failed"),
        ({"sent": 0, "error": [1]}, AuthenticationFailed, "authentication failed"),
        ({"error": ["footer added"]}, OutcomeUnknown, "words that are no code"),
        ({"error": ["#003", "no credit"]}, Refused, r"#003 \(.*\), in words, which stand in the receipt"),
    ],
)
def test_a_refusal_says_why(changes: dict[str, Any], kind: type[Exception], words: str) -> None:
    (receipt,) = _wire.decode_receipts(encoded([row() | changes]))
    assert receipt is not None
    with pytest.raises(kind, match=words) as caught:
        raise _wire.fault_of(receipt) or AssertionError
    assert type(caught.value) is kind


@pytest.mark.parametrize("error", ["OK", "no error", {"code": 0, "message": "Success"}])
def test_what_says_that_there_is_no_error_is_none(error: object) -> None:
    (receipt,) = _wire.decode_receipts(encoded([row(error=error)]))
    assert receipt is not None
    assert _wire.fault_of(receipt) is None


def test_words_beside_a_flag_that_cannot_be_read_say_nothing() -> None:
    assert _wire.decode_receipts(encoded([row(), row(sent="queued", error="later")]))[1] is None


def test_what_was_taken_is_no_refusal() -> None:
    (receipt,) = _wire.decode_receipts(encoded([row()]))
    assert receipt is not None
    assert _wire.fault_of(receipt) is None
