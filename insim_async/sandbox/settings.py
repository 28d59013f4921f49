"""What can be set of a sandbox while it runs, checked before it holds."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from insim_async._privacy import Private
from insim_async.sandbox.faults import Kind, Seconds
from insim_async.sandbox.queries import check_callback

__all__ = ["Settings"]

Share = Annotated[float, Meta(ge=0, le=1)]


class Settings(Private, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be set of a sandbox while it runs.

    Args:
        phone_connected: Whether the phone is online; if not, a click-to-call fails with ``#002``.
        callback: Where webhooks go; empty for nowhere.
        callbacks: Where those of one kind go instead.
        sent_after: Seconds after which the phone has sent an SMS.
        received_after: Seconds after which it is then received, or left undelivered.
        delivers: Whether SMS are received in the end.
        fault_rate: Which share of requests meets a fault by chance, from 0 to 1.
        webhook_fault_rate: Which share of webhooks does.
        seed: The same one, with the same requests, gives the same faults.
    """

    _shown: ClassVar[frozenset[str]] = frozenset(
        {"sent_after", "received_after", "fault_rate", "webhook_fault_rate", "seed"}
    )

    phone_connected: bool = True
    callback: str = ""
    callbacks: dict[Kind, str] = msgspec.field(default_factory=dict)
    sent_after: Seconds = 1.0
    received_after: Seconds = 2.0
    delivers: bool = True
    fault_rate: Share = 0.0
    webhook_fault_rate: Share = 0.0
    seed: int = 0

    def changed(self, changes: dict[str, object]) -> Settings:
        """Return the settings with changes.

        Raises:
            ValueError: There is no such setting, or it cannot have that value.
        """
        made = msgspec.convert(msgspec.to_builtins(self) | changes, Settings)
        urls = {kind: check_callback(url) for kind, url in made.callbacks.items()}
        return msgspec.structs.replace(made, callback=check_callback(made.callback), callbacks=urls)

    def callback_for(self, kind: str) -> str:
        """Return where webhooks of a kind go."""
        return next(
            (self.callbacks[each] for each in self.callbacks if each == kind), self.callback
        )
