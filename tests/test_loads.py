"""Single messages that wait travel together, and each caller is told of its own alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import anyio
import httpx
import pytest
import respx

from insim_async import (
    AsyncInSim,
    Clock,
    ConfigurationError,
    InSimError,
    InvalidMessage,
    NotSent,
    OutcomeUnknown,
    Priority,
    RateLimited,
    Refused,
    SmsReceipt,
)
from insim_async._http import Rank
from tests.conftest import BASE_URL, KEY, LOGIN, Gateway, Hours, receipt

NUMBER = "+33639980001"


def client(**settings: Any) -> AsyncInSim:
    return AsyncInSim(LOGIN, KEY, base_url=BASE_URL, **settings)


class Held:
    """A gateway that answers nothing until it is told to."""

    def __init__(self, router: respx.MockRouter) -> None:
        self.requests: list[list[dict[str, Any]]] = []
        self.cut_off = 0
        self.release = anyio.Event()
        self.answer: Callable[[list[dict[str, Any]]], httpx.Response] = lambda messages: (
            httpx.Response(200, json=list(map(receipt, messages)))
        )
        router.post("/api/v1/sendsms").mock(side_effect=self)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        messages = json.loads(request.content)["messages"]
        self.requests.append(messages)
        try:
            await self.release.wait()
        except anyio.get_cancelled_exc_class():
            self.cut_off += 1
            raise
        return self.answer(messages)

    @property
    def texts(self) -> list[list[str]]:
        return [[message["message"] for message in messages] for messages in self.requests]


@pytest.fixture
def held(router: respx.MockRouter) -> Held:
    return Held(router)


class Callers:
    """Tasks that each send one message, and how each ended."""

    def __init__(self, insim: AsyncInSim) -> None:
        self.insim = insim
        self.tasks: dict[str, asyncio.Task[SmsReceipt]] = {}

    async def send(self, *texts: str, **more: Any) -> None:
        """Let so many send in one turn of the loop, and wait until all of them wait."""
        for text in texts:
            self.tasks[text] = asyncio.create_task(self.insim.send_sms(NUMBER, text, **more))
        await anyio.wait_all_tasks_blocked()

    async def ends(self) -> dict[str, Any]:
        """Return what each got: its own text, or its error."""
        await asyncio.wait(self.tasks.values())
        return {text: self.end_of(task) for text, task in self.tasks.items()}

    @staticmethod
    def end_of(task: asyncio.Task[SmsReceipt]) -> Any:
        if task.cancelled():
            return "cancelled"
        return task.exception() or task.result().message


def names(start: int, count: int) -> list[str]:
    return [f"Message {number}" for number in range(start, start + count)]


class TestSharing:
    async def test_sends_of_one_turn_share_requests_of_ten(self, held: Held) -> None:
        """So that the slots share the work."""
        async with client() as insim:
            callers = Callers(insim)
            held.release.set()
            await callers.send(*names(0, 25))
            assert [len(request) for request in held.requests] == [10, 10, 5]
            assert await callers.ends() == {text: text for text in names(0, 25)}

    async def test_with_all_slots_busy_as_many_as_fit_share_one(self, held: Held) -> None:
        async with client(max_concurrency=1, batch_size=40) as insim:
            callers = Callers(insim)
            await callers.send("first")
            await callers.send(*names(0, 30))
            await callers.send(*names(30, 60))
            assert held.texts == [["first"]]
            held.release.set()
            ends = await callers.ends()
        assert held.texts == [["first"], names(0, 40), names(40, 40), names(80, 10)]
        assert ends == {text: text for text in ["first", *names(0, 90)]}

    async def test_a_lone_one_goes_alone_at_once(self, gateway: Gateway, insim: AsyncInSim) -> None:
        for text in names(0, 3):
            await insim.send_sms(NUMBER, text)
        assert gateway.batches == [1, 1, 1]

    async def test_with_a_batch_size_of_one_each_goes_alone(self, held: Held) -> None:
        held.release.set()
        async with client(batch_size=1, max_concurrency=2) as insim:
            callers = Callers(insim)
            await callers.send(*names(0, 9))
            assert held.texts == [[text] for text in names(0, 9)]

    async def test_an_id_never_travels_twice_in_one_request(self, held: Held) -> None:
        held.release.set()
        async with client() as insim:
            callers = Callers(insim)
            await callers.send("a", "b", sms_id="order-7")
            await callers.send("c", "d", sms_id="order-7")
        assert held.texts == [["a"], ["b"], ["c"], ["d"]]

    async def test_what_is_bad_joins_nothing(self, held: Held) -> None:
        held.release.set()
        async with client() as insim:
            callers = Callers(insim)
            await callers.send("good", "", "\ud800")
            ends = await callers.ends()
        assert held.texts == [["good"]]
        assert isinstance(ends[""], InvalidMessage)

    async def test_a_load_can_be_joined_for_a_tenth_of_the_timeout(
        self, held: Held, hours: Hours
    ) -> None:
        """So that the deadlines in it differ by no more."""
        async with client(clock=hours.clock, max_concurrency=1, timeout=30) as insim:
            callers = Callers(insim)
            await callers.send("first")
            await callers.send("a")
            hours.time += 2.9
            await callers.send("b")
            hours.time += 0.2
            await callers.send("c")
            held.release.set()
            await callers.ends()
        assert held.texts == [["first"], ["a", "b"], ["c"]]

    async def test_an_urgent_one_goes_before_all_that_wait(self, held: Held) -> None:
        async with client(max_concurrency=1) as insim:
            callers = Callers(insim)
            await callers.send("first")
            await callers.send(*names(0, 3))
            await callers.send("now", priority=Priority.HIGH)
            held.release.set()
            await callers.ends()
        assert held.texts == [["first"], ["now"], names(0, 3)]

    @pytest.mark.parametrize(("rate", "requests"), [(6.0, [2, 2, 1]), (0.5, [1] * 5)])
    async def test_a_request_has_no_more_than_a_seconds_worth_of_parts(
        self, held: Held, hours: Hours, rate: float, requests: list[int]
    ) -> None:
        held.release.set()
        async with client(clock=hours.clock, max_rate=rate, timeout=100) as insim:
            callers = Callers(insim)
            await callers.send(*[f"{number} " + "a" * 400 for number in range(5)])
            await callers.ends()
        assert [len(request) for request in held.requests] == requests
        assert sum(hours.naps) == pytest.approx(sum(requests[:-1]) * 3 / rate)

    async def test_a_body_that_would_be_too_long_is_sent_as_several(self, held: Held) -> None:
        held.release.set()
        texts = [f"{number} " + "é" * 15_000 for number in range(40)]
        async with client(max_concurrency=1, max_parts=255) as insim:
            callers = Callers(insim)
            await callers.send("first", *texts)
            ends = await callers.ends()
        assert ends == {text: text for text in ["first", *texts]}
        assert len(held.requests) > 2


class TestContext:
    async def test_a_lone_one_is_sent_in_its_callers_context_and_others_in_none(
        self, router: respx.MockRouter
    ) -> None:
        """Such as the span of a trace: a request of several callers is nobody's."""
        caller: ContextVar[str] = ContextVar("caller", default="nobody")
        seen: list[str] = []

        async def hook(request: httpx.Request) -> None:
            seen.append(caller.get())

        held = Held(router)
        held.release.set()
        async with client() as insim:
            insim.http_client.event_hooks = {"request": [hook]}
            caller.set("me")
            await insim.send_sms(NUMBER, "alone")
            callers = Callers(insim)
            await callers.send("a", "b")
            await callers.ends()
        assert seen == ["me", "nobody"]


