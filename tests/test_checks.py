"""What may be sent is decided before a byte leaves, and never by an exception."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, tzinfo
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

import pytest
from msgspec import UNSET

from insim_async import AsyncInSim, Contact, InvalidMessage, Priority, Sms, Status
from insim_async._sending.checks import Ids, Rules, check_contact, check_sms
from insim_async._wire import Message
from tests.conftest import Gateway, touchy

NUMBER = "+33639980001"
PARIS = ZoneInfo("Europe/Paris")
LINKED = "See [Lien_Tracking]"
URL = "https://example.com/a?b=c"


class NotATime(datetime):
    """A stand-in for pandas' NaT: a datetime that differs from itself."""

    def __ne__(self, other: object) -> bool:
        return True


class Touchy:
    """A value that refuses to be looked at in any way."""

    __eq__ = __ne__ = __lt__ = __gt__ = __le__ = __ge__ = __bool__ = __hash__ = __len__ = (
        __contains__
    ) = touchy
    __index__ = __int__ = __str__ = __repr__ = __iter__ = touchy


class TouchyText(str):
    """A text that is one, whatever its class makes of looking at it."""

    __slots__ = ()
    __eq__ = __ne__ = __bool__ = __hash__ = __len__ = __contains__ = __str__ = __iter__ = touchy
    encode = isspace = isascii = strip = index = touchy  # type: ignore[assignment]


class TouchyDate(datetime):
    """A date that refuses to be compared."""

    __eq__ = __ne__ = touchy


class TouchyZone(tzinfo):
    """A zone that does not say its offset."""

    utcoffset = dst = tzname = touchy


class Strange:
    """It does not even say what it is."""

    def __getattribute__(self, name: str) -> NoReturn:
        touchy()


