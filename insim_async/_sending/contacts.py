"""Contacts as a cargo: checked, written, and matched with what the answer says of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from insim_async import _wire
from insim_async._http import Call
from insim_async._sending.batches import Batch, Ending
from insim_async._sending.checks import Rules, check_contact
from insim_async._sending.delivery import of_several
from insim_async._tasks import ends_the_program
from insim_async._wire import Account
from insim_async.errors import ConfigurationError, InSimError, InvalidMessage, NotSent
from insim_async.models import Contact, ContactResult

__all__ = ["Contacts"]


class Contacts:
    """The contacts of one caller. To add one is safe to repeat.

    Args:
        account: Writes the requests.
        rules: What may be sent.
    """

    parts_of = None

    def __init__(self, account: Account, rules: Rules) -> None:
        self._account = account
        self._rules = rules
        self._known: dict[int, ContactResult] = {}

    def check(self, given: Sequence[Contact], start: int) -> Batch[Contact, Contact]:
        """Check contacts."""
        checked = [check_contact(contact, self._rules) for contact in given]
        good = [contact for contact in checked if isinstance(contact, Contact)]
        return Batch(start, given, checked, good)

    def call(self, good: list[Contact], **more: Any) -> Call[list[ContactResult]]:
        """Make the request to add them."""
        return Call(
            path=_wire.CONTACTS,
            body=self._account.contacts(good),
            decode=partial(self._decode, good),
            repeatable=True,
            **more,
        )

    def _decode(self, contacts: list[Contact], body: bytes) -> list[ContactResult]:
        """Keep what each attempt says: the next one may say less."""
        for contact, result in zip(contacts, _wire.read_contacts(contacts, body), strict=True):
            if result is not None:
                self._known[id(contact)] = result
        results = [self._known.get(id(contact)) for contact in contacts]
        if None in results:
            raise ValueError("no result for one of the contacts")
        return [result for result in results if result is not None]

    def ending(
        self, batch: Batch[Contact, Contact], result: object
    ) -> Ending[Contact, Contact, ContactResult]:
        """Say how each contact ended."""
        error = of_several(result, len(batch.good)) if isinstance(result, InSimError) else None
        told = [
            _invalid_result(given, contact)
            if isinstance(contact, InvalidMessage)
            else self._known.pop(id(contact), _failed_result(contact, error))
            for given, contact in zip(batch.given, batch.checked, strict=True)
        ]
        return Ending(batch, told, None if error is None else [error] * len(batch.good))


def _invalid_result(contact: object, fault: InvalidMessage) -> ContactResult:
    return ContactResult(
        _text_of(contact, "phone_number"),
        _text_of(contact, "first_name"),
        _text_of(contact, "last_name"),
        _text_of(contact, "address"),
        _text_of(contact, "email"),
        errors=(str(fault),),
        error=fault,
    )


def _text_of(contact: object, name: str) -> str:
    """Return a field of what was given for a contact, if it is a text and lets itself be read."""
    try:
        value = getattr(contact, name, "")
    except BaseException as error:  # it is the caller's, and may raise anything
        if ends_the_program(error):
            raise
        return ""
    return value if type(value) is str else ""


def _failed_result(contact: Contact, error: InSimError | None) -> ContactResult:
    if isinstance(error, ConfigurationError):
        error = NotSent(str(error))
    return ContactResult(
        contact.phone_number,
        contact.first_name,
        contact.last_name,
        contact.address,
        contact.email,
        error=error,
    )