class TestErrors:
    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            (httpx.Response(401), Refused),
            (httpx.Response(422), OutcomeUnknown),
            (httpx.Response(500), OutcomeUnknown),
            (httpx.Response(404), ConfigurationError),
            (httpx.ConnectError("refused"), NotSent),
            (httpx.Response(429, headers={"Retry-After": "300"}), RateLimited),
        ],
        ids=str,
    )
    async def test_each_caller_has_an_exception_of_its_own(
        self, insim: AsyncInSim, gateway: Gateway, answer: Any, kind: type[InSimError]
    ) -> None:
        gateway.answers = [answer] * 3
        callers = Callers(insim)
        await callers.send(*names(0, 3))
        errors = list((await callers.ends()).values())
        assert all(isinstance(error, kind) for error in errors), errors
        assert len(set(map(id, errors))) == 3
        assert len(set(map(str, errors))) == 1
        assert gateway.processed == {}

    async def test_each_row_is_told_to_its_own_caller(
        self, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        def answer(messages: list[dict[str, Any]]) -> httpx.Response:
            sent, refused, _ = messages
            return httpx.Response(200, json=[receipt(refused, sent=0), receipt(sent)])

        gateway.answers = [answer]
        callers = Callers(insim)
        await callers.send("a", "b", "c")
        ends = await callers.ends()
        assert ends["a"] == "a"
        assert type(ends["b"]) is Refused
        assert type(ends["c"]) is OutcomeUnknown

    async def test_a_load_that_is_too_large_is_sent_in_smaller_ones_each_once(
        self, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        def answer(messages: list[dict[str, Any]]) -> httpx.Response:
            return httpx.Response(413) if len(messages) > 3 else gateway.take(messages)

        gateway.answers = [answer] * 50
        callers = Callers(insim)
        await callers.send(*names(0, 10))
        assert await callers.ends() == {text: text for text in names(0, 10)}
        assert set(gateway.processed.values()) == {1}
        assert sum(size for size in gateway.batches if size <= 3) == 10

    async def test_whoever_gets_no_slot_in_half_the_time_is_not_sent(self, held: Held) -> None:
        async with client(timeout=0.4, max_concurrency=1) as insim:
            callers = Callers(insim)
            await callers.send("first")
            await callers.send("second", "third")
            ends = await callers.ends()
        assert type(ends["first"]) is OutcomeUnknown
        assert {type(ends[text]) for text in ("second", "third")} == {NotSent}
        assert "its turn did not come within 0.2 s" in str(ends["second"])
        assert held.texts == [["first"]]

    async def test_no_request_begins_in_the_second_half_of_the_time(
        self, held: Held, hours: Hours
    ) -> None:
        """Not even the half of one that was too large, though a slot is free."""

        def answer(_: object) -> httpx.Response:
            hours.time += 20
            return httpx.Response(413)

        held.answer = answer
        held.release.set()
        async with client(clock=hours.clock, timeout=30) as insim:
            callers = Callers(insim)
            await callers.send("a", "b")
            ends = await callers.ends()
        assert {type(end) for end in ends.values()} == {NotSent}
        assert held.texts == [["a", "b"]]

    async def test_who_could_not_begin_in_time_has_sent_nothing(
        self, held: Held, hours: Hours
    ) -> None:
        """As where the event loop stood still."""
        held.release.set()
        async with client(clock=hours.clock, timeout=30) as insim:
            task = asyncio.create_task(insim.send_sms(NUMBER, "a"))
            await asyncio.sleep(0)
            hours.time += 16
            with pytest.raises(NotSent, match="its turn did not come within 15 s"):
                await task
        assert held.texts == []

    async def test_whoever_would_wait_too_long_for_the_pace_is_told_at_once(
        self, held: Held, hours: Hours
    ) -> None:
        held.release.set()
        async with client(clock=hours.clock, max_rate=0.05, timeout=30) as insim:
            await insim.send_sms(NUMBER, "first")
            with pytest.raises(NotSent, match="its turn did not come"):
                await insim.send_sms(NUMBER, "second")
        assert hours.naps == []

    async def test_what_the_clock_raises_is_raised_to_each(self, held: Held) -> None:
        async def sleep(seconds: float) -> None:
            raise ZeroDivisionError

        held.answer = lambda _: httpx.Response(429)
        held.release.set()
        async with client(clock=Clock(sleep=sleep)) as insim:
            callers = Callers(insim)
            await callers.send("a", "b")
            ends = await callers.ends()
            assert {type(end) for end in ends.values()} == {ZeroDivisionError}
            assert ends["a"] is not ends["b"]

    async def test_an_attempt_that_is_proven_unsent_is_made_again_without_those_who_left(
        self, gateway: Gateway
    ) -> None:
        asleep, wake = anyio.Event(), anyio.Event()

        async def sleep(seconds: float) -> None:
            asleep.set()
            await wake.wait()

        gateway.answers = [httpx.ConnectError("refused")]
        async with client(clock=Clock(sleep=sleep)) as insim:
            callers = Callers(insim)
            await callers.send("a", "b", "c")
            await asleep.wait()
            callers.tasks["b"].cancel()
            await callers.send("d")
            wake.set()
            ends = await callers.ends()
        assert ends == {"a": "a", "b": "cancelled", "c": "c", "d": "d"}
        assert gateway.batches == [3, 1, 2]


class TestCancellation:
    async def test_who_waits_is_taken_out_and_never_sent(self, held: Held) -> None:
        async with client(max_concurrency=1) as insim:
            callers = Callers(insim)
            await callers.send("first")
            await callers.send("a", "b", "c")
            callers.tasks["a"].cancel()
            callers.tasks["c"].cancel()
            await anyio.wait_all_tasks_blocked()
            held.release.set()
            ends = await callers.ends()
        assert held.texts == [["first"], ["b"]]
        assert ends == {"first": "first", "a": "cancelled", "b": "b", "c": "cancelled"}

    async def test_where_all_leave_who_wait_nothing_is_sent(self, held: Held) -> None:
        async with client(max_concurrency=1) as insim:
            callers = Callers(insim)
            await callers.send("first")
            await callers.send("a", "b")
            for name in "ab":
                callers.tasks[name].cancel()
            await anyio.wait_all_tasks_blocked()
            await callers.send("later")
            held.release.set()
            await callers.ends()
        assert held.texts == [["first"], ["later"]]

    async def test_under_way_the_others_go_on(self, held: Held) -> None:
        async with client() as insim:
            callers = Callers(insim)
            await callers.send("a", "b", "c")
            callers.tasks["a"].cancel()
            await anyio.wait_all_tasks_blocked()
            held.release.set()
            ends = await callers.ends()
        assert ends == {"a": "cancelled", "b": "b", "c": "c"}
        assert held.cut_off == 0

    async def test_the_last_one_to_leave_cancels_the_request(self, held: Held) -> None:
        async with client(max_concurrency=1) as insim:
            callers = Callers(insim)
            await callers.send("a", "b")
            for name, cut_off in (("a", 0), ("b", 1)):
                callers.tasks[name].cancel()
                await anyio.wait_all_tasks_blocked()
                assert held.cut_off == cut_off
            held.release.set()
            await insim.send_sms(NUMBER, "the slot is free")

    @pytest.mark.parametrize("who", ["a", "b"])
    async def test_in_the_first_turn_of_the_loop_the_others_go(self, held: Held, who: str) -> None:
        held.release.set()
        async with client() as insim:
            callers = Callers(insim)
            for name in "ab":
                callers.tasks[name] = asyncio.create_task(insim.send_sms(NUMBER, name))
            await asyncio.sleep(0)
            callers.tasks[who].cancel()
            ends = await callers.ends()
        other = "b" if who == "a" else "a"
        assert ends == {who: "cancelled", other: other}
        assert held.texts == [[other]]

    async def test_where_all_leave_before_the_first_step_of_their_task_nothing_is_sent(
        self, held: Held
    ) -> None:
        held.release.set()
        async with client(max_concurrency=1) as insim:
            callers = Callers(insim)
            for name in "ab":
                callers.tasks[name] = asyncio.create_task(insim.send_sms(NUMBER, name))
            await asyncio.sleep(0)
            for task in callers.tasks.values():
                task.cancel()
            assert set((await callers.ends()).values()) == {"cancelled"}
            assert (await insim.send_sms(NUMBER, "the slot is free")).sent
        assert held.texts == [["the slot is free"]]

    async def test_a_lone_one_that_leaves_in_its_first_turn_gives_back_its_slot(
        self, held: Held
    ) -> None:
        held.release.set()
        async with client(max_concurrency=1) as insim:
            task = asyncio.create_task(insim.send_sms(NUMBER, "a"))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            assert (await insim.send_sms(NUMBER, "b")).sent
        assert held.texts == [["b"]]

    @pytest.mark.parametrize("when", ["before its first step", "waiting", "under way"])
    async def test_a_task_that_is_cancelled_from_outside_says_so(
        self, held: Held, when: str
    ) -> None:
        """As some frameworks do when they end; and its slot is given back."""
        async with client(max_concurrency=1) as insim:
            callers = Callers(insim)
            if when == "waiting":
                await callers.send("first")
            known = asyncio.all_tasks()
            for name in "ab":
                callers.tasks[name] = asyncio.create_task(insim.send_sms(NUMBER, name))
            known |= set(callers.tasks.values())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if when != "before its first step":
                await anyio.wait_all_tasks_blocked()
            (task,) = asyncio.all_tasks() - known
            task.cancel()
            await asyncio.wait([callers.tasks["a"]])
            held.release.set()
            ends = await callers.ends()
            kind = OutcomeUnknown if when == "under way" else NotSent
            assert {type(ends[name]) for name in "ab"} == {kind}
            assert ends["a"] is not ends["b"]
            assert (await insim.send_sms(NUMBER, "the slot is free")).sent
        assert ["a", "b"] in held.texts or when != "under way"


class TestClosing:
    async def test_what_waits_is_not_sent_and_what_is_under_way_has_its_time(
        self, held: Held
    ) -> None:
        async with client(max_concurrency=1) as insim:
            callers = Callers(insim)
            await callers.send("first")
            await callers.send("a", "b")
            async with anyio.create_task_group() as group:
                group.start_soon(insim.aclose)
                await anyio.wait_all_tasks_blocked()
                held.release.set()
            ends = await callers.ends()
        assert ends["first"] == "first"
        assert {type(ends[name]) for name in "ab"} == {NotSent}
        assert "the client was closed" in str(ends["a"])

    async def test_a_load_whose_client_closes_in_its_first_turn_is_not_sent(
        self, held: Held
    ) -> None:
        held.release.set()
        async with client() as insim:
            callers = Callers(insim)
            for name in "ab":
                callers.tasks[name] = asyncio.create_task(insim.send_sms(NUMBER, name))
            await asyncio.sleep(0)
        ends = await callers.ends()
        assert {type(end) for end in ends.values()} <= {ConfigurationError, NotSent}
        assert held.requests == []

    async def test_a_closed_client_opens_no_load(self, held: Held) -> None:
        async with client() as insim:
            pass
        with pytest.raises(ConfigurationError, match="closed"):
            await insim.send_sms(NUMBER, "Hi")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_they_share_on_either_event_loop(backend: str) -> None:
    batches: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        messages = json.loads(request.content)["messages"]
        batches.append(len(messages))
        return httpx.Response(200, json=list(map(receipt, messages)))

    async def scenario() -> None:
        got: list[tuple[str, str]] = []

        async def send(insim: AsyncInSim, text: str) -> None:
            got.append((text, (await insim.send_sms(NUMBER, text)).message))

        transport = httpx.MockTransport(answer)
        async with (
            httpx.AsyncClient(transport=transport) as http_client,
            client(http_client=http_client, max_concurrency=2) as insim,
            anyio.create_task_group() as group,
        ):
            for text in names(0, 100):
                group.start_soon(send, insim, text)
        assert sorted(got) == sorted((text, text) for text in names(0, 100))

    anyio.run(scenario, backend=backend)
    assert sum(batches) == 100
    assert len(batches) <= 12


async def test_a_call_waits_for_a_slot_and_not_for_the_pace(
    held: Held, router: respx.MockRouter, hours: Hours
) -> None:
    answer = [{"info": "ok", "result": "success", "errors": []}]
    router.post("/api/v1/clicTocall").respond(200, json=answer)
    held.release.set()
    async with client(clock=hours.clock, max_rate=0.001) as insim:
        await insim.send_sms(NUMBER, "Hi")
        assert (await insim.click_to_call(NUMBER)).ok
    assert hours.naps == []


def test_ranks_are_in_order() -> None:
    assert Rank.URGENT < Rank.SINGLE < Rank.BULK
