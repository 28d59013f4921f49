"""Asks the ledger what goes now, a claim at a time; claims that wait for a commit share it."""

from __future__ import annotations

from collections.abc import Callable

from insim_async._sending import Room
from insim_async._sqlite import Connection
from insim_async._tasks import wait_whatever_comes
from insim_async.campaigns._claims import Ask, Claim, Hold, Over
from insim_async.campaigns._enrolled import Enrolled
from insim_async.campaigns._ledger import Ledger
from insim_async.campaigns._progress import Progress
from insim_async.campaigns._spending import Pace
from insim_async.campaigns._standing import Outlook
from insim_async.campaigns._states import Move
from insim_async.campaigns._writing import AGAIN_AFTER, UNWRITABLE
from insim_async.errors import LedgerUnavailable

__all__ = ["ClaimAction", "Claiming"]

ClaimAction = Callable[[Connection, Ask], Claim | Hold | Over]


class Claiming:
    """The claims of one run.

    Args:
        ledger: Whose lock is held.
        begun: The campaign as the run found it.
        pace: When it may send.
        progress: Counts, and who is told of them.
        action: The transaction that says what goes.
    """

    def __init__(
        self, ledger: Ledger, begun: Enrolled, pace: Pace, progress: Progress, action: ClaimAction
    ) -> None:
        self._ledger = ledger
        self._begun = begun
        self._pace = pace
        self._progress = progress
        self._outlook = Outlook(begun.campaign, pace.plan)
        self._action = action
        self._after = 0
        self._epoch = begun.epoch
        self._failures = 0
        self._nothing: tuple[object, Claim] | None = None  # as of which version of the file

    async def claim(self, room: Room, failing_since: float | None) -> Claim | Hold | Over:
        """Claim what goes now; where nothing does, say why.

        Cancelled, it returns all the same: what was claimed must be known.

        Raises:
            LedgerUnavailable: The file cannot be written, after a few tries.
        """
        failures = self._failures  # those that share a commit fail together, and count once
        try:
            after = self._after
            found = await self._asked(room, failing_since, after)
            while isinstance(found, Claim) and not found.rows and (found.last or after):
                after = self._after = found.last  # 0: something may have come back
                found = await self._asked(room, failing_since, after)
        except LedgerUnavailable:
            if failures == len(AGAIN_AFTER):
                raise
            self._failures = failures + 1
            return Hold(self._ledger.now + AGAIN_AFTER[failures], UNWRITABLE)
        self._failures = 0
        if isinstance(found, Claim) and found.rows:
            self._after, self._epoch = found.last, max(self._epoch, found.epoch)
            self._ledger.lock.mark(self._epoch)
        elif isinstance(found, Hold):
            self._after = max(self._after, found.after)
        return found

    def look_again_at(self, row: int) -> None:
        """Look at a row with the next claim: it has come back."""
        self._after = min(self._after, row - 1)

    async def _asked(
        self, room: Room, failing_since: float | None, after: int
    ) -> Claim | Hold | Over:
        ask = Ask(
            campaign=self._begun.campaign,
            run=self._begun.run,
            epoch=self._epoch,
            after=after,
            limit=room.messages,
            parts=room.parts,
            rate=self._progress.rate,
            now=self._ledger.now,
            pace=self._pace,
            failing_since=failing_since,
        )
        pending = self._progress.pending
        operation = self._ledger.begin(lambda connection: self._do(connection, ask, pending))
        # Cancelled, it is known afterwards what was claimed; it is unknown then.
        await wait_whatever_comes(operation.settled)
        found = operation.result()
        if isinstance(found, Claim):
            self._progress.moved(Move.SUPPRESS, found.suppressed)
        return found

    def _do(self, connection: Connection, ask: Ask, pending: int) -> Claim | Hold | Over:
        """Claim; where somebody is told, look when all will have ended.

        That nothing was found from the first row on holds as long as nothing in the file changes.
        """
        if not ask.after and self._nothing and self._nothing[0] == _version(connection):
            return self._nothing[1]
        found = self._action(connection, ask)
        if isinstance(found, Claim) and not (found.rows or found.last or ask.after):
            self._nothing = _version(connection), found._replace(suppressed=0)
        if self._progress.is_told:
            waits = isinstance(found, Hold) and not found.is_pace
            self._progress.expected_end = self._outlook.look(
                connection, pending, ask.rate, ask.now, anyway=waits
            )
        return found


def _version(connection: Connection) -> object:
    """Return what is another value whenever this process or another has changed the file."""
    (by_others,) = connection.execute("PRAGMA data_version").fetchone()
    return connection, connection.total_changes, by_others
