"""What users hold: messages and contacts go out; receipts, results and outcomes come back.

All are frozen, and none shows a person's number or text in its ``repr``: what is logged by accident
stays private.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, cast

from msgspec import Struct, field

from insim_async._privacy import Private
from insim_async.errors import InSimError, OutcomeUnknown, Refused, afresh

__all__ = [
    "BulkReport",
    "CallResult",
    "Contact",
    "ContactResult",
    "Outcome",
    "Priority",
    "Progress",
    "Sms",
    "SmsReceipt",
    "Status",
]


class Priority(enum.IntEnum):
    """How urgently the phone takes a message from its queue.

    ``HIGH`` also goes first where messages of this client wait for their turn.
    """

    LOW = 0
    NORMAL = 1
    HIGH = 2


class Status(enum.StrEnum):
    """How a message ended; each ends in exactly one of these.

    A status equals its text: ``"sent"`` and so on.
    """

    SENT = "sent"
    """The server says that it took it to be sent."""
    REFUSED = "refused"
    """The server says that it did not."""
    NOT_SENT = "not_sent"
    """It never left this machine, or the server put it off (429), or the address was wrong (a
    redirect, 404 or 405). Nothing was sent; sending it again is safe once the reason is mended."""
    UNKNOWN = "unknown"
    """It may have been sent; it is never sent again on its own."""


_SENT = Status.SENT  # looking up a member costs more than all else that is done with most outcomes


class _Addressed(Private, frozen=True):
    phone_number: str
    message: str


class Sms(_Addressed, frozen=True, kw_only=True, gc=False):
    """A message to send. It is checked when it is sent, not when it is built.

    Args:
        phone_number: The recipient, ``+`` and country code first; spaces, dots, dashes and brackets
            do not matter. In national format only with a client that was given a ``region``.
        message: The text. ``[Lien_Tracking]`` in it becomes a tracked short link to ``url``, and
            needs one.
        url: The link to track, ``http`` or ``https``. Without the placeholder in the text it goes
            out as given: the vendor documents it as an "optional URL to include in the message".
        priority: How urgently the phone takes it.
        send_at: When to send. Naive: goes out as it is, in the account's own zone. Aware: only with
            a client that was given the account's ``timezone``, and not more than a day ago.
        sms_id: Your own id, 1 to 128 characters of ``A-Z a-z 0-9 . _ ~ : / @ + = -``; receipts,
            clicks and delivery reports carry it. By default a random one is made.
    """

    _shown: ClassVar[frozenset[str]] = frozenset({"send_at", "sms_id"})

    url: str = ""
    priority: Priority = Priority.NORMAL
    send_at: datetime | None = None
    sms_id: str | None = None


class _Numbered(Private, frozen=True):
    phone_number: str


class Contact(_Numbered, frozen=True, kw_only=True):
    """A contact to add, or to update where its number is known already.

    Args:
        phone_number: As for ``Sms``.
        first_name: Empty where it is not known, as all that follows.
        last_name: The family name.
        address: In one line or several.
        email: inSIM takes a wrong one with a warning, ``#004``.
    """

    first_name: str = ""
    last_name: str = ""
    address: str = ""
    email: str = ""


_OF_A_RECEIPT = {
    "sms_id": "id_sms_api",
    "parts": "sms_per_message",
    "sent_at": "sent_time",
    "account": "user",
}
"""The names of a receipt's fields in JSON, where they differ: those of the documented answer."""


class SmsReceipt(
    Private, frozen=True, kw_only=True, eq=False, gc=False, omit_defaults=True, rename=_OF_A_RECEIPT
):
    """What the server says of one message.

    As JSON (by msgspec) it is the row of the answer as inSIM documents it.

    Attributes:
        sms_id: The id that delivery reports and clicks will carry.
        phone_number: The recipient, as the server writes it.
        message: The text as the server repeats it: a footer and the short link may have been added,
            and it may be percent-encoded.
        parts: How many SMS the text takes (and costs); 0 where the answer does not say.
        sent: Whether it was taken to be sent.
        sent_at: When; aware where the answer names a zone, None where it has no readable date.
        account: The e-mail of the sending account.
        errors: The vendor's codes, ``#001`` to ``#007``.
    """

    _shown: ClassVar[frozenset[str]] = frozenset({"sms_id", "parts", "sent_at"})

    # In the order of the documented answer: msgspec looks for a name first behind the one before.
    sms_id: str
    parts: int
    account: str
    sent_at: datetime | None
    phone_number: str
    message: str
    sent: bool
    errors: tuple[str, ...] = ()
    _more: dict[str, Any] | None = field(default=None, name="extra")

    @property
    def extra(self) -> Mapping[str, Any]:
        """The fields of the answer that have no name here.

        They are read when first asked for, and are no part of the receipt's JSON.
        """
        more = self._more
        return more.of(self) if isinstance(more, Unnamed) else more or {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SmsReceipt) and self._facts() == other._facts()

    def __ne__(self, other: object) -> bool:  # that of msgspec looks at the fields
        return not self == other

    def __hash__(self) -> int:
        return hash(self.sms_id)

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (self._facts(), dict(self.extra))

    def _facts(self) -> dict[str, Any]:
        return {
            name: getattr(self, name) for name in SmsReceipt.__struct_fields__ if name != "_more"
        }


