"""Requests, as the vendor reads them: values in, bytes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET, UnsetType
from msgspec.json import Encoder

from insim_async._privacy import Unshown
from insim_async.models import Contact, Priority

__all__ = ["CALL", "CONTACTS", "MESSAGES", "PLACEHOLDER", "Account", "Message"]

MESSAGES = "/api/v1/sendsms"
CONTACTS = "/api/v1/contact"
CALL = "/api/v1/clicTocall"
PLACEHOLDER = "[Lien_Tracking]"

_BYTES = 256
"""As many as most messages take; a longer one costs no more than a larger buffer."""


class Message(Unshown, frozen=True, gc=False):
    """A message as it goes out; what is unset does not."""

    phone_number: str
    message: str
    id_sms_api: str
    url: str | UnsetType = UNSET
    priorite: int | UnsetType = UNSET
    date_to_send: str | UnsetType = UNSET

    @property
    def is_urgent(self) -> bool:
        """Whether it goes before all that is not."""
        return self.priorite == Priority.HIGH


class _Contact(Unshown, frozen=True, omit_defaults=True, gc=False):
    phone_number: str
    firstname: str
    lastname: str
    adress: str = ""
    email: str = ""


class Account:
    """Login and access key, as the ``header`` of a request.

    Neither shows in its ``repr``, and it cannot be pickled.
    """

    __slots__ = ("_header",)

    def __init__(self, login: str, access_key: str, *, dry_run: bool = False) -> None:
        self._header = {"login": login, "accessKey": access_key}
        if dry_run:
            self._header["mode"] = "test"

    @property
    def is_dry_run(self) -> bool:
        """Whether the server is asked to answer and do nothing."""
        return "mode" in self._header

    def digest(self, base_url: str) -> str:
        """Return what stands for the login at an address, whatever its key is; it shows neither."""
        from hashlib import sha256  # slow to import, and seldom needed

        told = f"{self._header['login'].strip().casefold()}\n{base_url.casefold()}"
        return sha256(told.encode()).hexdigest()

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("the access key is not pickled")

    def messages(self, messages: Sequence[Message]) -> bytes:
        """Encode a request to send."""
        # A buffer that grows from nothing is copied again and again on its way.
        body = bytearray(_BYTES * len(messages))
        _json.encode_into({"header": self._header, "messages": messages}, body)
        return bytes(body)

    def contacts(self, contacts: Sequence[Contact]) -> bytes:
        """Encode a request to add."""
        rows = [
            _Contact(c.phone_number, c.first_name, c.last_name, c.address, c.email)
            for c in contacts
        ]
        return _json.encode({"header": self._header, "contacts": rows})

    def call(self, phone_number: str) -> bytes:
        """Encode a request to call."""
        call = {"type": "clicToCall", "phone_number": phone_number}
        return _json.encode({"header": self._header | call})


# A subclass of str, such as the templates of web frameworks make, is written as what it says.
_json = Encoder(enc_hook=str.__str__)
