"""What may be sent is decided before a byte leaves, and never by an exception."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec import UNSET

from insim_async import Contact, InvalidMessage, Priority, Sms
from insim_async._sending.checks import Ids, Rules, check_contact, check_sms
from insim_async._wire import Message

NUMBER = "+33639980001"
PARIS = ZoneInfo("Europe/Paris")
LINKED = "See [Lien_Tracking]"
URL = "https://example.com/a?b=c"


class NotATime(datetime):
    """A stand-in for pandas' NaT: a datetime that differs from itself."""

    def __ne__(self, other: object) -> bool:
        return True


@pytest.mark.parametrize(
    ("sms", "message"),
    [
        (Sms(NUMBER, "Hi"), Message(NUMBER, "Hi", "fresh")),
        (Sms("+33 (6).39-98.00 01\N{NO-BREAK SPACE}", "Hi"), Message(NUMBER, "Hi", "fresh")),
        (Sms(NUMBER, LINKED, url=URL), Message(NUMBER, LINKED, "fresh", URL)),
        (
            Sms(NUMBER, "Hi", priority=Priority.HIGH, sms_id="A-1._~:/@+="),
            Message(NUMBER, "Hi", "A-1._~:/@+=", UNSET, 2),
        ),
        (Sms(NUMBER, "Hi", priority=0), Message(NUMBER, "Hi", "fresh", UNSET, 0)),  # type: ignore[arg-type]
        (Sms(NUMBER, "é" * 8000), Message(NUMBER, "é" * 8000, "fresh")),
        (Sms(NUMBER, "a" * 39_015), Message(NUMBER, "a" * 39_015, "fresh")),
    ],
)
def test_a_good_message_goes_out_as_it_was_given(sms: Sms, message: Message) -> None:
    assert check_sms(sms, Rules(), "fresh", Ids()) == message


BAD: list[tuple[Any, str, str]] = [
    ("+33639980001", "message", "expected an Sms, got str"),
    (Sms("", "Hi"), "phone_number", "empty"),
    (Sms("0639980001", "Hi"), "phone_number", "country code"),
    (Sms(None, "Hi"), "phone_number", "must be text, not NoneType"),  # type: ignore[arg-type]
    (Sms(NUMBER, ""), "message", "empty"),
    (Sms(NUMBER, " \n\t"), "message", "empty"),
    (Sms(NUMBER, None), "message", "expected text, got NoneType"),  # type: ignore[arg-type]
    (Sms(NUMBER, float("nan")), "message", "expected text, got float"),  # type: ignore[arg-type]
    (Sms(NUMBER, "a\0b"), "message", "a NUL character, at position 2"),
    (Sms(NUMBER, "ab\ud83d"), "message", "half of a surrogate pair, at position 3"),
    (Sms(NUMBER, "a" * 39_016), "message", "it needs 256 parts"),
    (Sms(NUMBER, "\N{GRINNING FACE}" * 8_600), "message", "at most 255"),
    (Sms(NUMBER, LINKED), "url", "it needs a url"),
    (Sms(NUMBER, "Hi", url=URL), "url", "where the text holds"),
    (Sms(NUMBER, LINKED, url="ftp://example.com"), "url", "expected http"),
    (Sms(NUMBER, LINKED, url="https://example.com/a b"), "url", "without spaces"),
    (Sms(NUMBER, LINKED, url="https://" + "a" * 2000), "url", "at most 2000"),
    (Sms(NUMBER, LINKED, url="https://example.com/\ud800"), "url", "expected http"),
    (Sms(NUMBER, LINKED, url=5), "url", "expected http"),  # type: ignore[arg-type]
    (Sms(NUMBER, "Hi", priority=9), "priority", "expected Priority"),  # type: ignore[arg-type]
    (Sms(NUMBER, "Hi", priority="high"), "priority", "expected Priority"),  # type: ignore[arg-type]
    (Sms(NUMBER, "Hi", priority=[]), "priority", "expected Priority"),  # type: ignore[arg-type]
    (Sms(NUMBER, "Hi", sms_id=""), "sms_id", "1 to 128"),
    (Sms(NUMBER, "Hi", sms_id="a b"), "sms_id", "1 to 128"),
    (Sms(NUMBER, "Hi", sms_id="é"), "sms_id", "1 to 128"),
    (Sms(NUMBER, "Hi", sms_id="a" * 10_000), "sms_id", "1 to 128"),
    (Sms(NUMBER, "Hi", sms_id=5), "sms_id", "1 to 128"),  # type: ignore[arg-type]
    (Sms(NUMBER, "Hi", send_at="2026-01-01"), "send_at", "expected a datetime, got str"),  # type: ignore[arg-type]
    (Sms(NUMBER, "Hi", send_at=datetime(2026, 1, 1, tzinfo=UTC)), "send_at", "timezone="),
    (Sms(NUMBER, "Hi", send_at=NotATime(1, 1, 1)), "send_at", "expected a datetime, got NotATime"),
]


