"""The faults that were ordered, first come first served, and those that chance orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from insim_async.sandbox.faults import (
    ApiCall,
    Fault,
    WebhookFault,
    chance_fault,
    chance_webhook_fault,
)
from insim_async.sandbox.settings import Settings
from insim_async.sandbox.shelf import Feed

__all__ = ["Orders"]

Ordered = TypeVar("Ordered", Fault, WebhookFault)


class Orders:
    """Faults that are still to happen, by number.

    Args:
        feed: Is told of each change.
        new_key: Makes numbers.
    """

    def __init__(self, feed: Feed, new_key: Callable[[], int]) -> None:
        self.faults: dict[int, Fault | WebhookFault] = {}
        self._feed = feed
        self._new_key = new_key

    def add(self, fault: Fault | WebhookFault) -> int:
        """Order a fault, behind those that were ordered before it.

        Raises:
            ValueError: It has a value that its kind cannot have.
        """
        msgspec.convert(msgspec.structs.asdict(fault), type(fault))
        number = self._new_key()
        self.faults[number] = fault
        self._feed.note("faults")
        return number

    def take_back(self, number: int) -> bool:
        """Take a fault back; return whether it was still to happen."""
        if self.faults.pop(number, None) is None:
            return False
        self._feed.note("faults")
        return True

    def clear(self) -> None:
        """Take all back."""
        self.faults.clear()
        self._feed.note("faults")

    def for_request(
        self, path: ApiCall, number: int, settings: Settings, *, in_process: bool
    ) -> Fault:
        """Take the fault that is due for a request, or one without effect."""

        def fits(fault: Fault) -> bool:
            return fault.path in (None, path) and (in_process or not fault.unsent)

        by_chance = chance_fault(settings.seed, settings.fault_rate, number)
        return self._take(Fault, fits) or by_chance or Fault()

    def for_webhook(self, kind: str, number: int, settings: Settings) -> WebhookFault:
        """Take the fault that is due for a webhook, or one without effect."""

        def fits(fault: WebhookFault) -> bool:
            return fault.kind in (None, kind)

        by_chance = chance_webhook_fault(settings.seed, settings.webhook_fault_rate, number)
        return self._take(WebhookFault, fits) or by_chance or WebhookFault()

    def _take(self, wanted: type[Ordered], fits: Callable[[Ordered], bool]) -> Ordered | None:
        for number, fault in self.faults.items():
            if isinstance(fault, wanted) and fits(fault):
                if fault.times == 1:
                    del self.faults[number]
                else:
                    self.faults[number] = replace(fault, times=fault.times - 1)
                self._feed.note("faults")
                return fault
        return None
