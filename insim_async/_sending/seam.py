"""What a campaign or an outbox asks of a client: its way to send, and whose account it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo

from msgspec import Struct

from insim_async._sending.checks import Rules
from insim_async._sending.delivery import Delivery
from insim_async._wire import Message
from insim_async.errors import ConfigurationError
from insim_async.models import Outcome, Sms

__all__ = ["Seam"]


class Seam(Struct, frozen=True, kw_only=True, eq=False):
    """A client, as those see it who keep what they send.

    Attributes:
        delivery: Sends what a ``Supply`` has.
        account: Stands for login and address together, and shows neither.
        is_dry_run: Whether the server is asked to do nothing.
        rules: What the client was told about its account.
        slots: Requests under way at a time.
        misuse: Says why nothing can be sent from here, if so.
    """

    delivery: Delivery[Sms, Message, Outcome]
    account: str
    is_dry_run: bool
    rules: Rules
    slots: int
    misuse: Callable[[], ConfigurationError | None]

    @property
    def timezone(self) -> tzinfo | None:
        """The account's own zone."""
        return self.rules.timezone