@pytest.mark.parametrize(("sms", "field", "reason"), BAD, ids=[f"{field}: {reason}" for _, field, reason in BAD])
def test_a_bad_message_is_told_apart_without_repeating_it(sms: Any, field: str, reason: str) -> None:
    fault = check_sms(sms, Rules(), "fresh", Ids())
    assert isinstance(fault, InvalidMessage)
    assert fault.field == field
    assert reason in fault.reason
    assert "0639980001" not in str(fault)


NAIVE = datetime(2026, 7, 1, 9, 30, 15)  # noqa: DTZ001 - the account's own zone
CASES = {
    "naive goes out as given": (NAIVE, None, "2026-07-01 09:30:15"),
    "in the past too": (NAIVE.replace(year=1999), None, "1999-07-01 09:30:15"),
    "naive is already in the account's zone": (NAIVE, PARIS, "2026-07-01 09:30:15"),
    "fractions are cut": (NAIVE.replace(microsecond=999_999), None, "2026-07-01 09:30:15"),
    "aware is converted": (datetime(2026, 7, 1, 7, 30, tzinfo=UTC), PARIS, "2026-07-01 09:30:00"),
    "by the rules of the day": (datetime(2026, 1, 1, 7, 30, tzinfo=UTC), PARIS, "2026-01-01 08:30:00"),
    "from any zone": (datetime(2026, 7, 1, 7, 30, tzinfo=timezone(timedelta(hours=-5))), PARIS, "2026-07-01 14:30:00"),
    "naive, when clocks are put back": (datetime(2026, 10, 25, 2, 30), PARIS, "2026-10-25 02:30:00"),  # noqa: DTZ001
}


@pytest.mark.parametrize(("send_at", "zone", "written"), CASES.values(), ids=CASES)
def test_a_date_is_written_in_the_account_s_own_zone(send_at: datetime, zone: ZoneInfo | None, written: str) -> None:
    message = check_sms(Sms(NUMBER, "Hi", send_at=send_at), Rules(timezone=zone), "fresh", Ids())
    assert isinstance(message, Message)
    assert message.date_to_send == written


@pytest.mark.parametrize(
    ("send_at", "reason"),
    [
        (datetime(2026, 3, 29, 2, 30), "does not exist"),  # noqa: DTZ001
        (datetime(2026, 3, 29, 2, 30, tzinfo=PARIS), "does not exist"),
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "cannot tell which"),
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "cannot tell which"),
        (datetime.max.replace(tzinfo=UTC), "too early or too late"),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=14))), "too early or too late"),
    ],
)
def test_a_time_that_does_not_exist_or_exists_twice_is_refused(send_at: datetime, reason: str) -> None:
    fault = check_sms(Sms(NUMBER, "Hi", send_at=send_at), Rules(timezone=PARIS), "fresh", Ids())
    assert isinstance(fault, InvalidMessage)
    assert reason in fault.reason


@pytest.mark.parametrize(
    ("contact", "field"),
    [
        (Sms(NUMBER, "Hi"), "contact"),
        (Contact("0639980001"), "phone_number"),
        (Contact(NUMBER, first_name="\0"), "first_name"),
        (Contact(NUMBER, last_name=None), "last_name"),  # type: ignore[arg-type]
        (Contact(NUMBER, address="\udc00"), "address"),
        (Contact(NUMBER, email=5), "email"),  # type: ignore[arg-type]
    ],
)
def test_a_bad_contact_is_told_apart(contact: Any, field: str) -> None:
    fault = check_contact(contact, Rules())
    assert isinstance(fault, InvalidMessage)
    assert fault.field == field


def test_a_good_contact_gets_its_number_normalised() -> None:
    contact = Contact("+33 6 39 98 00 01", first_name="A", last_name="B", address="C", email="pas d'email")
    assert check_contact(contact, Rules()) == Contact(
        NUMBER, first_name="A", last_name="B", address="C", email="pas d'email"
    )


@pytest.mark.extra("phone")
def test_a_region_reads_national_numbers() -> None:
    message = check_sms(Sms("06 39 98 00 01", "Hi"), Rules(region="FR"), "fresh", Ids())
    assert isinstance(message, Message)
    assert message.phone_number == NUMBER