class Unnamed(dict[str, Any]):
    """The fields of an answer that have no name here.

    msgspec sees an empty object, so that a receipt's JSON is always the same.
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        super().__init__()
        self._fields = fields

    def of(self, receipt: SmsReceipt) -> Mapping[str, Any]:  # noqa: ARG002 - another may be read for several receipts
        """Return the fields that belong to a receipt."""
        return self._fields


def _received(facts: dict[str, Any], extra: dict[str, Any]) -> SmsReceipt:
    return SmsReceipt(**facts, _more=Unnamed(extra))


class ContactResult(Private, frozen=True):
    """What became of one contact.

    Attributes:
        phone_number: As the server writes it; as you gave it where no answer says anything of it.
        first_name: As its number, like all that follow.
        last_name: The family name.
        address: In one line or several.
        email: Perhaps a wrong one; see ``warnings``.
        ok: Whether it was added or updated.
        errors: The vendor's codes, or a sentence where it was refused before anything was sent.
        extra: Fields of the answer that have no name here.
        error: Why it was not added, or why nobody knows; None exactly if ``ok``. ``Refused``: the
            server said no. ``InvalidMessage``: it cannot be sent as it is. ``NotSent``: nothing
            left. ``OutcomeUnknown``: it may have been added, and adding it again is safe.
    """

    _shown: ClassVar[frozenset[str]] = frozenset({"error"})

    phone_number: str
    first_name: str = ""
    last_name: str = ""
    address: str = ""
    email: str = ""
    ok: bool = False
    errors: tuple[str, ...] = ()
    extra: Mapping[str, Any] = {}
    error: InSimError | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of ``errors`` that did not keep the contact out.

        Such as ``#004``, for an invalid e-mail.
        """
        return tuple(code for code in self.errors if self.ok or code == "#004")


class CallResult(Private, frozen=True, kw_only=True):
    """Whether the servers took the call; it does not say that the phone rang.

    Attributes:
        ok: Whether the request reached the servers.
        info: The server's own words.
        errors: ``#001``: the servers are down. ``#002``: phone not connected, or inSIM not running
            on it.
        extra: Fields of the answer that have no name here.
    """

    ok: bool
    info: str = ""
    errors: tuple[str, ...] = ()
    extra: Mapping[str, Any] = {}


class Outcome(Private, frozen=True):
    """How one message ended.

    Attributes:
        sms: The message as it was given.
        receipt: What the server said of it; None where it said nothing of it.
        error: Why it was not sent, or why nobody knows: what ``send_sms`` would have raised. None
            if it was sent.
    """

    _shown: ClassVar[frozenset[str]] = frozenset({"error"})

    sms: Sms
    receipt: SmsReceipt | None = None
    error: InSimError | None = None

    @property
    def status(self) -> Status:
        """How it ended, as ``error`` alone decides."""
        if self.error is None:
            return _SENT
        match self.error:
            case Refused():
                return Status.REFUSED
            case OutcomeUnknown():
                return Status.UNKNOWN
            case _:
                return Status.NOT_SENT

    def unwrap(self) -> SmsReceipt:
        """Return the receipt of a message that was sent, or raise why it was not.

        What is raised equals ``error`` in kind, words and facts, but is an exception of its own
        each time: messages that travelled together may share an error, and an exception that is
        raised again and again keeps every frame.

        Raises:
            InSimError: What ``send_sms`` would have raised.
        """
        if self.error is not None:
            raise afresh(self.error)
        return cast(SmsReceipt, self.receipt)

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("status", self.status), *super().__rich_repr__()]


class BulkReport(Private, frozen=True):
    """How each message of a bulk call ended, and how many ended how.

    Attributes:
        outcomes: One for each message, in the order of the input.
        sent: How many were sent.
        refused: How many the server refused.
        not_sent: Of how many nothing left.
        unknown: How many may have been sent.
    """

    _shown: ClassVar[frozenset[str]] = frozenset({"sent", "refused", "not_sent", "unknown"})

    outcomes: Sequence[Outcome]
    sent: int = 0
    refused: int = 0
    not_sent: int = 0
    unknown: int = 0


class Progress(Struct, frozen=True, kw_only=True):
    """How far a bulk call has come.

    Attributes:
        done: Messages that have ended, the sum of the four below.
        total: How many there are; None where the input does not know its length.
        sent: How many were sent.
        refused: How many the server refused.
        not_sent: Of how many nothing left.
        unknown: How many may have been sent.
        rate: Messages a second since the call began.
    """

    done: int
    total: int | None
    sent: int
    refused: int
    not_sent: int
    unknown: int
    rate: float
