"""A call that is cancelled, wherever, costs no slot or connection, and sends nothing twice."""

from __future__ import annotations

import asyncio
import functools
import os
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from typing import Any

import anyio
import pytest

from insim_async import AsyncInSim, Contact, NotSent, Sms
from insim_async._http import connection

from .bench import HTTPX, HTTPX2, LEGS, OWN, SLOTS, TRIO, TRIO_HTTPX2, Bench, FakeClock, Leg, until
from .gateway import BODY, HEAD, RECEIPTS, STALL, TAKE, Listener
from .leaks import NUMBER, TEXT
from .pki import Pki
from .stepping import (
    Ending,
    as_it_wakes,
    by_scope_on_asyncio,
    by_scope_on_trio,
    natively,
    while_it_waits,
)

NATIVE = [OWN, HTTPX, HTTPX2]
CHURN = float(os.environ.get("INSIM_FAULTS_CHURN", "3"))
MANNERS: dict[str, Callable[[int, Any], Awaitable[Ending]]] = {
    "while it waits": functools.partial(natively, manner=while_it_waits),
    "as it wakes": functools.partial(natively, manner=as_it_wakes),
    "twice": functools.partial(natively, manner=while_it_waits, times=2),
    "four times": functools.partial(natively, manner=while_it_waits, times=4),
    "by scope": by_scope_on_asyncio,
}
EVERYWHERE = [
    *(
        pytest.param(leg, manner, id=f"{leg}-{name}")
        for leg in (OWN, HTTPX2)
        for name, manner in MANNERS.items()
    ),
    pytest.param(HTTPX, MANNERS["while it waits"], id=f"{HTTPX}-while it waits"),
    *(pytest.param(leg, by_scope_on_trio, id=str(leg)) for leg in (TRIO, TRIO_HTTPX2)),
]
everywhere = pytest.mark.parametrize(("leg", "cancelling"), EVERYWHERE)

What = Callable[[Bench, AsyncInSim], Coroutine[Any, Any, object]]
Cancelling = Callable[..., Awaitable[Ending]]
"""Cancels the call at its n-th suspension: ``await cancelling(n, call=...)``."""


async def send(bench: Bench, insim: AsyncInSim) -> object:
    """Send one message."""
    return await insim.send_sms(NUMBER, TEXT, sms_id=f"sms-{next(bench.numbers)}")


async def send_many(bench: Bench, insim: AsyncInSim) -> object:
    """Send three batches through two slots."""
    return await insim.send_many(bench.messages(6))


async def stream(bench: Bench, insim: AsyncInSim) -> object:
    """Send an asynchronous input, which is closed with it."""

    async def messages() -> AsyncGenerator[Sms, None]:
        for message in bench.messages(6):
            await anyio.lowlevel.checkpoint()
            yield message

    async with aclosing(insim.stream(messages())) as outcomes:
        return [outcome async for outcome in outcomes]


async def add_contacts(bench: Bench, insim: AsyncInSim) -> object:
    """Add three batches through two slots."""
    return await insim.add_contacts(
        [Contact(message.phone_number) for message in bench.messages(6)]
    )


async def call(bench: Bench, insim: AsyncInSim) -> object:
    """Start a call, each time to another number."""
    return await insim.click_to_call(f"+33639981{next(bench.numbers):03}")


@everywhere
@pytest.mark.parametrize("what", [send, stream, add_contacts, call])
def test_a_call_over_kept_connections_is_cancelled_at_each_await(
    bench: Bench, cancelling: Cancelling, what: What
) -> None:
    """From the first to the last; all slots work behind each."""

    async def scenario() -> None:
        listener = bench.listen()
        async with bench.client(listener.url, batch_size=2) as insim:
            at, reached = 0, True
            while reached:
                at += 1
                await bench.probe(insim, listener)
                ending = await cancelling(at, call=functools.partial(what, bench, insim))
                look_at(bench, ending)
                reached = ending.reached
            assert at > 4

    bench.run(scenario)


@everywhere
@pytest.mark.parametrize("what", [send, send_many])
def test_a_call_over_new_connections_is_cancelled_at_each_await(
    bench: Bench, cancelling: Cancelling, what: What
) -> None:
    """While they are being made, too."""

    async def scenario() -> None:
        listener = bench.listen()
        at, reached = 0, True
        while reached:
            at += 1
            async with bench.client(listener.url, batch_size=2) as insim:
                ending = await cancelling(at, call=functools.partial(what, bench, insim))
                look_at(bench, ending)
                await bench.probe(insim, listener)
            reached = ending.reached
        assert at > 4

    bench.run(scenario)


