"""What users hold shows facts and hides people."""

from __future__ import annotations

import copy
import gc
import importlib
import json
import pickle
import pkgutil
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from msgspec import Struct

import insim_async
from insim_async import (
    BulkReport,
    CallResult,
    Contact,
    ContactResult,
    Outcome,
    Sms,
    SmsReceipt,
    Status,
)
from insim_async.errors import (
    AuthenticationFailed,
    ConfigurationError,
    InSimError,
    InvalidMessage,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Refused,
)
from insim_async.models import Unnamed
from tests.conftest import NotAvailable

NUMBER = "+33639980001"
RECEIPT: dict[str, Any] = {
    "sms_id": "a1",
    "phone_number": NUMBER,
    "message": "Secret text",
    "parts": 1,
    "sent": True,
    "sent_at": datetime(2025, 10, 29, tzinfo=UTC),
    "account": "me@example.com",
}
HELD = [
    Sms(NUMBER, "Secret text", url="https://example.com/secret"),
    Contact(
        NUMBER,
        first_name="Zoé",
        last_name="Secret",
        address="1 rue Secret",
        email="zoe@example.com",
    ),
    SmsReceipt(**RECEIPT),
    ContactResult(
        NUMBER,
        "Zoé",
        "Secret",
        "1 rue Secret",
        "zoe@example.com",
        ok=True,
        extra={"Secret": "text"},
    ),
    Outcome(Sms(NUMBER, "Secret text"), SmsReceipt(**RECEIPT)),
    BulkReport([Outcome(Sms(NUMBER, "Secret text"), SmsReceipt(**RECEIPT))], sent=1),
    CallResult(ok=False, info="Secret text", errors=("Secret text",)),
    Sms(33639980001, "Secret text"),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] # by mistake
    Outcome({"phone_number": NUMBER}),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] # by mistake
]


@pytest.mark.parametrize("held", HELD, ids=lambda held: type(held).__name__)
def test_neither_repr_shows_a_number_a_text_or_a_name(held: Any) -> None:
    shown = repr(held) + repr(list(held.__rich_repr__())) + f"{held}"
    assert not [word for word in ("0001", "Secret", "Zoé", "example.com") if word in shown]


def test_a_repr_says_what_is_safe_to_say() -> None:
    assert repr(Sms(NUMBER, "Hi", sms_id="a1")) == (
        "Sms(phone_number=<12>, message=<2>, url='', priority=<Priority.NORMAL: 1>, "
        "send_at=None, sms_id='a1')"
    )


def test_a_repr_asks_no_value_whether_it_is_true() -> None:
    held: Any = {name: NotAvailable() for name in Sms.__struct_fields__}
    assert repr(Sms(**held)).startswith(
        "Sms(phone_number=<NotAvailable>, message=<NotAvailable>, url=<NotAvailable>, "
    )


def test_a_receipt_equals_another_with_the_same_facts() -> None:
    one, same, other = (
        SmsReceipt(**RECEIPT),
        SmsReceipt(**RECEIPT, _more={"cost": 1}),
        SmsReceipt(**RECEIPT | {"parts": 2}),
    )
    assert one == same
    assert not one != same  # noqa: SIM202 - the other operator is another method
    assert hash(one) == hash(same)
    assert one != other
    assert one != "a receipt"


@pytest.mark.parametrize("again", [pickle.dumps, copy.copy], ids=["pickle", "copy"])
def test_a_receipt_keeps_its_other_fields_on_its_way(again: Any) -> None:
    receipt = SmsReceipt(**RECEIPT, _more=Unnamed({"cost": 1}))
    copied = pickle.loads(again(receipt)) if again is pickle.dumps else again(receipt)
    assert copied == receipt
    assert copied.extra == {"cost": 1}


def test_a_receipt_without_other_fields_has_none() -> None:
    assert SmsReceipt(**RECEIPT).extra == {}


