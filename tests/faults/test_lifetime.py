"""Opened once, closed once, used in one process and event loop; and many callers at once."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import subprocess
import sys
import threading
from typing import Any

import anyio
import httpx
import httpx2
import pytest

from insim_async import (
    AsyncInSim,
    ConfigurationError,
    Contact,
    InSimError,
    NotSent,
    SmsReceipt,
    Status,
)
from insim_async._http import connection

from .bench import (
    HTTPX,
    HTTPX2,
    LEGS,
    OWN,
    SLOTS,
    TRIO,
    Bench,
    Leg,
    deadline,
    status_of,
    timeout_of,
    until,
)
from .gateway import BEHAVE, BODY, HEAD, RECEIPTS, STALL, TAKE
from .leaks import KEY, LOGIN, NUMBER
from .test_patience import HeldClock

GRACE = 0.3
LONG_GRACE = 10.0


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CLOSING_GRACE", GRACE)


# Before, after and between


def test_a_client_that_is_not_open_sends_nothing(bench: Bench) -> None:
    """It says how to open it."""

    async def scenario() -> None:
        listener = bench.listen()
        insim = AsyncInSim(LOGIN, KEY, base_url=listener.url)
        ending = await bench.send(insim)
        assert type(ending) is ConfigurationError, ending
        assert "async with" in str(ending)
        assert listener.report().opened == 0
        await insim.aclose()

    bench.run(scenario)


def test_a_closed_client_sends_nothing(bench: Bench) -> None:
    """By none of its calls; and closing it twice does no harm."""

    async def scenario() -> None:
        listener = bench.listen()
        async with bench.client(listener.url) as insim:
            await bench.probe(insim, listener)
        before = listener.report().received
        endings = [
            await bench.send(insim),
            await bench.ending(insim.click_to_call(NUMBER)),
            await bench.ending(insim.add_contacts([Contact(NUMBER)])),
            await bench.ending(insim.send_many(bench.messages(2))),
            await bench.ending(anext(insim.stream(bench.messages(2)))),
        ]
        assert {type(ending) for ending in endings} == {ConfigurationError}
        await insim.aclose()
        assert listener.report().received == before

    bench.run(scenario)


@pytest.mark.parametrize("leg", [HTTPX, HTTPX2], ids=str)
def test_an_injected_client_stays_the_callers(bench: Bench, leg: Leg) -> None:
    """It is open when ours is closed; and when it is closed, ours says so."""

    async def scenario() -> None:
        module: Any = {"httpx": httpx, "httpx2": httpx2}[leg.kind]
        listener = bench.listen()
        async with module.AsyncClient(trust_env=False) as theirs:
            async with AsyncInSim(LOGIN, KEY, base_url=listener.url, http_client=theirs) as insim:
                assert isinstance(await bench.send(insim), SmsReceipt)
            assert not theirs.is_closed
            async with AsyncInSim(LOGIN, KEY, base_url=listener.url, http_client=theirs) as insim:
                await theirs.aclose()
                ending = await bench.send(insim)
                assert type(ending) is ConfigurationError, ending

    bench.run(scenario)


# Closing while requests are on their way


def test_closing_waits_for_answers_that_come_soon(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is answered within the grace is sent; whoever waits for a slot does not get one."""
    monkeypatch.setattr(connection, "CLOSING_GRACE", LONG_GRACE)

    async def scenario() -> None:
        listener = bench.listen(otherwise=[*TAKE, ["hold"], RECEIPTS])
        endings: list[SmsReceipt | InSimError] = []
        async with bench.client(listener.url, batch_size=1) as insim:

            async def one() -> None:
                endings.append(await bench.send(insim))

            async with anyio.create_task_group() as group:
                for _ in range(SLOTS + 2):
                    group.start_soon(one)
                await until(lambda: len(listener.report().processed) >= SLOTS)
                group.start_soon(insim.aclose)
                await anyio.wait_all_tasks_blocked()
                assert type(await bench.send(insim)) is ConfigurationError
                listener.release()
        statuses = sorted((status_of(ending) for ending in endings), key=str)
        assert statuses == [Status.NOT_SENT] * 2 + [Status.SENT] * SLOTS
        assert listener.report().requests == SLOTS

    bench.run(scenario)