@everywhere
def test_a_handshake_is_cancelled_at_each_await(
    bench: Bench, cancelling: Cancelling, pki: Pki
) -> None:
    """The socket under it is closed."""

    async def scenario() -> None:
        listener = bench.listen(tls={"certificate": pki.good})
        at, reached = 0, True
        while reached:
            at += 1
            async with bench.client(f"https://127.0.0.1:{listener.port}", trust=pki.trust) as insim:
                ending = await cancelling(at, call=functools.partial(send, bench, insim))
                look_at(bench, ending)
                await bench.probe(insim, listener)
            reached = ending.reached
        assert at > 6

    bench.run(scenario)


@everywhere
def test_a_wait_before_another_attempt_is_cancelled_at_each_await(
    bench: Bench, cancelling: Cancelling
) -> None:
    """Be it a pause that the server asked for, or the time until it can be reached again."""

    async def scenario() -> None:
        fake = FakeClock(chance=0.5)
        port = bench.shut(bench.listen())
        at, reached = 0, True
        while reached:
            at += 1
            async with bench.client(f"http://127.0.0.1:{port}", clock=fake.clock) as insim:
                ending = await cancelling(at, call=functools.partial(bench.send, insim))
                if not isinstance(ending.result, NotSent):
                    look_at(bench, ending)
                listener = bench.listen(
                    [HEAD, BODY, ["reply", 429, "", "Retry-After: 3"]], port=port
                )
                ending = await cancelling(at, call=functools.partial(bench.send, insim))
                look_at(bench, ending)
                await bench.probe(insim, listener)
            bench.shut(listener)
            reached = ending.reached
        assert at > 6

    bench.run(scenario)


def look_at(bench: Bench, ending: Ending) -> None:
    """Expect a result, or the cancellation with nothing in it."""
    if isinstance(ending.result, BaseException):
        bench.examine(ending.result)
        assert type(ending.result) is anyio.get_cancelled_exc_class(), ending


async def until_asked(listener: Listener, requests: int) -> None:
    """Wait until so many requests have come."""
    await until(lambda: listener.report().requests >= requests)


