"""What each person of a list is to be told: templates filled in, numbers and texts checked.

Every row becomes a message or a refusal with its line. Nothing here is stored.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping, Sequence
from contextlib import aclosing, nullcontext
from hashlib import sha256
from itertools import islice
from types import AsyncGeneratorType
from typing import Any

import msgspec
from anyio.lowlevel import checkpoint

from insim_async import numbers, segments
from insim_async._sending import Rules, check_sms
from insim_async.campaigns._fast import Alike, alike
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
_ANY_ID = "x" * 32
"""As long as the id of a message is at most, in place of which it stands in a link."""


class Texts:
    """The text of a campaign, for each person of a list.

    Args:
        text: The template of the text.
        url: The template of the link; may hold ``{sms_id}``.
        priority: Of all.
        rules: What may be sent.

    Attributes:
        refused: The rows that got no message.

    Raises:
        InvalidMessage: A template cannot be read.
        ConfigurationError: The link would hold the number.
    """

    def __init__(self, text: str, url: str, priority: Priority, rules: Rules) -> None:
        for name, given in (("text", text), ("url", url)):
            if not isinstance(given, str):
                raise ConfigurationError(f"{name}: expected text, got {type(given).__name__}")
        self.refused: list[Refusal] = []
        self.digest = sha256(f"{text}\0{url}\0{int(priority)}".encode(errors="replace")).hexdigest()
        self._text = Template.parse(text)
        self._url = Template.parse(url, part="url")
        self._priority = priority
        self._rules = rules
        self._constant = self._counted("" if self._text.fields else self._text.fill({}))
        self._constant_url = "" if self._url.fields else self._url.fill({})
        self._is_same = not (self._text.fields or url or _needs_a_look(*self._constant))
        if any(name.casefold() == "phone_number" for name in self._url.fields):
            raise ConfigurationError(
                "url: the number would stand in links and logs; use {sms_id} to know who it was"
            )

    async def slices(self, given: Given) -> AsyncGenerator[str | Alike, None]:
        """Yield the messages of a list in slices, as JSON: line, number, text, link and parts.

        Raises:
            InvalidMessage: A template names a field that the list has not.
        """
        if isinstance(given, Recipients) and given.rows:
            known = [*_FIELDS, *given.rows[0].cells]
            self._text.check(known)
            self._url.check([*known, "sms_id"])
        first = 1
        async with aclosing(_slices(given)) as slices:
            async for some in slices:
                alike_ = alike(some, first, *self._constant) if self._is_same else None
                yield alike_ or self._slice(some, first)
                first += len(some)

    def _slice(self, some: Sequence[object], first: int) -> str:
        """Return some rows of a list as JSON, without those that are refused."""
        good: list[tuple[int, int, str, str, int]] = []
        for place, each in enumerate(some, first):
            line, contact, cells = _as_row(place, each)
            try:
                good.append(self._row(line, contact, cells))
            except InvalidMessage as error:
                self.refused.append(Refusal(line=line, reason=str(error), row=cells))
        return msgspec.json.encode(good).decode()

    def _row(
        self, line: int, contact: object, cells: Mapping[str, Any]
    ) -> tuple[int, int, str, str, int]:
        if not isinstance(contact, Contact):
            raise InvalidMessage("contact", f"expected a Contact, got {type(contact).__name__}")
        number = numbers.check(contact.phone_number)
        if isinstance(number, InvalidMessage):
            raise number
        text, parts = self._constant
        url = self._constant_url
        if self._text.fields or self._url.fields:
            fields = {name: getattr(contact, name) for name in _FIELDS} | dict(cells)
            if self._text.fields:
                text, parts = self._counted(self._text.fill(fields))
            if self._url.fields:
                url = self._url.fill(fields | {"sms_id": "{sms_id}"})
        if number[-9:] in url:
            raise InvalidMessage("url", "it holds the number, which would stand in links and logs")
        if url or _needs_a_look(text, parts):
            self._check(number, text, url)
        return line, int(number[1:]), text, url, parts

    def _counted(self, text: str) -> tuple[str, int]:
        try:
            return text, segments.count(text).parts
        except ValueError as error:
            raise InvalidMessage("message", str(error)) from None

    def _check(self, number: str, text: str, url: str) -> None:
        sms = Sms(number, text, url=url.replace(SMS_ID, _ANY_ID), priority=self._priority)
        checked = check_sms(sms, self._rules, _ANY_ID, None)
        if isinstance(checked, InvalidMessage):
            raise checked


def _needs_a_look(text: str, parts: int) -> bool:
    """Say whether a text might be refused."""
    return "[" in text or parts != 1 or text.isspace() or not text.isprintable()


def _slices(given: Given) -> AsyncGenerator[Sequence[object], None]:
    """Return what a list holds, some rows at a time; others have their turn between them."""
    if isinstance(given, Recipients):
        return _cut(given.rows)
    if isinstance(given, AsyncIterable):
        return _drawn(given)
    if isinstance(given, Iterable) and not isinstance(given, str | bytes | Mapping):
        return _cut(given)
    raise ConfigurationError(
        f"recipients: expected a list of contacts, got {type(given).__name__} (a file is read with "
        "read_csv)"
    )


async def _cut(given: Iterable[object]) -> AsyncGenerator[Sequence[object], None]:
    rows = iter(given)
    while some := list(islice(rows, SLICE)):
        yield some
        await checkpoint()


async def _drawn(given: AsyncIterable[object]) -> AsyncGenerator[Sequence[object], None]:
    some: list[object] = []
    async with aclosing(given) if isinstance(given, AsyncGeneratorType) else nullcontext():
        async for each in given:
            some.append(each)
            if len(some) == SLICE:
                yield some
                some = []
    yield some


def _as_row(place: int, each: object) -> tuple[int, object, Mapping[str, Any]]:
    """Return the line of a row, or its place, its contact, and whatever columns it has."""
    if isinstance(each, Row):
        return each.line, each.contact, each.cells
    if isinstance(each, Mapping):
        known = {name: str(each[name]) for name in _FIELDS if each.get(name) is not None}
        return place, Contact(known.pop("phone_number", ""), **known), each
    return place, each, {}