def test_closing_does_not_wait_for_answers_that_do_not_come(bench: Bench) -> None:
    """Behind the grace they are unknown."""

    async def scenario() -> None:
        listener = bench.listen(otherwise=[*TAKE, STALL])
        endings: list[SmsReceipt | InSimError] = []
        async with bench.client(listener.url, batch_size=1) as insim:

            async def one() -> None:
                endings.append(await bench.send(insim))

            async with anyio.create_task_group() as group:
                for _ in range(SLOTS + 2):
                    group.start_soon(one)
                await until(lambda: len(listener.report().processed) >= SLOTS)
                with deadline(GRACE):
                    await insim.aclose()
        statuses = sorted((status_of(ending) for ending in endings), key=str)
        assert statuses == [Status.NOT_SENT] * 2 + [Status.UNKNOWN] * SLOTS

    bench.run(scenario)


def test_closing_in_the_middle_of_a_bulk_call_loses_no_message(bench: Bench) -> None:
    """Each has its status."""

    async def scenario() -> None:
        listener = bench.listen(BEHAVE, otherwise=[*TAKE, STALL])
        async with bench.client(listener.url, batch_size=2, max_concurrency=1) as insim:

            async def close() -> None:
                await until(lambda: len(listener.report().processed) >= 4)
                await insim.aclose()

            async with anyio.create_task_group() as group:
                group.start_soon(close)
                report = await insim.send_many(bench.messages(8))
        statuses = bench.file(report)
        assert statuses == [Status.SENT] * 2 + [Status.UNKNOWN] * 2 + [Status.NOT_SENT] * 4

    bench.run(scenario)


