"""A call that is cancelled, wherever that finds it, costs no slot, no connection, and sends nothing twice."""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from typing import Any

import anyio
import pytest

import insim_async._http
from insim_async import AsyncInSim, Contact, Sms

from .bench import HTTPX, HTTPX2, NUMBER, OWN, SLOTS, TRIO, Bench, Leg, until
from .gateway import RECEIPTS, STALL, TAKE
from .leaks import TEXT
from .stepping import Ending, as_it_wakes, by_scope, natively, twice, while_it_waits

NATIVE = [OWN, HTTPX, HTTPX2]
CHURN = float(os.environ.get("INSIM_FAULTS_CHURN", "3"))
MANNERS: dict[str, Callable[[int, Any], Awaitable[Ending]]] = {
    "while it waits": functools.partial(natively, manner=while_it_waits),
    "as it wakes": functools.partial(natively, manner=as_it_wakes),
    "twice": functools.partial(natively, manner=twice),
}
EVERYWHERE = [
    *(pytest.param(leg, manner, id=f"{leg}-{name}") for leg in NATIVE for name, manner in MANNERS.items()),
    pytest.param(TRIO, by_scope, id="trio"),
]
everywhere = pytest.mark.parametrize(("leg", "cancelling"), EVERYWHERE)

Cancelling = Callable[..., Awaitable[Ending]]
"""Cancels the call at its n-th suspension: ``await cancelling(n, call=...)``."""


async def send(bench: Bench, insim: AsyncInSim) -> object:
    """Send one message."""
    return await insim.send_sms(NUMBER, TEXT, sms_id=f"sms-{next(bench.numbers)}")


async def send_many(bench: Bench, insim: AsyncInSim) -> object:
    """Send three batches through two slots."""
    return await insim.send_many(bench.messages(6))


async def stream(bench: Bench, insim: AsyncInSim) -> object:
    """Send an asynchronous input."""

    async def messages() -> AsyncGenerator[Sms, None]:
        for message in bench.messages(6):
            await anyio.lowlevel.checkpoint()
            yield message

    async with aclosing(messages()) as given, aclosing(insim.stream(given)) as outcomes:
        return [outcome async for outcome in outcomes]


async def add_contacts(bench: Bench, insim: AsyncInSim) -> object:
    """Add three batches through two slots."""
    return await insim.add_contacts([Contact(message.phone_number) for message in bench.messages(6)])


async def call(bench: Bench, insim: AsyncInSim) -> object:
    """Start a call."""
    return await insim.click_to_call(NUMBER)


@everywhere
@pytest.mark.parametrize("what", [send, send_many, stream, add_contacts, call])
@pytest.mark.parametrize("state", ["cold", "warm"])
def test_a_call_is_cancelled_at_each_await(
    bench: Bench, cancelling: Cancelling, what: Callable[..., Coroutine[Any, Any, object]], state: str
) -> None:
    """From the first to the last; all slots work behind each."""

    async def scenario() -> None:
        listener = bench.listen()
        async with bench.client(listener.url, batch_size=2) as insim:
            for at in itertools.count(1):
                if state == "warm":
                    await bench.probe(insim, listener)
                ending = await cancelling(at, call=functools.partial(what, bench, insim))
                look_at(bench, ending)
                await bench.probe(insim, listener)
                if not ending.reached:
                    break
            assert at > 4

    bench.run(scenario)


def look_at(bench: Bench, ending: Ending) -> None:
    """Expect either a result, or the cancellation with nothing in it."""
    if isinstance(ending.result, BaseException):
        assert type(ending.result) in {asyncio.CancelledError, anyio.get_cancelled_exc_class()}, ending
        bench.examine(ending.result)


@everywhere
def test_closing_is_cancelled_at_each_await(
    bench: Bench, cancelling: Cancelling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left to do, the next closing does; requests in flight end all the same."""
    monkeypatch.setattr(insim_async._http, "CLOSING_GRACE", 0.02)

    async def scenario() -> None:
        for at in itertools.count(1):
            listener = bench.listen()
            async with bench.client(listener.url) as insim:
                await bench.probe(insim, listener)
                listener.script(otherwise=[*TAKE, STALL])
                async with anyio.create_task_group() as group:
                    group.start_soon(bench.send, insim)
                    await until(lambda: len(listener.report().heads) > SLOTS)
                    ending = await cancelling(at, call=insim.aclose)
                    look_at(bench, ending)
                    await insim.aclose()
            if not ending.reached:
                break
        assert at > 1

    bench.run(scenario)


@everywhere
def test_a_caller_is_cancelled_while_waiting_for_a_slot(bench: Bench, cancelling: Cancelling) -> None:
    """It leaves the queue, and those behind it move up."""

    async def scenario() -> None:
        listener = bench.listen()
        async with bench.client(listener.url) as insim:
            for at in (1, 2):
                listener.script(*[[*TAKE, ["wait", 0.03], RECEIPTS]] * SLOTS)
                heads = len(listener.report().heads)
                async with anyio.create_task_group() as group:
                    for _ in range(SLOTS):
                        group.start_soon(bench.send, insim)
                    await until(lambda: len(listener.report().heads) >= heads + SLOTS)
                    look_at(bench, await cancelling(at, call=functools.partial(send, bench, insim)))
                    group.start_soon(bench.send, insim)
                await bench.probe(insim, listener)

    bench.run(scenario)


def test_a_cancelled_call_in_flight_frees_its_slot_at_once(bench: Bench) -> None:
    """Even where the server never answers."""

    async def scenario() -> None:
        listener = bench.listen(*[[*TAKE, STALL]] * SLOTS)
        async with bench.client(listener.url) as insim:
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
            async for outcome in outcomes:
                bench.enter([outcome])
                break
            await outcomes.aclose()
            await bench.probe(insim, listener)
            assert len(listener.report().order) < 40

    bench.run(scenario)


@pytest.mark.parametrize("leg", NATIVE, ids=str)
def test_seconds_of_cancellation_cost_nothing(bench: Bench, seed: int, leg: Leg) -> None:
    """Callers that give up at random, by every means that asyncio has (``INSIM_FAULTS_CHURN`` seconds of it)."""
    chance = random.Random(seed)

    async def give_up(insim: AsyncInSim) -> None:
        patience = 0.006 * chance.random()
        match chance.randrange(4):
            case 0:
                await asyncio.wait_for(bench.send(insim), patience)
            case 1:
                async with asyncio.timeout(patience):
                    await bench.send(insim)
            case 2:
                with anyio.fail_after(patience):
                    await bench.send(insim)
            case _:
                task = asyncio.ensure_future(bench.send(insim))
                asyncio.get_running_loop().call_later(patience, task.cancel)
                await asyncio.wait([task])

    async def scenario() -> None:
        listener = bench.listen(otherwise=[*TAKE, ["wait", 0.001], RECEIPTS])
        given_up = 0
        async with bench.client(listener.url, max_concurrency=4) as insim:
            until = time.monotonic() + CHURN / len(NATIVE)

            async def keep_giving_up() -> None:
                nonlocal given_up
                while time.monotonic() < until:
                    try:
                        await give_up(insim)
                    except TimeoutError:
                        given_up += 1

            async with anyio.create_task_group() as group:
                for _ in range(8):
                    group.start_soon(keep_giving_up)
            assert given_up > 10
            await bench.probe(insim, listener, 4)

    bench.run(scenario)
