"""What may become of a message: its states, and the moves between them, as values and a table.

::

                  ┌──────────── released: proven unsent ───────────┐
                  ▼                                                │
    pending ──claimed──▶ in_flight ──answered──▶ sent | refused    │
      │ ▲  ▲                │  │                                   │
      │ │  └────────────────┴──┼───────────────────────────────────┘
      │ │                      └─no answer, or a crash─▶ unknown ──a report, a person─▶ sent
      │ └──────── retried: not_sent;  resent under a new id: unknown
      └─▶ suppressed | expired | cancelled | not_sent     not_sent: it cannot go as it is

The SQL that moves rows is made from this table, so that there is no second opinion. What becomes of
a delivery only ever rises: none, sent, received.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

__all__ = [
    "FINAL",
    "MOVES",
    "CampaignState",
    "Delivery",
    "MessageStatus",
    "Move",
    "after",
    "code_of",
    "higher",
]


class MessageStatus(StrEnum):
    """How far a message has come; a status equals its word.

    ``PENDING`` and ``IN_FLIGHT`` are on their way; all others are final, ``UNKNOWN`` until
    something settles it.
    """

    PENDING = "pending"
    """It waits for its turn; nothing of it was sent."""
    IN_FLIGHT = "in_flight"
    """Its request may have left, and has no answer yet."""
    SENT = "sent"
    """The server took it to be sent, or a delivery report or a click says so."""
    REFUSED = "refused"
    """The server said no."""
    NOT_SENT = "not_sent"
    """It cannot go out as it is; nothing was sent. ``retry()`` lets it try again."""
    UNKNOWN = "unknown"
    """It may have been sent; it is never sent again on its own."""
    SUPPRESSED = "suppressed"
    """Its recipient had opted out when its turn came; nothing was sent."""
    EXPIRED = "expired"
    """``until`` was over before its turn came; nothing was sent."""
    CANCELLED = "cancelled"
    """The campaign was cancelled before its turn came; nothing was sent."""


class Delivery(StrEnum):
    """What delivery reports and clicks say of a message; it only ever rises."""

    NONE = "none"
    SENT = "sent"
    """It left the phone."""
    RECEIVED = "received"
    """It reached its recipient."""


class CampaignState(StrEnum):
    """What a campaign does; a state equals its word."""

    OPEN = "open"
    """It has messages to send, or none yet, and nobody runs it."""
    RUNNING = "running"
    WAITING = "waiting"
    """It runs, and waits: for its window, for a limit, for the server. ``reason`` says which."""
    PAUSED = "paused"
    STOPPED = "stopped"
    """Its last run could not go on; ``reason`` says why. The next run goes on."""
    CANCELLED = "cancelled"
    FINISHED = "finished"
    """Every message has an end; nothing is left to be sent."""


class Move(enum.Enum):
    """What can happen to a message."""

    CLAIM = enum.auto()
    RELEASE = enum.auto()
    SUPPRESS = enum.auto()
    EXPIRE = enum.auto()
    CANCEL = enum.auto()
    ANSWER_SENT = enum.auto()
    ANSWER_REFUSED = enum.auto()
    UNFIT = enum.auto()
    GIVE_UP = enum.auto()
    LOSE = enum.auto()
    REPORT = enum.auto()
    SETTLE_SENT = enum.auto()
    SETTLE_REFUSED = enum.auto()
    SETTLE_NOT_SENT = enum.auto()
    RETRY = enum.auto()
    RESEND = enum.auto()
    RESTORE = enum.auto()


_PENDING, _IN_FLIGHT = MessageStatus.PENDING, MessageStatus.IN_FLIGHT
_SENT, _REFUSED = MessageStatus.SENT, MessageStatus.REFUSED
_NOT_SENT, _UNKNOWN = MessageStatus.NOT_SENT, MessageStatus.UNKNOWN

MOVES: Final[Mapping[Move, tuple[tuple[MessageStatus, ...], MessageStatus]]] = {
    Move.CLAIM: ((_PENDING,), _IN_FLIGHT),
    # The request is proven unsent: nobody got it, and it may go again.
    Move.RELEASE: ((_IN_FLIGHT,), _PENDING),
    Move.SUPPRESS: ((_PENDING,), MessageStatus.SUPPRESSED),
    Move.EXPIRE: ((_PENDING,), MessageStatus.EXPIRED),
    Move.CANCEL: ((_PENDING,), MessageStatus.CANCELLED),
    # An answer that comes when the row was given up already is believed; a report came before it
    # where the row is sent, and is believed more.
    Move.ANSWER_SENT: ((_IN_FLIGHT, _UNKNOWN), _SENT),
    Move.ANSWER_REFUSED: ((_IN_FLIGHT, _UNKNOWN), _REFUSED),
    Move.UNFIT: ((_IN_FLIGHT,), _NOT_SENT),
    # Of an outbox: nothing got through for long, or no limit will ever let it go.
    Move.GIVE_UP: ((_PENDING,), _NOT_SENT),
    # Most rows that are in flight when a process dies HAD been sent: never back to pending.
    Move.LOSE: ((_IN_FLIGHT,), _UNKNOWN),
    # A pending row of which a report speaks was sent by somebody: an older copy was put back.
    Move.REPORT: ((_PENDING, _IN_FLIGHT, _UNKNOWN), _SENT),
    Move.SETTLE_SENT: ((_UNKNOWN,), _SENT),
    Move.SETTLE_REFUSED: ((_UNKNOWN,), _REFUSED),
    Move.SETTLE_NOT_SENT: ((_UNKNOWN,), _NOT_SENT),
    Move.RETRY: ((_NOT_SENT,), _PENDING),  # but not where a report speaks of it
    Move.RESEND: ((_UNKNOWN,), _PENDING),
    Move.RESTORE: ((_PENDING, _IN_FLIGHT), _UNKNOWN),
}
"""From which states each move leads to which; from any other it changes nothing."""

FINAL: Final = frozenset(MessageStatus) - {_PENDING, _IN_FLIGHT}
_CODES = {status: code for code, status in enumerate(MessageStatus)}
_DELIVERIES = list(Delivery)


def after(status: MessageStatus, move: Move) -> MessageStatus:
    """Return the state after a move: the same where the move changes nothing."""
    sources, target = MOVES[move]
    return target if status in sources else status


def higher(delivery: Delivery, reported: Delivery) -> Delivery:
    """Return what is known of a delivery after one more report."""
    return max(delivery, reported, key=_DELIVERIES.index)


def code_of(status: MessageStatus) -> int:
    """Return the number that stands for a state in the file."""
    return _CODES[status]
