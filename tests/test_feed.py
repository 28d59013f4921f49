"""What a bulk call reads, when it reads it, and when it stops."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import anyio
import httpx
import pytest
import respx

from insim_async import (
    AsyncInSim,
    Clock,
    ConfigurationError,
    Contact,
    NotSent,
    OutcomeUnknown,
    Sms,
    Status,
)
from insim_async._sending.feed import Feed
from insim_async._sending.sources import AtHand
from tests.conftest import BASE_URL, KEY, LOGIN, Gateway, Hours

NUMBER = "+33639980001"
PORTAL = httpx.Response(200, text="<html>Sign in</html>")


def client(hours: Hours, **settings: Any) -> AsyncInSim:
    return AsyncInSim(LOGIN, KEY, base_url=BASE_URL, clock=hours.clock, **settings)


class Read:
    """Messages, and how many of them were read."""

    def __init__(self, count: int, text: str = "Hi") -> None:
        self.messages = [Sms(NUMBER, f"{text} {number}") for number in range(count)]
        self.count = 0

    def __iter__(self) -> Iterator[Sms]:
        for message in self.messages:
            self.count += 1
            yield message

    async def one_by_one(self) -> AsyncIterator[Sms]:
        for message in self:
            yield message


class TestReading:
    async def test_nothing_is_read_before_it_may_go(self, gateway: Gateway) -> None:
        """At fifty parts a second: fifty messages, and no more before the next second."""
        asleep = anyio.Event()

        async def sleep(seconds: float) -> None:
            asleep.set()
            await anyio.sleep_forever()

        read = Read(1000)
        async with AsyncInSim(
            LOGIN, KEY, base_url=BASE_URL, max_rate=50, clock=Clock(sleep=sleep)
        ) as insim:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(insim.send_many, read)
                    await asleep.wait()
                    await anyio.wait_all_tasks_blocked()
                    scope.cancel()
        assert read.count == sum(gateway.batches) == 50

    @pytest.mark.parametrize("text", ["Hi", "a" * 400])
    async def test_what_is_read_beyond_a_seconds_worth_of_parts_goes_next(
        self, hours: Hours, gateway: Gateway, text: str
    ) -> None:
        async with client(hours, max_rate=12.0) as insim:
            report = await insim.send_many(Read(30, text))
        parts = 1 if text == "Hi" else 3
        assert gateway.batches[:2] == [12 // parts] * 2
        assert report.sent == 30
        assert [outcome.sms.message for outcome in report.outcomes] == [
            f"{text} {number}" for number in range(30)
        ]
        assert sum(hours.naps) == pytest.approx((30 * parts - gateway.batches[-1] * parts) / 12)

    async def test_a_text_longer_than_a_seconds_worth_goes_alone(
        self, hours: Hours, gateway: Gateway
    ) -> None:
        async with client(hours, max_rate=2.0) as insim:
            assert (await insim.send_many(Read(3, "a" * 700))).sent == 3
        assert gateway.batches == [1, 1, 1]
        assert sum(hours.naps) == pytest.approx(2 * 5 / 2.0)

    async def test_bad_messages_take_no_room_in_the_pace(
        self, hours: Hours, gateway: Gateway
    ) -> None:
        messages = [Sms(NUMBER, text) for text in ("", "a" * 400, "", "b" * 400, "", "c")]
        async with client(hours, max_rate=6.0) as insim:
            report = await insim.send_many(messages)
        assert [outcome.status is Status.SENT for outcome in report.outcomes] == [False, True] * 3
        assert gateway.batches == [2, 1]

    async def test_the_end_of_a_list_is_known_without_waiting_for_a_turn(
        self, hours: Hours, gateway: Gateway
    ) -> None:
        async with client(hours, max_rate=5.0) as insim:
            await insim.send_many(list(Read(10)))
        assert hours.naps == [1.0]

    async def test_contacts_do_not_wait_for_the_pace(
        self, hours: Hours, router: respx.MockRouter
    ) -> None:
        route = router.post("/api/v1/contact").respond(500)
        async with client(hours, max_rate=0.001) as insim:
            results = await insim.add_contacts([Contact(NUMBER)] * 250)
        assert len(results) == 250
        assert route.call_count == 9
        assert max(hours.naps) <= 1.0


async def test_what_was_put_back_does_not_wait_for_what_comes_next(
    hours: Hours, gateway: Gateway
) -> None:
    """Half of a request that was too large goes at once, however slow the input is."""
    gone = anyio.Event()

    def answer(messages: list[dict[str, Any]]) -> httpx.Response:
        answered = httpx.Response(413) if len(messages) > 5 else gateway.take(messages)
        if gateway.processed.total() == 10:
            gone.set()
        return answered

    async def slow() -> AsyncIterator[Sms]:
        for message in Read(10):
            yield message
        await gone.wait()

    gateway.answers = [answer] * 9
    async with client(hours, batch_size=10) as insim:
        with anyio.fail_after(10):
            report = await insim.send_many(slow())
    assert (report.sent, gateway.batches) == (10, [10, 5, 5])


class TestBreaker:
    @pytest.mark.parametrize("asynchronous", [False, True])
    async def test_a_captive_portal_ends_a_bulk_call(
        self, hours: Hours, gateway: Gateway, asynchronous: bool
    ) -> None:
        """Unknown are three requests, those under way beside the third, and three probes."""
        gateway.answers = [PORTAL] * 1000
        read = Read(20_000)
        async with client(hours) as insim:
            report = await insim.send_many(read.one_by_one() if asynchronous else read)
        assert (report.sent, report.refused) == (0, 0)
        assert report.unknown + report.not_sent == 20_000
        assert sorted(gateway.batches)[:3] == [1, 1, 1]
        assert len(gateway.batches) <= 3 + 7 + 3
        assert report.unknown == sum(gateway.batches)
        assert hours.naps == [1.0, 5.0, 25.0]
        error = report.outcomes[-1].error
        assert type(error) is NotSent
        assert "had no answer of any use" in str(error)

    async def test_stream_reads_no_more_and_raises_it(self, hours: Hours, gateway: Gateway) -> None:
        gateway.answers = [PORTAL] * 1000
        read, seen = Read(20_000), list[Status]()

        async def loop(insim: AsyncInSim) -> None:
            async for outcome in insim.stream(read):
                seen.append(outcome.status)

        async with client(hours, max_concurrency=1) as insim:
            with pytest.raises(NotSent, match="had no answer of any use"):
                await loop(insim)
        assert seen == [Status.UNKNOWN] * 303
        assert read.count == 303

    async def test_a_probe_that_gets_an_answer_closes_it(
        self, hours: Hours, gateway: Gateway
    ) -> None:
        gateway.answers = [PORTAL] * 4
        async with client(hours, max_concurrency=1) as insim:
            report = await insim.send_many(Read(1000))
        assert gateway.batches == [100, 100, 100, 1, 1, *[100] * 6, 98]
        assert (report.unknown, report.sent) == (301, 699)
        assert hours.naps == [1.0, 5.0]
        assert [outcome.sms.message for outcome in report.outcomes] == [
            f"Hi {number}" for number in range(1000)
        ]

    async def test_a_late_answer_closes_it_too(
        self, hours: Hours, router: respx.MockRouter
    ) -> None:
        """One that was under way when it opened; nobody waits for the next probe any more."""
        late, opened = anyio.Event(), anyio.Event()
        gateway = Gateway()

        async def answer(request: httpx.Request) -> httpx.Response:
            number = len(gateway.requests)
            answered = gateway(request)
            if number == 0:
                await late.wait()
            return answered if number == 0 or opened.is_set() else PORTAL

        async def sleep(seconds: float) -> None:
            late.set()
            opened.set()
            await anyio.sleep_forever()

        router.post("/api/v1/sendsms").mock(side_effect=answer)
        clock = Clock(sleep=sleep)
        async with AsyncInSim(
            LOGIN, KEY, base_url=BASE_URL, max_concurrency=2, clock=clock
        ) as insim:
            report = await insim.send_many(Read(600))
        assert gateway.batches == [100] * 6
        assert (report.unknown, report.sent) == (300, 300)

    async def test_contacts_get_it_as_their_error(
        self, hours: Hours, router: respx.MockRouter
    ) -> None:
        route = router.post("/api/v1/contact").mock(return_value=PORTAL)
        async with client(hours, batch_size=10, max_concurrency=1) as insim:
            results = await insim.add_contacts([Contact(NUMBER)] * 100)
        assert [type(result.error) for result in results[:33]] == [OutcomeUnknown] * 33
        assert [type(result.error) for result in results[33:]] == [NotSent] * 67
        assert route.call_count == (3 + 3) * 3

    async def test_nobody_waits_for_a_probe_in_a_client_that_closes(self, hours: Hours) -> None:
        """Not even who comes to it only then: a probe was under way."""
        feed: Feed[Any, Any, Any] = Feed(AtHand([]), cast(Any, None), raises=(), clock=hours.clock)
        feed.hurry()
        await feed.wait_for_probe()
        assert hours.naps == []

    async def test_a_closing_client_does_not_wait_for_the_next_probe(
        self, gateway: Gateway
    ) -> None:
        asleep = anyio.Event()

        async def sleep(seconds: float) -> None:
            asleep.set()
            await anyio.sleep_forever()

        gateway.answers = [PORTAL] * 1000
        reports: list[Any] = []
        async with AsyncInSim(
            LOGIN, KEY, base_url=BASE_URL, max_concurrency=1, clock=Clock(sleep=sleep)
        ) as insim:

            async def send() -> None:
                reports.append(await insim.send_many(Read(1000)))

            async with anyio.create_task_group() as group:
                group.start_soon(send)
                await asleep.wait()
                await insim.aclose()
        (report,) = reports
        assert (report.unknown, report.not_sent) == (300, 700)
        assert type(report.outcomes[-1].error) is ConfigurationError


async def test_a_server_that_lets_one_request_a_second_pass_gets_them_all(
    hours: Hours, gateway: Gateway
) -> None:
    """Being put off is no failed attempt as long as anything gets through."""
    passed = [float("-inf")]

    def answer(messages: list[dict[str, Any]]) -> httpx.Response:
        if hours.time - passed[0] < 1:
            return httpx.Response(429, headers={"Retry-After": "1"})
        passed[0] = hours.time
        return gateway.take(messages)

    gateway.answers = [answer] * 1000
    async with client(hours, batch_size=10, max_concurrency=8) as insim:
        report = await insim.send_many(Read(200))
    assert (report.sent, set(gateway.processed.values())) == (200, {1})
    assert len(gateway.requests) <= 2 * 20 + 8


async def test_what_waits_for_another_attempt_is_not_sent_once_the_call_has_stopped(
    hours: Hours, gateway: Gateway
) -> None:
    """One batch is put off; then another learns that the account is refused."""
    asleep = anyio.Event()

    async def sleep(seconds: float) -> None:
        asleep.set()
        await anyio.wait_all_tasks_blocked()

    gateway.answers = [httpx.ConnectError("refused"), httpx.Response(401)]
    async with AsyncInSim(
        LOGIN, KEY, base_url=BASE_URL, max_concurrency=2, clock=Clock(sleep=sleep)
    ) as insim:
        report = await insim.send_many(Read(1000))
    assert gateway.batches == [100, 100]
    assert (report.refused, report.not_sent) == (100, 900)
    assert [outcome.status for outcome in report.outcomes[:100]] == [Status.NOT_SENT] * 100
