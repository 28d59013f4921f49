"""One run of a campaign or an outbox: what its workers share, what it learns, and how it ends.

The run is a task of its own, so that whoever awaits it may be cancelled: then nothing more is
claimed, and requests under way have a few seconds to end. A claim is the ``take`` of a delivery.
One worker at a time waits for the pace, the window or the server, at the door. It is opened for the
next one behind each claim; before it where claims come back full, so that several share a commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import anyio

from insim_async._sending import Ending, Room, Seam
from insim_async._sqlite import Connection
from insim_async._tasks import start, wait_whatever_comes
from insim_async._wire import Message
from insim_async.campaigns import _claims, _enrolled, _runs
from insim_async.campaigns._claiming import ClaimAction, Claiming
from insim_async.campaigns._claims import Claim, Hold, Over
from insim_async.campaigns._enrolled import Enrolled
from insim_async.campaigns._ledger import Ledger
from insim_async.campaigns._passage import NO_USE, Passage
from insim_async.campaigns._progress import Progress
from insim_async.campaigns._spending import Claimed, Pace
from insim_async.campaigns._states import CampaignState, Move
from insim_async.campaigns._values import CampaignReport
from insim_async.campaigns._worker import Worker, sorted_out
from insim_async.campaigns._writing import UNWRITABLE, Writer
from insim_async.errors import (
    CampaignStopped,
    ConfigurationError,
    InSimError,
    LedgerUnavailable,
    OutcomeUnknown,
)
from insim_async.models import Outcome, Sms

__all__ = ["Run"]

POLL = 1.0
"""Seconds after which a run that waits looks whether another process has said something."""
GRACE = 5.0
"""Seconds that requests under way have when the run is cancelled."""


class Run:
    """The run.

    Args:
        ledger: Whose lock is held.
        seam: The client.
        begun: The campaign as the run found it.
        pace: When it may send.
        progress: Counts, and who is told of them.
        claim: The transaction that says what goes.
        is_endless: Whether it goes on where nothing gets through: until that is mended.
    """

    def __init__(
        self,
        ledger: Ledger,
        seam: Seam,
        begun: Enrolled,
        pace: Pace,
        progress: Progress,
        *,
        claim: ClaimAction = _claims.claim,
        is_endless: bool = False,
    ) -> None:
        self.door = anyio.Lock(fast_acquire=True)
        self.delivery = seam.delivery
        self.prefix = begun.prefix
        self.flows = False
        self._is_paced = False
        self._slots = seam.slots
        self._ledger = ledger
        self._begun = begun
        self._progress = progress
        self._claiming = Claiming(ledger, begun, pace, progress, claim)
        self._writer = Writer(ledger)
        self._passage = Passage(
            seam.slots,
            lambda: ledger.now,
            begun.failing_since,
            seam.misuse,
            is_endless=is_endless,
        )
        self._over: Over | None = None
        self._cause: InSimError | None = None
        self._hold: Hold | None = None
        self._said: tuple[str, float | None, float | None] = ("", None, begun.failing_since)
        self._news = self._seen = 0
        self._nap: anyio.CancelScope | None = None
        self._scope = anyio.CancelScope()
        self._workers: list[Worker] = []
        self._report: CampaignReport | None = None
        self._failure: BaseException | None = None

    # Its life -----------------------------------------------------------------------------------

    async def go(self) -> CampaignReport:
        """Send all that may be sent, and say how it ended.

        Raises:
            CampaignStopped: It could not go on.
        """
        ended = anyio.Event()
        start(self._keep, ended.set)
        try:
            await ended.wait()
        except BaseException:
            await self._drain(ended)
            raise
        if self._failure is not None:
            raise self._failure
        outside = OutcomeUnknown("the run was cancelled from outside")
        report = self._report or self._progress.report(CampaignState.STOPPED, str(outside))
        cause = self._cause if self._report is not None else outside
        if cause is not None:
            raise CampaignStopped(f"{report.reason}: {cause}", cause=cause, report=report)
        return report

    async def _drain(self, ended: anyio.Event) -> None:
        """Claim nothing more; let requests under way end, for a while or until cancelled again."""
        self._end(Over(CampaignState.OPEN, "its run was cancelled"))
        for worker in self._workers:
            worker.stop_waiting()
        try:
            with anyio.move_on_after(GRACE, shield=True):
                await ended.wait()
        finally:
            self._scope.cancel()
            await wait_whatever_comes(ended)

    async def _keep(self) -> None:
        try:
            with self._scope:
                async with anyio.create_task_group() as group:
                    self._workers = [Worker(self) for _ in range(self._slots)]
                    for worker in self._workers:
                        group.start_soon(worker.work)
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001 - raised where somebody awaits it
            self._failure = error
        await self._conclude(self._over or Over(CampaignState.OPEN, "its run was cancelled"))

    async def _conclude(self, over: Over) -> None:
        """Write what is left to be written, and how it ended."""
        state, reason = over.state, over.reason
        try:
            await self._writer.finish()
            if over.drops is not None:
                drop = partial(_runs.drop, run=self._begun.run, move=over.drops, why=reason)
                await self._ledger.do_in_slices(partial(drop, now=self._ledger.now))
            state, counts = await self._ledger.do(
                partial(
                    _runs.end_run,
                    begun=self._begun,
                    state=state,
                    reason=reason,
                    now=self._ledger.now,
                )
            )
            self._progress.recount(counts)
        except LedgerUnavailable as error:
            self._cause = self._cause or error
            state, reason = CampaignState.STOPPED, reason or UNWRITABLE
        self._report = self._progress.report(state, reason)
        self._progress.expected_end = None
        self._progress.tell(state, reason)

    # What may go --------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Whether nothing will go any more."""
        return self._over is not None

    @property
    def is_probing(self) -> bool:
        """Whether only single messages go, to see whether any gets through."""
        return self._passage.is_blocked

    async def is_ready(self) -> bool:
        """Wait until it is worth asking; return False where nothing will go any more."""
        if self.is_over:
            return False
        if self.is_probing:
            await self._wait_for_probe()
        elif self._hold is not None:
            await self._wait_for(self._hold)
        return not self.is_over

    async def claim(self, room: Room, *, is_probe: bool) -> Claim | None:
        """Claim what goes now; None if nothing does, and then it is known why."""
        if self._is_shut(is_probe=is_probe):
            return None
        self._hold, self._seen = None, self._news
        self._writer.again()
        room = room._replace(messages=1) if is_probe else room
        try:
            found = await self._claiming.claim(room, self._passage.failing_since)
        except LedgerUnavailable as error:
            self._stop(error, UNWRITABLE)
            return None
        match found:
            case Claim():
                self.flows = len(found.rows) == room.messages and not self._is_paced
                return self._claimed(found, is_probe=is_probe)
            case Hold():
                self._hold, self.flows = found, False
                self._is_paced |= found.is_pace
            case _:
                self._end(found)
        return None

    def _is_shut(self, *, is_probe: bool) -> bool:
        """Say whether nothing more may be claimed, but for a probe."""
        return self.is_over or (self.is_probing and not is_probe)

    def _claimed(self, claim: Claim, *, is_probe: bool) -> Claim | None:
        if claim.rows:
            self._progress.moved(Move.CLAIM, len(claim.rows))
            if self._is_shut(is_probe=is_probe):  # meanwhile it was learnt that nothing passes
                self._release(claim, claim.rows)
                return None
            if not self.is_probing:
                self._say("", None)
            return claim
        if claim.is_waiting:
            self._hold = Hold(None, "the last requests are under way", CampaignState.RUNNING)
        else:
            self._end(Over(CampaignState.FINISHED))
        return None

    # What has become of it ----------------------------------------------------------------------

    def note(self, claim: Claim, ending: Ending[Sms, Message, Outcome], *, is_probe: bool) -> None:
        """Learn from how a request ended."""
        results, back = sorted_out(claim, ending)
        record = partial(_claims.record, campaign=self._begun.campaign, results=results)
        self._writer.write(partial(record, now=self._ledger.now))
        for result in results:
            self._progress.moved(result.move, len(result.rows))
        if back:
            self._release(claim, back)
        errors = ending.errors or ()
        if ending.batch.good:
            self._passage.ended(errors, is_probe=is_probe)
        for error in dict.fromkeys(filter(None, errors)):
            self.learn(error)
        if ending.batch.good and self._passage.recovered():
            self._say("", None)
        self._progress.tell(CampaignState.RUNNING)
        self._ledger.tell()
        self.wake()

    def learn(self, error: InSimError) -> None:
        """Stop for what every later request would end in as well; slow down if nothing leaves."""
        if reason := self._passage.learn(error):
            self._stop(error, reason)

    def put_back(self, claim: Claim) -> None:
        """Have back what is proven unsent."""
        self._release(claim, claim.rows)
        if (error := self._passage.put_back()) is not None:
            self.learn(error)
        self.wake()

    def _release(self, claim: Claim, rows: Sequence[Claimed]) -> None:
        self._progress.moved(Move.RELEASE, len(rows))
        self._claiming.look_again_at(rows[0].row)
        release = partial(
            _claims.release,
            campaign=self._begun.campaign,
            rows=[row.row for row in rows],
            minute=claim.minute,
            parts=sum(row.parts for row in rows),
        )
        self._writer.write(partial(release, now=self._ledger.now))

    # Waiting ------------------------------------------------------------------------------------

    async def _wait_for_probe(self) -> None:
        wait = self._passage.wait
        if wait is None:
            self._stop(self._passage.cause, "there was no answer of use for an hour")
            return
        self._say(self._passage.trouble or NO_USE, self._ledger.now + wait)
        await self._sleep(wait)

    async def _wait_for(self, hold: Hold) -> None:
        if hold.state is not CampaignState.RUNNING and not hold.is_pace:
            self._say(hold.reason, hold.until, hold.state)
        left = POLL if hold.until is None else hold.until - self._ledger.now
        if self._news == self._seen:
            await self._sleep(max(0.0, min(left, POLL)))

    async def _sleep(self, seconds: float) -> None:
        with anyio.CancelScope() as self._nap:
            await self._ledger.clock.sleep(seconds)

    def wake(self) -> None:
        """Let whoever waits look again."""
        self._news += 1
        if self._nap is not None and not self.is_probing:
            self._nap.cancel()

    def _say(
        self, reason: str, until: float | None, state: CampaignState = CampaignState.WAITING
    ) -> None:
        """Say why it waits, in the file and to whoever listens; an empty reason ends that."""
        failing_since = self._passage.failing_since
        if (reason, until, failing_since) == self._said:
            return
        self._said = reason, until, failing_since
        self._progress.waits(waiting=bool(reason))
        self._writer.write(self._write_said)
        if reason:
            self._progress.tell(state, reason, until)

    def _write_said(self, connection: Connection) -> None:
        """Write down what was said last; if this failed at first, more was said meanwhile."""
        _enrolled.say(connection, self._begun.campaign, *self._said)

    # Its end ------------------------------------------------------------------------------------

    def _stop(self, cause: InSimError, reason: str) -> None:
        if self._over is None:
            self._cause = cause
            self._end(Over(CampaignState.STOPPED, reason))

    def _end(self, over: Over) -> None:
        if self._over is not None:
            return
        self._over = over
        if over.state is CampaignState.STOPPED and self._cause is None:
            self._cause = ConfigurationError(over.reason)
        if self._nap is not None:
            self._nap.cancel()
