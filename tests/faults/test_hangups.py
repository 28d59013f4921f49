"""Once the request has left, a failure says nothing of its fate.

It is unknown, and the request is never sent again.
"""

from __future__ import annotations

import random
from typing import NamedTuple

import anyio
import pytest

from insim_async import Contact, OutcomeUnknown, Status

from .bench import AIOHTTP_IF_THERE, LEGS, Bench, Leg, deadline, status_of, timeout_of, until
from .gateway import BEHAVE, BODY, CLOSE, HEAD, PROCESS, RECEIPTS, RESET, STALL, TAKE, Script
from .leaks import NUMBER
from .pki import Pki

OK = "HTTP/1.1 200 OK\r\n"


class Fault(NamedTuple):
    """What happens to a request that has left."""

    name: str
    script: Script

    def __str__(self) -> str:
        return self.name


HANGUPS = [
    Fault("reset unread", [RESET]),
    Fault("hang-up unread", [CLOSE]),
    Fault("reset behind the headers", [HEAD, RESET]),
    Fault("hang-up behind the headers", [HEAD, CLOSE]),
    Fault("reset behind the body, not processed", [HEAD, BODY, RESET]),
    Fault("hang-up behind the body, not processed", [HEAD, BODY, CLOSE]),
    Fault("reset behind the body, processed", [*TAKE, RESET]),
    Fault("hang-up behind the body, processed", [*TAKE, CLOSE]),
    Fault("half-close", [*TAKE, ["finish"]]),
    Fault("half a status line", [*TAKE, ["say", "HTTP/1.1 2"], CLOSE]),
    Fault("no status line", [*TAKE, ["say", "SSH-2.0-OpenSSH\r\n\r\n"], CLOSE]),
    Fault("half the headers", [*TAKE, ["say", OK + "Content-Le"], CLOSE]),
    Fault("hang-up in the body", [*TAKE, ["say", OK + "Content-Length: 90\r\n\r\n[{"], CLOSE]),
    Fault("reset in the body", [*TAKE, ["say", OK + "Content-Length: 90\r\n\r\n[{"], RESET]),
    Fault(
        "half a chunk", [*TAKE, ["say", OK + "Transfer-Encoding: chunked\r\n\r\n4\r\n[{"], CLOSE]
    ),
    Fault(
        "no chunk size", [*TAKE, ["say", OK + "Transfer-Encoding: chunked\r\n\r\nzz\r\n"], CLOSE]
    ),
    Fault(
        "no last chunk",
        [*TAKE, ["say", OK + "Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n"], CLOSE],
    ),
    Fault(
        "plain close in the body",
        [*TAKE, ["say", OK + '\r\n[{"id_sms_api": "sms-1", "sent'], CLOSE],
    ),
]

STALLS = [
    Fault("behind the headers", [HEAD, STALL]),
    Fault("behind the body", [*TAKE, STALL]),
    Fault("in the answer's headers", [*TAKE, ["say", OK], STALL]),
    Fault("in the answer's body", [*TAKE, ["say", OK + "Content-Length: 90\r\n\r\n[{"], STALL]),
    Fault(
        "one byte at a time, headers", [*TAKE, ["drip", OK + "Content-Length: 2\r\n\r\n[]", 0.2]]
    ),
    Fault(
        "one byte at a time, body",
        [*TAKE, ["say", OK + "Content-Length: 90\r\n\r\n"], ["drip", " " * 90, 0.2]],
    ),
    Fault(
        "endless 100 Continue",
        [*TAKE, ["flood", f"HTTP/1.1 100 Continue\r\nX-Padding: {'x' * 2000}\r\n\r\n"]],
    ),
    Fault(
        "100 Continue now and then",
        [*TAKE, *[["drip", "HTTP/1.1 100 Continue\r\n\r\n", 0.005]] * 90],
    ),
]
LIMIT = 0.4


