"""Contacts on their way: checked, posted, and matched with what the answer says of them."""

from __future__ import annotations

from insim_async import _wire
from insim_async._http import Call, Connection
from insim_async._sending.checks import Rules, check_contact
from insim_async._sending.delivery import BODY_CAP, is_too_large, not_sent_after, of_several
from insim_async._tasks import ends_the_program
from insim_async._wire import Account
from insim_async.errors import (
    AuthenticationFailed,
    ConfigurationError,
    InSimError,
    InvalidMessage,
    NotSent,
)
from insim_async.models import Contact, ContactResult

__all__ = ["Contacts"]


class Contacts:
    """Adds the contacts of one call, batch by batch.

    Each gets its result, whatever becomes of the others.

    Attributes:
        stopped: What every later request would end in as well; None as long as there is hope.
    """

    def __init__(self, connection: Connection, account: Account, rules: Rules) -> None:
        self.stopped: AuthenticationFailed | ConfigurationError | None = None
        self._connection = connection
        self._account = account
        self._rules = rules

    async def add(self, batch: list[Contact]) -> list[ContactResult]:
        """Add a batch; return a result for each of its contacts, in order."""
        checked = [check_contact(contact, self._rules) for contact in batch]
        good = [contact for contact in checked if isinstance(contact, Contact)]
        results = iter(await self._post(good) if good else [])
        return [
            _invalid_result(given, contact)
            if isinstance(contact, InvalidMessage)
            else next(results)
            for given, contact in zip(batch, checked, strict=True)
        ]

    async def _post(self, contacts: list[Contact]) -> list[ContactResult]:
        if self.stopped is not None:
            return [_failed_result(contact, not_sent_after(self.stopped)) for contact in contacts]
        found: list[ContactResult | None] = [None] * len(contacts)

        def decode(body: bytes) -> list[ContactResult]:
            """Keep what each attempt says: the next one may say less."""
            for place, result in enumerate(_wire.read_contacts(contacts, body)):
                found[place] = result or found[place]
            if None in found:
                raise ValueError("no result for one of the contacts")
            return [result for result in found if result is not None]

        call = Call(
            path=_wire.CONTACTS,
            body=self._account.contacts(contacts),
            decode=decode,
            repeatable=True,
            waits_are_free=True,
        )
        if len(call.body) > BODY_CAP and len(contacts) > 1:
            return await self._in_halves(contacts)
        result = await self._connection.post(call)
        if not isinstance(result, InSimError):
            return result
        if is_too_large(result) and len(contacts) > 1:
            return await self._in_halves(contacts)
        error = of_several(result, len(contacts))
        if isinstance(error, AuthenticationFailed | ConfigurationError):
            self.stopped = self.stopped or error
        return [
            known or _failed_result(contact, error)
            for contact, known in zip(contacts, found, strict=True)
        ]

    async def _in_halves(self, contacts: list[Contact]) -> list[ContactResult]:
        middle = len(contacts) // 2
        return await self._post(contacts[:middle]) + await self._post(contacts[middle:])


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


def _failed_result(contact: Contact, error: InSimError) -> ContactResult:
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
