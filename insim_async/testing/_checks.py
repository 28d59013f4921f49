"""What a test may claim of the sandbox, and the words in which a claim fails."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from insim_async.errors import ConfigurationError
from insim_async.models import Contact
from insim_async.sandbox import PhoneCall, SentSms, Webhook

__all__ = ["check_called", "check_contact", "check_not_sent", "check_sent", "check_status"]

_SHOWN = 20


def check_sent(messages: Sequence[SentSms], phone_number: str, text: str, times: int) -> SentSms:
    """Return the last of exactly so many SMS that fit.

    Raises:
        AssertionError: There are more, fewer or none.
    """
    __tracebackhide__ = True
    found = [sms for sms in messages if _fits(sms, phone_number, text)]
    if not found or len(found) != times:
        asked = f"{times} SMS to {phone_number} that read {text!r}"
        raise AssertionError(f"expected {asked}, found {len(found)}. {_sent(messages)}")
    return found[-1]


def check_not_sent(messages: Sequence[SentSms], phone_number: str, text: str) -> None:
    """Raise AssertionError if an SMS fits."""
    __tracebackhide__ = True
    found = [sms for sms in messages if _fits(sms, phone_number, text)]
    if found:
        asked = f"to {phone_number or 'anybody'} that reads {text!r}"
        raise AssertionError(f"expected no SMS {asked}, found {len(found)}. {_sent(messages)}")


def check_called(calls: Iterable[PhoneCall], phone_number: str, times: int) -> PhoneCall:
    """Return the last of exactly so many calls that the phone made to a number.

    Raises:
        AssertionError: There are more, fewer or none.
    """
    __tracebackhide__ = True
    made = [call for call in calls if _was_made(call)]
    found = [call for call in made if call.phone_number == _plain(phone_number)]
    if not found or len(found) != times:
        called = _listed(call.phone_number for call in made)
        asked = f"{times} call(s) to {phone_number}"
        raise AssertionError(f"expected {asked}, found {len(found)}. The phone called:{called}")
    return found[-1]


def check_contact(
    contacts: Mapping[str, Contact], phone_number: str, fields: Mapping[str, str]
) -> Contact:
    """Return the contact of a number, if it has these fields.

    Raises:
        AssertionError: There is none, or a field is another.
        ConfigurationError: No contact has such a field.
    """
    __tracebackhide__ = True
    if unknown := [*fields.keys() - {*Contact.__struct_fields__}]:
        has = ", ".join(Contact.__struct_fields__)
        raise ConfigurationError(f"a contact has no {min(unknown)}; it has {has}")
    contact = contacts.get(_plain(phone_number))
    if contact is None:
        known = _listed(contacts)
        raise AssertionError(f"{phone_number} is not in the phone book, which has:{known}")
    other = [name for name, value in fields.items() if getattr(contact, name) != value]
    if other:
        said = _listed(f"{name}={getattr(contact, name)!r}" for name in other)
        raise AssertionError(f"the contact {phone_number} has:{said}")
    return contact


def check_status(webhook: Webhook, status: int | None, failure: BaseException | None) -> None:
    """Raise AssertionError if an app gave another answer, with what it raised as the cause."""
    __tracebackhide__ = True
    if status is None or not webhook.tries:
        return
    last = webhook.tries[-1]
    if last.status != status:
        what = f"webhook {webhook.kind}: expected {status}"
        raise AssertionError(f"{what}, the app answered {last.status or last.problem}") from failure


def _fits(sms: SentSms, phone_number: str, text: str) -> bool:
    pattern = ".*".join(map(re.escape, text.split("*")))
    reads = re.fullmatch(pattern, sms.message, re.DOTALL) is not None
    return reads and _plain(phone_number) in ("", sms.phone_number)


def _was_made(call: PhoneCall) -> bool:
    return call.direction == "outgoing" and not call.errors


def _plain(phone_number: str) -> str:
    return "".join(phone_number.split())


def _sent(messages: Iterable[SentSms]) -> str:
    lines = (f"{sms.phone_number}  {sms.message!r}" for sms in messages)
    return f"The phone was given:{_listed(lines)}"


def _listed(things: Iterable[str]) -> str:
    every = [*things]
    more = [f"and {len(every) - _SHOWN} more"] if len(every) > _SHOWN else []
    return "".join(f"\n  {thing}" for thing in [*every[:_SHOWN], *more]) or " nothing"