@pytest.mark.parametrize("fault", HANGUPS, ids=str)
@pytest.mark.parametrize("leg", [*LEGS, AIOHTTP_IF_THERE], ids=str)
def test_a_hang_up_leaves_it_unknown(bench: Bench, leg: Leg, fault: Fault) -> None:
    """One attempt, whether the server had acted or not."""

    async def scenario() -> None:
        listener = bench.listen(fault.script)
        async with bench.client(listener.url) as insim:
            ending = await bench.send(insim)
            assert isinstance(ending, OutcomeUnknown), ending
            report = listener.report()
            assert report.requests == int(HEAD in fault.script)
            assert sum(report.processed.values()) == int(PROCESS in fault.script)
            assert report.opened == 1
            await bench.probe(insim, listener)

    bench.run(scenario)


def test_a_reset_behind_accept_is_seen_before_the_first_byte_or_leaves_it_unknown(
    bench: Bench,
) -> None:
    """Which of them is chance: the connection may break while it is still being made."""

    async def scenario() -> None:
        listener = bench.listen(connections=[[RESET]])
        async with bench.client(listener.url) as insim:
            status = status_of(await bench.send(insim))
            assert (status, listener.report().opened) in {(Status.UNKNOWN, 1), (Status.SENT, 2)}
            await bench.probe(insim, listener)

    bench.run(scenario)


@pytest.mark.parametrize("fault", STALLS, ids=str)
def test_a_stall_leaves_it_unknown_at_the_deadline(bench: Bench, fault: Fault) -> None:
    """One deadline over all: a byte now and then does not move it."""

    async def scenario() -> None:
        listener = bench.listen()
        async with bench.client(listener.url) as insim:
            # With a connection at hand, the request leaves at once.
            await bench.probe(insim, listener)
            listener.script(fault.script)
            opened = listener.report().opened
            with timeout_of(insim, LIMIT), deadline(LIMIT):
                ending = await bench.send(insim)
            assert isinstance(ending, OutcomeUnknown), ending
            assert listener.report().opened == opened
            await bench.probe(insim, listener)

    bench.run(scenario)


def test_a_stall_behind_tls_ends_at_the_deadline(bench: Bench, pki: Pki) -> None:
    """Without waiting for the other side to say goodbye."""

    async def scenario() -> None:
        listener = bench.listen(tls={"certificate": pki.good})
        url = f"https://127.0.0.1:{listener.port}"
        async with bench.client(url, trust=pki.trust) as insim:
            await bench.probe(insim, listener)
            listener.script([*TAKE, STALL])
            with timeout_of(insim, LIMIT), deadline(LIMIT):
                ending = await bench.send(insim)
            assert isinstance(ending, OutcomeUnknown), ending
            await bench.probe(insim, listener)

    bench.run(scenario)


@pytest.mark.parametrize("fault", [*HANGUPS[6:10], HANGUPS[-1], STALLS[1]], ids=str)
def test_in_bulk_the_others_go_on(bench: Bench, fault: Fault) -> None:
    """Each message of the batch that was hit is unknown, each of the others is sent."""

    async def scenario() -> None:
        listener = bench.listen(fault.script)
        async with bench.client(
            listener.url, timeout=1.0 if fault in STALLS else 10, batch_size=3
        ) as insim:
            report = await insim.send_many(bench.messages(9))
            statuses = bench.file(report)
            assert sorted(statuses, key=str) == [Status.SENT] * 6 + [Status.UNKNOWN] * 3
            await bench.probe(insim, listener)

    bench.run(scenario)


@pytest.mark.parametrize("fault", [HANGUPS[2], HANGUPS[6], HANGUPS[13]], ids=str)
def test_adding_contacts_is_tried_again(bench: Bench, fault: Fault) -> None:
    """It is an update where the contact exists, so doing it twice does no harm."""

    async def scenario() -> None:
        listener = bench.listen(fault.script)
        async with bench.client(listener.url) as insim:
            [result] = await insim.add_contacts([Contact(NUMBER, last_name="Lovelace")])
            assert result.ok
            assert listener.report().requests == 2
            listener.script(fault.script, fault.script, fault.script)
            [result] = await insim.add_contacts([Contact(NUMBER, last_name="Lovelace")])
            assert isinstance(result.error, OutcomeUnknown), result
            assert listener.report().requests == 5
            await bench.probe(insim, listener)

    bench.run(scenario)


