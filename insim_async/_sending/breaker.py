"""The circuit breaker of a bulk call: when to stop believing that anything arrives.

Without I/O and without a clock.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Breaker"]

IN_A_ROW = 3
"""So many requests in a row that end wholly unknown open it: a captive portal, a dying server."""


class Breaker:
    """Whether to go on sending.

    ::

        closed ──3 in a row wholly unknown──▶ open ──a probe fails, no wait is left──▶ given up
           ▲                                    │
           └────────── anything is known ───────┘

    Args:
        waits: Seconds before each probe, which is one message alone.
    """

    def __init__(self, waits: Sequence[float] = (1.0, 5.0, 25.0)) -> None:
        self._waits = waits
        self._in_a_row = 0
        self._failed = 0

    @property
    def is_open(self) -> bool:
        """Whether only probes may be sent."""
        return self._in_a_row >= IN_A_ROW

    @property
    def wait(self) -> float | None:
        """Seconds until the next probe; None where there has been the last."""
        return self._waits[self._failed] if self._failed < len(self._waits) else None

    def ended(self, *, unknown: bool, probe: bool) -> None:
        """Say how a request ended.

        Args:
            unknown: Whether nothing is known of any message in it.
            probe: Whether it was sent after a wait, to see.
        """
        if not unknown:
            self._in_a_row = self._failed = 0
        elif probe:
            self._failed += 1
        else:
            self._in_a_row += 1

    def trip(self) -> None:
        """Open it at once: it is known that nothing gets through."""
        self._in_a_row = IN_A_ROW
