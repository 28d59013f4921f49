"""What each person of a list is to be told: templates filled in, numbers and texts checked.

Every row becomes a message or a refusal with its line. Nothing here is stored.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from hashlib import sha256
from types import AsyncGeneratorType
from typing import Any

import msgspec
from anyio.lowlevel import checkpoint

from insim_async import numbers, segments
from insim_async._sending import Rules, check_sms
from insim_async.campaigns._rows import SMS_ID
from insim_async.campaigns._templates import Template
from insim_async.errors import ConfigurationError, InvalidMessage
from insim_async.models import Contact, Priority, Sms
from insim_async.recipients import Recipients, Refusal, Row

__all__ = ["Given", "Texts"]

Given = (
    Recipients | Iterable[Contact | Mapping[str, Any]] | AsyncIterable[Contact | Mapping[str, Any]]
)

SLICE = 500
"""Rows that are written at a time; between two slices others have their turn."""
_FIELDS = Contact.__struct_fields__
_RULES = Rules()


class Texts:
    """The text of a campaign, for each person of a list.

    Args:
        text: The template of the text.
        url: The template of the link; may hold ``{sms_id}``.
        priority: Of all.

    Attributes:
        refused: The rows that got no message.

    Raises:
        InvalidMessage: A template cannot be read.
        ConfigurationError: The link would hold the number.
    """

    def __init__(self, text: str, url: str, priority: Priority) -> None:
        for name, given in (("text", text), ("url", url)):
            if not isinstance(given, str):
                raise ConfigurationError(f"{name}: expected text, got {type(given).__name__}")
        self.refused: list[Refusal] = []
        self.digest = sha256(f"{text}\0{url}\0{int(priority)}".encode(errors="replace")).hexdigest()
        self._text = Template.parse(text)
        self._url = Template.parse(url, part="url")
        self._priority = priority
        self._constant = self._counted("" if self._text.fields else self._text.fill({}))
        if any(name.casefold() == "phone_number" for name in self._url.fields):
            raise ConfigurationError(
                "url: the number would stand in links and logs; use {sms_id} to know who it was"
            )

    async def slices(self, given: Given) -> AsyncIterator[str]:
        """Yield the messages of a list in slices, as JSON: line, number, text, link and parts.

        Raises:
            InvalidMessage: A template names a field that the list has not.
        """
        if isinstance(given, Recipients) and given.rows:
            known = [*_FIELDS, *given.rows[0].cells]
            self._text.check(known)
            self._url.check([*known, "sms_id"])
        some: list[tuple[int, int, str, str, int]] = []
        async for line, contact, cells in _rows(given):
            try:
                some.append(self._row(line, contact, cells))
            except InvalidMessage as error:
                self.refused.append(Refusal(line=line, reason=str(error), row=cells))
            if len(some) == SLICE:
                yield msgspec.json.encode(some).decode()
                some = []
        yield msgspec.json.encode(some).decode()

    def _row(
        self, line: int, contact: object, cells: Mapping[str, Any]
    ) -> tuple[int, int, str, str, int]:
        if not isinstance(contact, Contact):
            raise InvalidMessage("contact", f"expected a Contact, got {type(contact).__name__}")
        number = numbers.check(contact.phone_number)
        if isinstance(number, InvalidMessage):
            raise number
        text, parts = self._constant
        url = ""
        if self._text.fields or self._url.fields:
            fields = {name: getattr(contact, name) for name in _FIELDS} | dict(cells)
            if self._text.fields:
                text, parts = self._counted(self._text.fill(fields))
            if self._url.fields:
                url = self._url.fill(fields | {"sms_id": "{sms_id}"})
        if not self._url.fields:
            url = self._url.fill({})
        if number[-9:] in url:
            raise InvalidMessage("url", "it holds the number, which would stand in links and logs")
        if url or "[" in text or parts > 1 or text.isspace() or not text.isprintable():
            self._check(number, text, url)
        return line, int(number[1:]), text, url, parts

    def _counted(self, text: str) -> tuple[str, int]:
        try:
            return text, segments.count(text).parts
        except ValueError as error:
            raise InvalidMessage("message", str(error)) from None

    def _check(self, number: str, text: str, url: str) -> None:
        sms = Sms(number, text, url=url.replace(SMS_ID, "x"), priority=self._priority)
        checked = check_sms(sms, _RULES, "x", None)
        if isinstance(checked, InvalidMessage):
            raise checked


async def _rows(given: Given) -> AsyncIterator[tuple[int, object, Mapping[str, Any]]]:
    """Yield each row with its line, or its place from 1, and whatever columns it has."""
    place = 0
    if isinstance(given, Recipients):
        for row in given.rows:
            yield row.line, row.contact, row.cells
            place = await _breathe(place)
    elif isinstance(given, AsyncGeneratorType):
        async with aclosing(given):
            async for each in given:
                place += 1
                yield place, *_as_row(each)
    elif isinstance(given, AsyncIterable):
        async for each in given:
            place += 1
            yield place, *_as_row(each)
    elif isinstance(given, Iterable) and not isinstance(given, str | bytes | Mapping):
        for each in given:
            place = await _breathe(place)
            yield place, *_as_row(each)
    else:
        raise ConfigurationError(
            f"recipients: expected a list of contacts, got {type(given).__name__}"
        )


async def _breathe(place: int) -> int:
    """Let others have their turn, now and then."""
    if place % SLICE == 0:
        await checkpoint()
    return place + 1


def _as_row(each: object) -> tuple[object, Mapping[str, Any]]:
    if isinstance(each, Row):
        return each.contact, each.cells
    if isinstance(each, Contact):
        return each, {}
    if isinstance(each, Mapping):
        known = {name: str(each[name]) for name in _FIELDS if each.get(name) is not None}
        return Contact(known.pop("phone_number", ""), **known), each
    return each, {}
