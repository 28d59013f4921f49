"""One round: callers of every kind, a server that misbehaves at random, and an audit.

The audit compares afterwards what was reported with what was processed.
"""

from __future__ import annotations

import functools
import random
import warnings
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing, suppress
from typing import Any

import anyio

from insim_async import AsyncInSim, BulkReport, InSimError, Sms, Status
from tests.faults import test_cancellation as cancelling
from tests.faults.bench import Bench, FakeClock, Leg, status_of, timeout_of
from tests.faults.gateway import BEHAVE, CLOSE, RESET, STALL, Gateway, Listener
from tests.faults.leaks import TEXT
from tests.faults.stepping import by_scope_on_trio

from .faults import scripts

Call = Callable[[], Coroutine[Any, Any, object]]

PROBE_TIMEOUT = 20.0
TOO_LONG = 180.0
FLUSHES = 20
STEPS = 70
"""So many suspensions a call has, about."""


class Explorer(Bench):
    """A bench on which chance has its way.

    Args:
        leg: Which event loop, and whose HTTP client.
        gateway: The server's process.
        chance: Everything is drawn from it.
        size: How many messages to send, about.
    """

    def __init__(self, leg: Leg, gateway: Gateway, chance: random.Random, size: int) -> None:
        super().__init__(leg, gateway)
        self.chance = chance
        self.left = size
        self.given = 0
        self.wrong: list[BaseException] = []
        self.settings: dict[str, Any] = {
            "max_concurrency": chance.choice([1, 2, 4, 8]),
            "batch_size": chance.choice([1, 3, 10, 50, 100]),
            "timeout": chance.choice([0.05, 0.2, 0.2, 0.5]),
        }
        self.share = chance.choice([0.02, 0.1, 0.3, 0.6])
        self.cancelled = chance.choice([0.0, 0.0, 0.1, 0.5])
        self.stepwise = chance.random() < 0.25

    def __str__(self) -> str:
        how = (
            "cancelled step by step"
            if self.stepwise
            else f"{self.cancelled:.0%} of the calls cancelled"
        )
        return f"{self.leg}, {self.settings}, {self.share:.0%} of the requests meet a fault, {how}"

    def explore(self) -> None:
        """Run the round.

        Raises:
            AssertionError: What must hold whatever happens does not.
        """
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Async generator 'http(x|core)", ResourceWarning)
            anyio.run(self.audit, self.scenario, backend=self.leg.backend)
        self.close()
        assert self.leaks == []
        for error in self.wrong:
            raise error
        self.reconcile()

    async def scenario(self) -> None:
        """Let them all send, and see that the client works as before."""
        fake = FakeClock(chance=self.chance.random())
        on_arrival = self.chance.choices([[], [RESET], [CLOSE], [STALL]], [30, 1, 1, 1], k=20)
        listener = self.listen(*scripts(self.chance, 600, self.share), connections=on_arrival)
        with anyio.fail_after(TOO_LONG):
            async with self.client(listener.url, clock=fake.clock, **self.settings) as insim:
                await (self.step if self.stepwise else self.crowd)(insim)
                fake.time += 61  # a pause that somebody was told of is over
                await self.flush(insim, listener)
                with timeout_of(insim, PROBE_TIMEOUT):
                    await self.probe(insim, listener, self.settings["max_concurrency"])

    async def flush(self, insim: AsyncInSim, listener: Listener) -> None:
        """Send until nothing is met any more of what was in store."""
        listener.script(BEHAVE, connections=[])
        slots = self.settings["max_concurrency"]
        with timeout_of(insim, PROBE_TIMEOUT):
            for _ in range(FLUSHES):
                endings: list[Status] = []

                async def one(endings: list[Status] = endings) -> None:
                    endings.append(status_of(await self.send(insim)))

                async with anyio.create_task_group() as group:
                    for _ in range(slots):
                        group.start_soon(one)
                if endings == [Status.SENT] * slots:
                    return
        raise AssertionError(f"the client does not recover: {endings}")

    # Callers

    async def crowd(self, insim: AsyncInSim) -> None:
        """Many send at once; some are cancelled, and now and then all of them."""
        async with anyio.create_task_group() as group:
            for _ in range(self.chance.choice([1, 4, 16])):
                group.start_soon(self.caller, insim)
            if self.chance.random() < 0.1:
                await anyio.sleep(0.2 * self.chance.random())
                group.cancel_scope.cancel()

    async def caller(self, insim: AsyncInSim) -> None:
        """Send one after the other, and give up on some."""
        while self.left > 0:
            call = self.next_call(insim)
            if self.chance.random() < self.cancelled:
                with suppress(TimeoutError):
                    await self.chance.choice(self.ways_to_give_up())(
                        call, 0.02 * self.chance.random()
                    )
            else:
                await call()

    async def step(self, insim: AsyncInSim) -> None:
        """One sends after the other, each cancelled at its n-th suspension."""
        while self.left > 0:
            cancel = self.chance.choice(self.ways_to_cancel())
            ending = await cancel(1 + self.chance.randrange(STEPS), call=self.next_call(insim))
            cancelling.look_at(self, ending)

    def ways_to_give_up(self) -> list[Callable[[Call, float], Awaitable[None]]]:
        """How a caller may give up after some time."""
        if self.leg.backend == "trio":
            return [cancelling.by_fail_after]
        return [
            cancelling.by_fail_after,
            cancelling.by_wait_for,
            cancelling.by_timeout,
            cancelling.by_cancel,
        ]

    def ways_to_cancel(self) -> list[Any]:
        """How a call may be cancelled at a step of its own."""
        return (
            [by_scope_on_trio] if self.leg.backend == "trio" else list(cancelling.MANNERS.values())
        )

    # Calls

    def next_call(self, insim: AsyncInSim) -> Call:
        """Draw a call."""
        kind = self.chance.choice([self.send_one, self.send_one, self.send_many, self.stream])
        count = 1 if kind == self.send_one else self.chance.choice([1, 2, 7, 30, 150])
        messages = [
            Sms(f"+3363998{at:04}", TEXT, sms_id=f"sms-{next(self.numbers)}") for at in range(count)
        ]
        self.left -= count
        self.given += count
        return functools.partial(self.watched, kind, insim, messages)

    async def watched(
        self, call: Callable[..., Awaitable[None]], insim: AsyncInSim, messages: list[Sms]
    ) -> None:
        """Make a call and keep what it must not raise: whoever cancels it may not look."""
        try:
            await call(insim, messages)
        except Exception as error:
            self.wrong.append(error)

    async def send_one(self, insim: AsyncInSim, messages: list[Sms]) -> None:
        """Send a single message."""
        await self.send(insim, messages[0].sms_id)

    async def send_many(self, insim: AsyncInSim, messages: list[Sms]) -> None:
        """Send a list, and see that each has its status."""
        report = await insim.send_many(messages)
        assert isinstance(report, BulkReport)
        self.file(report)
        assert [outcome.sms.sms_id for outcome in report.outcomes] == [
            message.sms_id for message in messages
        ]

    async def stream(self, insim: AsyncInSim, messages: list[Sms]) -> None:
        """Send a stream, which may be left early."""
        leave_at = self.chance.choice([len(messages), len(messages), 3])
        seen = 0
        try:
            async with aclosing(insim.stream(messages)) as outcomes:
                async for outcome in outcomes:
                    self.enter([outcome])
                    seen += 1
                    if seen == leave_at:
                        return
        except InSimError as error:  # it says that nothing will pass; the rest was not read
            self.examine(error)
