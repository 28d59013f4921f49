"""Contacts on their way: checked, posted, and matched with what the answer says of them."""

from __future__ import annotations

from insim_async import _wire
from insim_async._http import Call, Connection
from insim_async._sending.checks import Rules, check_contact
from insim_async._sending.delivery import BODY_CAP
from insim_async._wire import Account
from insim_async.errors import InSimError, InvalidMessage
from insim_async.models import Contact, ContactResult

__all__ = ["Contacts"]


class Contacts:
    """Adds the contacts of one call, batch by batch."""

    def __init__(self, connection: Connection, account: Account, rules: Rules) -> None:
        self._connection = connection
        self._account = account
        self._rules = rules

    async def add(self, batch: list[Contact]) -> list[ContactResult]:
        """Add a batch; return a result for each of its contacts, in order."""
        checked = [check_contact(contact, self._rules) for contact in batch]
        good = [contact for contact in checked if isinstance(contact, Contact)]
        results = iter(await self._post(good) if good else [])
        return [
            _refused(given, contact) if isinstance(contact, InvalidMessage) else next(results)
            for given, contact in zip(batch, checked, strict=True)
        ]

    async def _post(self, contacts: list[Contact]) -> list[ContactResult]:
        def decode(body: bytes) -> list[ContactResult]:
            return _wire.match_contacts(contacts, _wire.decode_contacts(body))

        call = Call(_wire.CONTACTS, self._account.contacts(contacts), decode, repeatable=True, patient=True)
        if len(call.body) > BODY_CAP and len(contacts) > 1:
            middle = len(contacts) // 2
            return await self._post(contacts[:middle]) + await self._post(contacts[middle:])
        results = await self._connection.post(call)
        if isinstance(results, InSimError):
            raise results
        return results


def _refused(contact: object, fault: InvalidMessage) -> ContactResult:
    given = contact if isinstance(contact, Contact) else Contact("")
    return ContactResult(
        given.phone_number, given.first_name, given.last_name, given.address, given.email, errors=(str(fault),)
    )