@pytest.mark.parametrize(
    ("ok", "errors", "warnings"),
    [
        (True, ("#004",), ("#004",)),
        (False, ("#001", "#004"), ("#004",)),
        (True, (), ()),
        (False, ("#001",), ()),
    ],
)
def test_a_warning_did_not_keep_the_contact_out(
    ok: bool, errors: tuple[str, ...], warnings: tuple[str, ...]
) -> None:
    assert ContactResult(NUMBER, ok=ok, errors=errors).warnings == warnings


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, Status.SENT),
        (Refused("no"), Status.REFUSED),
        (AuthenticationFailed("no"), Status.REFUSED),
        (OutcomeUnknown("lost"), Status.UNKNOWN),
        (NotSent("no"), Status.NOT_SENT),
        (RateLimited("later"), Status.NOT_SENT),
        (InvalidMessage("message", "empty"), Status.NOT_SENT),
        (ConfigurationError("closed"), Status.NOT_SENT),
    ],
)
def test_the_error_tells_how_a_message_ended(error: InSimError | None, status: Status) -> None:
    outcome = Outcome(Sms(NUMBER, "Hi"), None, error)
    assert outcome.status is status
    assert repr(outcome).startswith(f"Outcome(status={status!r}, sms=Sms(")


def test_a_status_is_its_text() -> None:
    assert [f"{status}" for status in Status] == ["sent", "refused", "not_sent", "unknown"]
    assert Outcome(Sms(NUMBER, "Hi")).status == "sent"
    assert repr(Status.SENT) == "<Status.SENT: 'sent'>"
    assert msgspec.json.decode(msgspec.json.encode(Status.UNKNOWN), type=Status) is Status.UNKNOWN
    assert json.dumps(Status.UNKNOWN) == '"unknown"'


def test_an_outcome_unwraps_to_its_receipt() -> None:
    receipt = SmsReceipt(**RECEIPT)
    assert Outcome(Sms(NUMBER, "Hi"), receipt).unwrap() is receipt


def test_an_outcome_unwraps_to_an_error_of_its_own_each_time() -> None:
    """Messages that travelled together share one, and it would grow with each raise."""
    cause = LookupError("why")
    shared = AuthenticationFailed("no", codes=("#002",), status_code=401)
    shared.__cause__ = cause
    raised = []
    for _ in range(2):
        with pytest.raises(AuthenticationFailed, match="no") as caught:
            Outcome(Sms(NUMBER, "Hi"), None, shared).unwrap()
        raised.append(caught.value)
    assert raised[0] is not raised[1]
    assert [vars(error) for error in raised] == [vars(shared)] * 2
    assert [error.__cause__ for error in raised] == [cause] * 2
    assert shared.__traceback__ is None


def test_an_outcome_that_was_sent_costs_the_garbage_collector_nothing() -> None:
    sent, lost = (
        Outcome(Sms(NUMBER, "Hi"), SmsReceipt(**RECEIPT)),
        Outcome(Sms(NUMBER, "Hi"), None, OutcomeUnknown()),
    )
    assert (gc.is_tracked(sent), gc.is_tracked(lost)) == (False, True)


def test_values_are_frozen() -> None:
    with pytest.raises(AttributeError, match="immutable"):
        Sms(NUMBER, "Hi").message = "Ho"  # type: ignore[misc]


PERSONAL = {"phone_number", "first_name", "firstname", "query", "sms"}


def structs() -> Iterator[type[Struct]]:
    """Yield every struct of the package."""
    for module in pkgutil.walk_packages(insim_async.__path__, "insim_async."):
        if not module.name.endswith("__main__"):
            found = vars(importlib.import_module(module.name)).values()
            yield from (
                each for each in found if isinstance(each, type) and issubclass(each, Struct)
            )


@pytest.mark.extra("aiohttp")
@pytest.mark.extra("sandbox")
def test_nothing_that_holds_people_s_data_shows_it_in_the_way_of_its_library() -> None:
    """msgspec's own words are all fields, in ``repr`` and for rich."""
    personal = {each for each in structs() if PERSONAL.intersection(each.__struct_fields__)}
    assert len(personal) > 10
    for way in ("__repr__", "__rich_repr__"):
        shown = {each for each in personal if getattr(each, way) is getattr(Struct, way)}
        assert shown == set()
