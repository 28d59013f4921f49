"""One run of a campaign or an outbox: what its workers share, what it learns, and how it ends.

The run is a task of its own, so that whoever awaits it may be cancelled: then nothing more is
claimed, and requests under way have a few seconds to end. A claim is the ``take`` of a delivery.
One worker at a time waits for the pace, the window or the server, at the door; it is opened for the
next one behind each claim.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

import anyio

from insim_async._sending import Breaker, Ending, Room, Seam
from insim_async._sqlite import Action, Connection
from insim_async._tasks import start, wait_whatever_comes
from insim_async._wire import Message
from insim_async.campaigns import _claims, _rows
from insim_async.campaigns._claims import Ask, Claim, Hold, Over
from insim_async.campaigns._ledger import Ledger
from insim_async.campaigns._progress import Progress
from insim_async.campaigns._rows import Enrolled
from insim_async.campaigns._spending import Claimed, Pace
from insim_async.campaigns._standing import Outlook
from insim_async.campaigns._states import CampaignState, Move
from insim_async.campaigns._values import CampaignReport
from insim_async.campaigns._worker import Worker, sorted_out
from insim_async.campaigns._writing import AGAIN_AFTER, Writer
from insim_async.errors import (
    AuthenticationFailed,
    CampaignStopped,
    ConfigurationError,
    InSimError,
    LedgerUnavailable,
    NotSent,
    OutcomeUnknown,
)
from insim_async.models import Outcome, Sms

__all__ = ["Run"]

POLL = 1.0
"""Seconds after which a run that waits looks whether another process has said something."""
GRACE = 5.0
"""Seconds that requests under way have when the run is cancelled."""
PROBES = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, *[600.0] * 5)
"""Seconds before each probe of a server that gives no answer of use: an hour in all."""
ATTEMPTS = 3
"""As many for each slot as are put back in a row mean that nothing gets through."""
SELDOM = 3600.0
"""Seconds between later probes, of a run without an end, where each may cost a message its fate."""
NO_USE = "the server gives no answer of use"
REFUSED = "login or access key were refused"
UNSENDABLE = "nothing can be sent"
_USELESS = OutcomeUnknown | NotSent | AuthenticationFailed | ConfigurationError

logger: logging.Logger = logging.getLogger("insim_async")
ClaimAction = Callable[[Connection, Ask], Claim | Hold | Over]


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
        self._slots = seam.slots
        self._ledger = ledger
        self._begun = begun
        self._pace = pace
        self._progress = progress
        self._outlook = Outlook(begun.campaign, pace.plan)
        self._writer = Writer(ledger)
        self._breaker = Breaker(PROBES)
        self._over: Over | None = None
        self._cause: InSimError | None = None
        self._useless: InSimError = OutcomeUnknown("there was no answer of use")
        self._hold: Hold | None = None
        self._said: tuple[str, float | None, float | None] = ("", None, begun.failing_since)
        self._take = claim
        self._is_endless = is_endless
        self._misuse = seam.misuse
        self._trouble = ""
        self._failing_since = begun.failing_since
        self._news = self._seen = 0
        self._after = 0
        self._epoch = begun.epoch
        self._failed_claims = 0
        self._put_back = 0
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
            state, counts = await self._ledger.do(
                partial(
                    _rows.end_run,
                    begun=self._begun,
                    state=state,
                    reason=reason,
                    now=self._ledger.now,
                )
            )
            self._progress.recount(counts)
        except LedgerUnavailable as error:
            self._cause = self._cause or error
            state, reason = CampaignState.STOPPED, reason or "the ledger cannot be written"
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
        return self._breaker.is_open

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
        if self.is_over or (self.is_probing and not is_probe):
            return None
        self._hold = None
        self._writer.again()
        room = room._replace(messages=1) if is_probe else room
        found = await self._asked(room, self._after)
        if isinstance(found, Claim) and not found.rows and self._after:
            self._after = 0  # something may have come back, or been added behind
            found = await self._asked(room, 0)
        match found:
            case Claim() if found.rows and (self.is_over or (self.is_probing and not is_probe)):
                # Meanwhile it was learnt that nothing passes.
                self._progress.moved(Move.CLAIM, len(found.rows))
                self._release(found, found.rows)
            case Claim():
                return self._claimed(found)
            case Hold():
                self._hold = found
            case _:
                self._end(found)
        return None

    async def _asked(self, room: Room, after: int) -> Claim | Hold | Over:
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
            failing_since=self._failing_since,
        )
        self._seen = self._news
        operation = self._ledger.begin(self._claiming(ask))
        # Cancelled, it is known afterwards what was claimed; it is unknown then.
        await wait_whatever_comes(operation.settled)
        try:
            found = operation.result()
        except LedgerUnavailable as error:
            return self._cannot_write(error)
        self._failed_claims = 0
        return found

    def _claiming(self, ask: Ask) -> Action[Claim | Hold | Over]:
        """Return the transaction; where somebody is told, it looks when all will have ended."""
        progress, pending = self._progress, self._progress.pending

        def action(connection: Connection) -> Claim | Hold | Over:
            found = self._take(connection, ask)
            if progress.is_told:
                waits = isinstance(found, Hold) and not found.is_pace
                progress.expected_end = self._outlook.look(
                    connection, pending, ask.rate, ask.now, anyway=waits
                )
            return found

        return action

    def _claimed(self, claim: Claim) -> Claim | None:
        self._progress.moved(Move.SUPPRESS, claim.suppressed)
        if not claim.rows:
            if claim.is_waiting:
                reason = "the last requests are under way"
                self._hold = Hold(None, reason, CampaignState.RUNNING)
            else:
                self._end(Over(CampaignState.FINISHED))
            return None
        self._progress.moved(Move.CLAIM, len(claim.rows))
        self._after, self._epoch = claim.last, max(self._epoch, claim.epoch)
        self._ledger.lock.mark(self._epoch)
        if not self.is_probing:
            self._say("", None)
        return claim

    def _cannot_write(self, error: LedgerUnavailable) -> Hold | Over:
        """Try again a few times: another process may hold the file."""
        self._failed_claims += 1
        reason = "the ledger cannot be written"
        if self._failed_claims <= len(AGAIN_AFTER):
            return Hold(self._ledger.now + AGAIN_AFTER[self._failed_claims - 1], reason)
        self._cause = self._cause or error
        return Over(CampaignState.STOPPED, reason)

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
            self._put_back = 0
            useless = [isinstance(error, _USELESS) for error in errors]
            self._breaker.ended(unknown=bool(useless) and all(useless), probe=is_probe)
        for error in dict.fromkeys(filter(None, errors)):
            self.learn(error)
        if ending.batch.good and not self.is_probing:
            self._recover()
        self._progress.tell(CampaignState.RUNNING)
        self._ledger.tell()
        self.wake()

    def learn(self, error: InSimError) -> None:
        """Stop for what every later request would end in as well; slow down if nothing leaves."""
        match error:
            case AuthenticationFailed():
                self._refused(error, REFUSED)
            case ConfigurationError():
                self._refused(error, UNSENDABLE)
            case NotSent():
                self._useless = error
                self._breaker.trip()
                self._fail(error)
            case OutcomeUnknown():
                self._useless = error
                if self.is_probing:
                    self._fail(error)

    def _refused(self, error: InSimError, reason: str) -> None:
        """Stop; or wait until it is mended, and say so once: it is no message's fault."""
        if not self._is_endless or self._misuse() is not None:
            self._stop(error, reason)
            return
        self._useless, self._failing_since = error, None
        self._breaker.trip()
        self._warn(reason, error)

    def _fail(self, error: InSimError) -> None:
        if self._failing_since is None:
            self._failing_since = self._ledger.now
        self._warn(NO_USE, error)

    def _warn(self, trouble: str, error: InSimError) -> None:
        if self._is_endless and trouble != self._trouble:
            logger.warning("outbox: %s, so all waits; it goes on trying: %s", trouble, error)
        self._trouble = trouble

    def _recover(self) -> None:
        """Remember that something got through."""
        if not self._trouble:
            return
        if self._is_endless:
            logger.info("outbox: messages get through again")
        self._trouble, self._failing_since = "", None
        self._say("", None)

    def put_back(self, claim: Claim) -> None:
        """Have back what is proven unsent.

        Where it is the only one, another worker takes it before its own tries again; so nobody
        would see that no attempt gets through.
        """
        self._release(claim, claim.rows)
        self._put_back += 1
        if self._put_back >= ATTEMPTS * self._slots:
            self.learn(NotSent("no attempt gets through"))
        self.wake()

    def _release(self, claim: Claim, rows: Sequence[Claimed]) -> None:
        self._progress.moved(Move.RELEASE, len(rows))
        self._after = min(self._after, rows[0].row - 1)
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
        wait = self._breaker.wait
        if wait is None and not self._is_endless:
            self._stop(self._useless, "there was no answer of use for an hour")
            return
        if wait is None:
            wait = SELDOM if isinstance(self._useless, OutcomeUnknown) else PROBES[-1]
        until = self._ledger.now + wait
        self._say(self._trouble or NO_USE, until)
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
        failing_since = self._failing_since
        if (reason, until, failing_since) == self._said:
            return
        self._said = reason, until, failing_since
        self._progress.waits(waiting=bool(reason))
        say = partial(_rows.say, reason=reason, until=until, failing_since=failing_since)
        self._writer.write(partial(say, campaign=self._begun.campaign))
        if reason:
            self._progress.tell(state, reason, until)

    # Its end ------------------------------------------------------------------------------------

    def _stop(self, cause: InSimError, reason: str) -> None:
        if self._over is None:
            self._cause = cause
            self._end(Over(CampaignState.STOPPED, reason))

    def _end(self, over: Over) -> None:
        if self._over is not None:
            return
        self._over = over
        cancelled = over.state is CampaignState.CANCELLED
        self._progress.moved(Move.CANCEL if cancelled else Move.EXPIRE, over.dropped)
        if over.state is CampaignState.STOPPED and self._cause is None:
            self._cause = ConfigurationError(over.reason)
        if self._nap is not None:
            self._nap.cancel()