@pytest.mark.parametrize(
    ("sms", "message"),
    [
        (Sms(NUMBER, "Hi"), Message(NUMBER, "Hi", "fresh")),
        (Sms("+33 (6).39-98.00 01\N{NO-BREAK SPACE}", "Hi"), Message(NUMBER, "Hi", "fresh")),
        (Sms(NUMBER, LINKED, url=URL), Message(NUMBER, LINKED, "fresh", URL)),
        (Sms(NUMBER, "Hi", url=URL), Message(NUMBER, "Hi", "fresh", URL)),
        (Sms(NUMBER, "Hi", url=None), Message(NUMBER, "Hi", "fresh")),  # type: ignore[arg-type]
        (
            Sms(NUMBER, "Hi", priority=Priority.HIGH, sms_id="A-1._~:/@+="),
            Message(NUMBER, "Hi", "A-1._~:/@+=", UNSET, 2),
        ),
        (Sms(NUMBER, "Hi", priority=0), Message(NUMBER, "Hi", "fresh", UNSET, 0)),  # type: ignore[arg-type]
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
    (Sms(NUMBER, "a" * 3_061), "message", "it needs 21 parts"),
    (Sms(NUMBER, LINKED), "url", "it needs a url"),
    (Sms(NUMBER, "Hi", url="ftp://example.com"), "url", "expected http"),
    (Sms(NUMBER, LINKED, url="ftp://example.com"), "url", "expected http"),
    (Sms(NUMBER, LINKED, url="https://example.com/a b"), "url", "without spaces"),
    (Sms(NUMBER, LINKED, url="https://" + "a" * 2000), "url", "at most 2000"),
    (Sms(NUMBER, LINKED, url="https://example.com/\ud800"), "url", "expected http"),
    (Sms(NUMBER, LINKED, url=5), "url", "expected http"),  # type: ignore[arg-type]
    (Sms(NUMBER, "Hi", priority=9), "priority", "expected Priority"),  # type: ignore[arg-type]
    (Sms(NUMBER, "Hi", priority="high"), "priority", "expected Priority"),  # type: ignore[arg-type]
    (Sms(NUMBER, "Hi", priority=[]), "priority", "expected Priority"),  # type: ignore[arg-type]
    (Sms(NUMBER, "Hi", priority=True), "priority", "expected Priority"),  # type: ignore[arg-type]
    (Sms(NUMBER, "Hi", priority=-1), "priority", "expected Priority"),  # type: ignore[arg-type]
    (Sms(NUMBER, "Hi", sms_id=""), "sms_id", "1 to 128"),
    (Sms(NUMBER, "Hi", sms_id="a b"), "sms_id", "1 to 128"),
    (Sms(NUMBER, "Hi", sms_id="é"), "sms_id", "1 to 128"),
    (Sms(NUMBER, "Hi", sms_id="a" * 10_000), "sms_id", "1 to 128"),
    (Sms(NUMBER, "Hi", sms_id=5), "sms_id", "1 to 128"),  # type: ignore[arg-type]
    (Sms(NUMBER, "Hi", send_at="2026-01-01"), "send_at", "expected a datetime, got str"),  # type: ignore[arg-type]
    (Sms(NUMBER, "Hi", send_at=datetime(2026, 1, 1, tzinfo=UTC)), "send_at", "timezone="),
    (Sms(NUMBER, "Hi", send_at=NotATime(1, 1, 1)), "send_at", "expected a datetime, got NotATime"),
]


@pytest.mark.parametrize(
    ("sms", "field", "reason"), BAD, ids=[f"{field}: {reason}" for _, field, reason in BAD]
)
def test_a_bad_message_is_told_apart_without_repeating_it(
    sms: Any, field: str, reason: str
) -> None:
    fault = check_sms(sms, Rules(), "fresh", Ids())
    assert isinstance(fault, InvalidMessage)
    assert fault.field == field
    assert reason in fault.reason
    assert "0639980001" not in str(fault)


FACE = "\N{GRINNING FACE}"
LONG = {
    "a part": ("a" * 160, 1),
    "two": ("a" * 161, 2),
    "twenty": ("a" * 3_060, 20),
    "one more": ("a" * 3_061, 21),
    "characters that count twice": ("€" * 1_520, 20),
    "one more of them": ("€" * 1_521, 21),
    "UCS-2": ("ł" * 1_340, 20),
    "one more in UCS-2": ("ł" * 1_341, 21),
    "pairs": (FACE * 660, 20),
    "one more pair": (FACE * 661, 21),
    "all that a standard SMS has": ("a" * 39_015, 255),
    "all in pairs": (FACE * 8_415, 255),
}


@pytest.mark.parametrize(("text", "parts"), LONG.values(), ids=LONG)
def test_a_text_takes_as_many_parts_as_the_client_was_told(text: str, parts: int) -> None:
    sms = Sms(NUMBER, text)
    assert check_sms(sms, Rules(max_parts=parts), "fresh", Ids()) == Message(NUMBER, text, "fresh")
    if parts > 1:
        fault = check_sms(sms, Rules(max_parts=parts - 1), "fresh", Ids())
        assert isinstance(fault, InvalidMessage)
        assert f"it needs {parts} parts" in fault.reason
        assert (
            f"at most {parts - 1}: split or shorten it, or give the client max_parts={parts}"
            in fault.reason
        )


@pytest.mark.parametrize("text", ["a" * 39_016, FACE * 8_416])
def test_no_setting_lets_a_text_pass_that_no_sms_can_hold(text: str) -> None:
    fault = check_sms(Sms(NUMBER, text), Rules(max_parts=255), "fresh", Ids())
    assert isinstance(fault, InvalidMessage)
    assert "it needs 256 parts" in fault.reason
    assert "no SMS has more than 255: split or shorten it" in fault.reason
    assert "max_parts" not in fault.reason


class Panic(BaseException):
    """A stand-in for what extensions written in Rust raise when they panic."""


class Raising:
    """It raises something of your choice, even when asked what it is."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __getattribute__(self, name: str) -> NoReturn:
        raise object.__getattribute__(self, "error")


def panics() -> Raising:
    return Raising(Panic("the text of a person"))


def seems_cancelled() -> Raising:
    return Raising(asyncio.CancelledError())


def seems_closed() -> Raising:
    return Raising(GeneratorExit())


TOUCHY: list[Any] = [Touchy, Strange, panics, seems_cancelled, seems_closed]


@pytest.mark.parametrize("field", Sms.__struct_fields__)
@pytest.mark.parametrize("kind", TOUCHY)
@pytest.mark.parametrize("text", ["Hi", LINKED])
def test_a_field_that_cannot_be_compared_is_that_message_s_fault(
    field: str, kind: Any, text: str
) -> None:
    sms = Sms(
        **{"phone_number": NUMBER, "message": text, "url": URL if text == LINKED else ""}
        | {field: kind()}
    )
    fault = check_sms(sms, Rules(), "fresh", Ids())
    assert isinstance(fault, InvalidMessage)
    assert fault.field == field


@pytest.mark.parametrize(
    ("send_at", "reason"),
    [
        (datetime(2031, 1, 1, tzinfo=TouchyZone()), "looking at it raises TypeError"),
        (TouchyDate(2031, 1, 1), "looking at it raises TypeError"),
    ],
)
def test_so_is_a_date_that_cannot_be_read(send_at: datetime, reason: str) -> None:
    fault = check_sms(Sms(NUMBER, "Hi", send_at=send_at), Rules(timezone=PARIS), "fresh", Ids())
    assert isinstance(fault, InvalidMessage)
    assert (fault.field, reason in fault.reason) == ("send_at", True)


def test_a_text_of_any_kind_goes_out_as_what_it_says() -> None:
    sms = Sms(*map(TouchyText, [NUMBER, LINKED]), url=TouchyText(URL), sms_id=TouchyText("a"))
    message = check_sms(sms, Rules(), "fresh", Ids())
    assert message == Message(NUMBER, LINKED, "a", URL)
    assert {
        type(getattr(message, name)) for name in ("phone_number", "message", "id_sms_api", "url")
    } == {str}


@pytest.mark.parametrize("field", Contact.__struct_fields__)
@pytest.mark.parametrize("kind", TOUCHY)
def test_a_field_that_cannot_be_compared_is_that_contact_s_fault(field: str, kind: Any) -> None:
    fault = check_contact(Contact(**{"phone_number": NUMBER, field: kind()}), Rules())
    assert isinstance(fault, InvalidMessage)
    assert fault.field == field


@pytest.mark.parametrize("kind", TOUCHY)
def test_what_is_no_message_at_all_is_its_own_fault_too(kind: Any) -> None:
    assert isinstance(check_sms(kind(), Rules(), "fresh", Ids()), InvalidMessage)
    assert isinstance(check_contact(kind(), Rules()), InvalidMessage)


@pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(3)], ids=repr)
def test_only_the_end_of_the_program_ends_a_check(end: BaseException) -> None:
    for check in (
        lambda: check_sms(Sms(Raising(end), "Hi"), Rules(), "fresh", Ids()),  # type: ignore[arg-type]
        lambda: check_contact(Contact(Raising(end)), Rules()),  # type: ignore[arg-type]
    ):
        with pytest.raises(type(end)) as caught:
            check()
        assert caught.value is end


async def test_one_that_cannot_be_compared_costs_no_report(
    insim: AsyncInSim, gateway: Gateway
) -> None:
    wrong: list[tuple[str, Any]] = [
        (field, make()) for make in TOUCHY for field in Sms.__struct_fields__
    ]
    bad = [
        Sms(**{"phone_number": NUMBER, "message": "Hi"} | {field: value}) for field, value in wrong
    ]
    report = await insim.send_many([Sms(NUMBER, "a"), *bad, Sms(NUMBER, "b")])
    assert [o.status for o in report.outcomes] == [
        Status.SENT,
        *[Status.NOT_SENT] * len(bad),
        Status.SENT,
    ]
    assert [getattr(outcome.error, "field", None) for outcome in report.outcomes[1:-1]] == [
        field for field, _ in wrong
    ]


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
    contact = Contact(
        "+33 6 39 98 00 01", first_name="A", last_name="B", address="C", email="pas d'email"
    )
    assert check_contact(contact, Rules()) == Contact(
        NUMBER, first_name="A", last_name="B", address="C", email="pas d'email"
    )


def test_a_contact_s_texts_of_any_kind_are_what_they_say() -> None:
    contact = check_contact(
        Contact(TouchyText(NUMBER), first_name=TouchyText("A"), email=TouchyText("b")), Rules()
    )
    assert contact == Contact(NUMBER, first_name="A", email="b")
    assert isinstance(contact, Contact)
    assert {type(getattr(contact, name)) for name in Contact.__struct_fields__} == {str}


@pytest.mark.extra("phone")
def test_a_region_reads_national_numbers() -> None:
    message = check_sms(Sms("06 39 98 00 01", "Hi"), Rules(region="FR"), "fresh", Ids())
    assert isinstance(message, Message)
    assert message.phone_number == NUMBER