@pytest.mark.parametrize("fault", [HANGUPS[2], HANGUPS[6], HANGUPS[13]], ids=str)
def test_a_phone_is_never_rung_twice(bench: Bench, fault: Fault) -> None:
    """A call is as little repeatable as a message."""

    async def scenario() -> None:
        listener = bench.listen(fault.script)
        async with bench.client(listener.url) as insim:
            ending = await bench.ending(insim.click_to_call(NUMBER))
            assert isinstance(ending, OutcomeUnknown), ending
            assert listener.report().requests == 1
            assert (await insim.click_to_call("+33639980002")).ok
            await bench.probe(insim, listener)

    bench.run(scenario)


# Connections that are kept, and are gone when they are needed


@pytest.mark.parametrize("end", [CLOSE, RESET], ids=["close", "reset"])
def test_a_connection_closed_while_idle_is_not_used_again(bench: Bench, end: list[str]) -> None:
    """That it is closed can be seen before anything is written."""

    async def scenario() -> None:
        listener = bench.listen(*[[*BEHAVE, end]] * 3)
        async with bench.client(listener.url) as insim:
            for opened in (1, 2, 3):
                assert status_of(await bench.send(insim)) is Status.SENT
                assert listener.report().opened == opened
                await until(lambda: listener.report().open == 0)
                listener.report()  # the server took another turn, in which it closed the socket
            await bench.probe(insim, listener)

    bench.run(scenario)


LATE = ["reply", 408, "", "Connection: close"]


def endings_of_a_kept_connection(chance: random.Random) -> Script:
    """Answer, and hang up a moment later in one of the ways that a server has."""
    moment = ["wait", chance.choice([0, 0, 0.0001, 0.0005, 0.001, 0.002]) * chance.random()]
    ways: list[Script] = [
        [CLOSE],
        [RESET],
        [LATE, CLOSE],
        [["more"], CLOSE],
        [HEAD, CLOSE],
        [*TAKE, RESET],
    ]
    return [*BEHAVE, moment, *chance.choice(ways)]


def test_a_connection_closed_in_the_moment_of_reuse_never_doubles_a_message(
    bench: Bench, seed: int
) -> None:
    """300 variations end as sent or unknown, or are refused without being processed.

    The refusal is the 408 of a server tired of waiting.
    """
    chance = random.Random(seed)

    async def scenario() -> None:
        listener = bench.listen(*[endings_of_a_kept_connection(chance) for _ in range(300)])
        async with bench.client(listener.url) as insim:
            for _ in range(300):
                ending = await bench.send(insim)
                assert status_of(ending) is not Status.NOT_SENT, ending
                assert getattr(ending, "status_code", None) in {None, 408}
                await anyio.sleep(chance.choice([0, 0, 0.0005, 0.001]) * chance.random())
            listener.script()
            await bench.send(insim)  # meets what is left of the last variation
            await bench.probe(insim, listener)

    bench.run(scenario)


def test_a_deadline_at_any_moment_tells_the_truth(bench: Bench, seed: int) -> None:
    """Not sent means that the server will never process it, sent means that it did."""
    chance = random.Random(seed)

    async def scenario() -> None:
        answers = [
            [*TAKE, ["wait", chance.choice([0, 0.001, 0.003]) * chance.random()], RECEIPTS]
            for _ in range(400)
        ]
        listener = bench.listen(*answers)
        statuses: set[Status] = set()
        longest = 0.003
        while statuses != {Status.SENT, Status.NOT_SENT, Status.UNKNOWN}:
            longest *= 2  # a machine that is busy needs more time for the same
            for _ in range(150):
                async with bench.client(
                    listener.url, timeout=0.0002 + longest * chance.random()
                ) as insim:
                    statuses |= {
                        status_of(await bench.send(insim)),
                        status_of(await bench.send(insim)),
                    }

    bench.run(scenario)