@everywhere
def test_closing_is_cancelled_at_each_await(
    bench: Bench, cancelling: Cancelling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left to do, the next closing does; requests in flight end all the same."""
    monkeypatch.setattr(connection, "CLOSING_GRACE", 0.02)

    async def scenario() -> None:
        at, reached = 0, True
        while reached:
            at += 1
            listener = bench.listen()
            async with bench.client(listener.url) as insim:
                await bench.probe(insim, listener)
                listener.script(otherwise=[*TAKE, STALL])
                async with anyio.create_task_group() as group:
                    group.start_soon(bench.send, insim)
                    await until_asked(listener, SLOTS + 1)
                    ending = await cancelling(at, call=insim.aclose)
                    look_at(bench, ending)
                    await insim.aclose()
            reached = ending.reached
        assert at > 1

    bench.run(scenario)


@everywhere
def test_closing_behind_a_stream_is_cancelled_at_each_await(
    bench: Bench, cancelling: Cancelling
) -> None:
    """Nobody goes on with it; what is left of it all the same, the next closing ends."""

    async def scenario() -> None:
        listener = bench.listen()
        at, reached = 0, True
        while reached:
            at += 1
            async with bench.client(listener.url, batch_size=2) as insim:
                stream = insim.stream(endless(bench))
                bench.enter([await anext(stream)])
                ending = await cancelling(at, call=insim.aclose)
                look_at(bench, ending)
                await insim.aclose()
            await stream.aclose()
            reached = ending.reached
        assert at > 1

    bench.run(scenario)


async def endless(bench: Bench) -> AsyncGenerator[Sms, None]:
    """Yield messages, and have something to clean up."""
    try:
        while True:
            for message in bench.messages(5):
                yield message
    finally:
        await anyio.lowlevel.checkpoint()


@everywhere
def test_a_caller_is_cancelled_while_waiting_for_a_slot(
    bench: Bench, cancelling: Cancelling
) -> None:
    """It leaves the queue, and those behind it move up."""

    async def scenario() -> None:
        listener = bench.listen()
        async with bench.client(listener.url, batch_size=1) as insim:
            for at in (1, 2):
                listener.script(*[[*TAKE, ["wait", 0.03], RECEIPTS]] * SLOTS)
                requests = listener.report().requests
                async with anyio.create_task_group() as group:
                    for _ in range(SLOTS):
                        group.start_soon(bench.send, insim)
                    await until_asked(listener, requests + SLOTS)
                    look_at(bench, await cancelling(at, call=functools.partial(send, bench, insim)))
                    group.start_soon(bench.send, insim)
                await bench.probe(insim, listener)

    bench.run(scenario)


def test_a_cancelled_call_in_flight_frees_its_slot_at_once(bench: Bench) -> None:
    """Even where the server never answers."""

    async def scenario() -> None:
        listener = bench.listen(*[[*TAKE, STALL]] * SLOTS)
        async with bench.client(listener.url, batch_size=1) as insim:
            async with anyio.create_task_group() as group:
                for _ in range(SLOTS):
                    group.start_soon(send, bench, insim)
                await until(lambda: len(listener.report().processed) >= SLOTS)
                group.cancel_scope.cancel()
            await bench.probe(insim, listener)

    bench.run(scenario)


def test_breaking_out_of_a_stream_stops_it(bench: Bench) -> None:
    """And leaves nothing running."""

    async def scenario() -> None:
        listener = bench.listen()
        async with bench.client(listener.url, batch_size=2) as insim:
            outcomes = insim.stream(bench.messages(40))
            bench.enter([await anext(outcomes)])
            await outcomes.aclose()
            await bench.probe(insim, listener)
            assert len(listener.report().order) < 40

    bench.run(scenario)


@pytest.mark.parametrize("leg", NATIVE, ids=str)
def test_a_stream_that_is_dropped_stops_as_well(bench: Bench, leg: Leg) -> None:
    """asyncio closes a generator that nobody holds any more."""

    async def scenario() -> None:
        listener = bench.listen()
        async with bench.client(listener.url, batch_size=2) as insim:
            bench.enter([await anext(insim.stream(bench.messages(40)))])
            await bench.probe(insim, listener)
            assert len(listener.report().order) < 40

    bench.run(scenario)


def test_seconds_of_cancellation_cost_nothing(bench: Bench, seed: int) -> None:
    """Callers give up at random, by every means that there is.

    They do so for ``INSIM_FAULTS_CHURN`` seconds in all.
    """
    chance = random.Random(seed)
    means = (
        [by_fail_after]
        if bench.leg == TRIO
        else [by_fail_after, by_wait_for, by_timeout, by_cancel]
    )

    async def scenario() -> None:
        listener = bench.listen(otherwise=[*TAKE, ["wait", 0.001], RECEIPTS])
        given_up = 0
        async with bench.client(listener.url, max_concurrency=4) as insim:
            end = time.monotonic() + CHURN / len(LEGS)

            async def keep_giving_up() -> None:
                nonlocal given_up
                while time.monotonic() < end:
                    try:
                        await chance.choice(means)(
                            functools.partial(bench.send, insim), 0.008 * chance.random()
                        )
                    except TimeoutError as error:
                        given_up += 1
                        bench.examine(error)

            async with anyio.create_task_group() as group:
                for _ in range(8):
                    group.start_soon(keep_giving_up)
            assert given_up > 10
            await bench.probe(insim, listener, 4)

    bench.run(scenario)


Send = Callable[[], Coroutine[Any, Any, object]]


async def by_fail_after(send: Send, seconds: float) -> None:
    """Give up by anyio's scope."""
    with anyio.fail_after(seconds):
        await send()


async def by_wait_for(send: Send, seconds: float) -> None:
    """Give up by asyncio's oldest means, in a task of its own."""
    await asyncio.wait_for(send(), seconds)


async def by_timeout(send: Send, seconds: float) -> None:
    """Give up by asyncio's newest means, in the same task."""
    async with asyncio.timeout(seconds):
        await send()


async def by_cancel(send: Send, seconds: float) -> None:
    """Give up from outside."""
    task = asyncio.ensure_future(send())
    asyncio.get_running_loop().call_later(seconds, task.cancel)
    await asyncio.wait([task])