def test_closing_does_not_wait_for_a_pause(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits because the server asked for it ends at once, unsent."""
    monkeypatch.setattr(connection, "CLOSING_GRACE", LONG_GRACE)

    async def scenario() -> None:
        listener = bench.listen(
            otherwise=[HEAD, BODY, ["reply", 429, "slow down", "Retry-After: 5"]]
        )
        endings: list[SmsReceipt | InSimError] = []
        held = HeldClock()
        async with bench.client(listener.url, batch_size=1, clock=held.clock, timeout=30) as insim:

            async def one() -> None:
                endings.append(await bench.send(insim))

            async with anyio.create_task_group() as group:
                for _ in range(SLOTS + 2):
                    group.start_soon(one)
                schedule = insim._connection._gate._schedule
                await until(lambda: schedule.waiting == SLOTS + 2)
                assert listener.report().requests == SLOTS
                with anyio.fail_after(LONG_GRACE / 2):
                    await insim.aclose()
        assert {type(ending) for ending in endings} == {NotSent}

    bench.run(scenario)


def test_leaving_the_block_by_an_exception_closes_as_well(bench: Bench) -> None:
    """Nothing is left open."""

    async def scenario() -> None:
        listener = bench.listen()

        async def fail() -> None:
            async with bench.client(listener.url) as insim:
                await bench.probe(insim, listener)
                raise LookupError

        with pytest.raises(LookupError):
            await fail()

    bench.run(scenario)


# Somewhere else


@pytest.mark.parametrize("leg", LEGS, ids=str)
def test_a_second_event_loop_is_refused_before_any_byte(bench: Bench, leg: Leg) -> None:
    """A client belongs to the loop that it was opened in."""
    listener = bench.listen()
    stack = contextlib.AsyncExitStack()

    async def scenario() -> None:
        ending = await bench.send(insim)
        assert type(ending) is ConfigurationError, ending
        assert type(await bench.ending(insim.aclose())) is ConfigurationError
        assert listener.report().opened == 0

    with asyncio.Runner() as home:
        insim = home.run(stack.enter_async_context(bench.client(listener.url)))
        bench.run(scenario)
        home.run(stack.aclose())


def finished(thread: threading.Thread) -> bool:
    """Tell whether it has ended."""
    return not thread.is_alive()


def test_a_second_thread_is_refused_before_any_byte(bench: Bench) -> None:
    """Whichever event loop runs there, and even where a connection stands ready.

    The first one goes on.
    """

    async def scenario() -> None:
        listener = bench.listen()
        endings: list[Any] = []
        async with bench.client(listener.url) as insim:
            await bench.probe(insim, listener)
            before = listener.report().received

            def elsewhere(backend: str) -> None:
                endings.append(anyio.run(bench.send, insim, backend=backend))

            for backend in ("asyncio", "trio"):
                thread = threading.Thread(target=elsewhere, args=(backend,))
                thread.start()
                await until(functools.partial(finished, thread))
                thread.join()
            assert [type(ending) for ending in endings] == [ConfigurationError] * 2
            assert listener.report().received == before
            await bench.probe(insim, listener)

    bench.run(scenario)


FORKING = """
import asyncio, os, sys
from insim_async import AsyncInSim, InSimError

async def attempt(insim, sms_id):
    try:
        await insim.send_sms("+33639980001", "hello", sms_id=sms_id)
        return "sent"
    except InSimError as error:
        return type(error).__name__

async def main():
    async with AsyncInSim("login", "key", base_url=sys.argv[1]) as insim:
        if sys.argv[2] == "warm":
            print("before", await attempt(insim, "sms-before"), flush=True)
        child = os.fork()
        if not child and sys.argv[3] == "same loop":
            print("child", await attempt(insim, "sms-child"), flush=True)
            os._exit(0)
        if not child:
            print("child", asyncio.run(attempt(insim, "sms-child")), flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        print("parent", await attempt(insim, "sms-parent"), flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("leg", [OWN], ids=str)
@pytest.mark.parametrize("state", ["cold", "warm"])
@pytest.mark.parametrize("loop", ["same loop", "own loop"])
def test_a_fork_is_refused_before_any_byte(bench: Bench, leg: Leg, state: str, loop: str) -> None:
    """A connection shared by two processes would mix up their answers. The parent goes on."""
    listener = bench.listen()
    command = [sys.executable, "-c", FORKING, listener.url, state, loop]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    assert done.stderr == ""
    lines = [] if state == "cold" else ["before sent"]
    assert done.stdout.splitlines() == [*lines, "child ConfigurationError", "parent sent"]
    report = listener.report()
    assert "sms-child" not in report.processed
    assert report.opened == 1
    bench.run(anyio.lowlevel.checkpoint)


# A crowd


@pytest.mark.parametrize("leg", [OWN, HTTPX2, TRIO], ids=str)
@pytest.mark.parametrize("batch_size", [1, 100])
def test_a_thousand_callers_on_two_slots_are_served_in_turn(bench: Bench, batch_size: int) -> None:
    """First come first served, and nobody is turned away.

    Two requests that are under way at the same time may arrive in any order.
    """

    async def scenario() -> None:
        listener = bench.listen()
        came: list[str] = []
        async with bench.client(listener.url, timeout=60, batch_size=batch_size) as insim:

            async def one(sms_id: str) -> None:
                came.append(sms_id)
                assert isinstance(await bench.send(insim, sms_id), SmsReceipt)

            async with anyio.create_task_group() as group:
                for at in range(1000):
                    group.start_soon(one, f"sms-{at}")
            served = {sms_id: place for place, sms_id in enumerate(listener.report().order)}
            assert len(served) == 1000
            off = max(abs(served[sms_id] - place) for place, sms_id in enumerate(came))
            assert off <= 2 * SLOTS * batch_size, off
            assert listener.report().requests <= 1000 / batch_size + 2
            assert listener.report().opened <= SLOTS

    bench.run(scenario)


def test_no_slot_in_time_is_not_sent(bench: Bench) -> None:
    """Who waits in vain for half its time has sent nothing; those that have slots go on."""

    async def scenario() -> None:
        listener = bench.listen(otherwise=[*TAKE, ["hold"], RECEIPTS])
        holding: list[Status] = []
        waiting: list[SmsReceipt | InSimError] = []
        async with bench.client(listener.url, batch_size=1) as insim:

            async def hold() -> None:
                holding.append(status_of(await bench.send(insim)))

            async def wait() -> None:
                waiting.append(await bench.send(insim))

            async with anyio.create_task_group() as group:
                for _ in range(SLOTS):
                    group.start_soon(hold)
                await until(lambda: len(listener.report().processed) == SLOTS)
                with timeout_of(insim, 0.2), deadline(0.1):
                    async with anyio.create_task_group() as late:
                        for _ in range(3):
                            late.start_soon(wait)
                listener.release()
            assert {type(ending) for ending in waiting} == {NotSent}
            assert (len(waiting), holding) == (3, [Status.SENT] * SLOTS)
            await bench.probe(insim, listener)

    bench.run(scenario)
