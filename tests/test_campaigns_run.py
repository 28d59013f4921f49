"""A campaign that runs: what is sent, when, and how it goes on after whatever happened."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.from_thread
import httpx
import pytest

from insim_async import (
    AsyncInSim,
    AuthenticationFailed,
    ConfigurationError,
    Contact,
    NotSent,
    OutcomeUnknown,
)
from insim_async._sending import Room
from insim_async.campaigns import (
    Campaign,
    CampaignStatus,
    CampaignStopped,
    LedgerUnavailable,
    Limits,
    SendWindow,
)
from insim_async.campaigns._passage import PROBES
from insim_async.campaigns._worker import Worker

from .campaigns import TEXT, all_of, lost, number, people, processed, rows, statuses, waits
from .conftest import BASE_URL, KEY, LOGIN, NOON, Gateway, Hours, receipt
from .waiting import until

Open = Callable[..., Campaign]


def client(hours: Hours, **more: Any) -> AsyncInSim:
    return AsyncInSim(LOGIN, KEY, base_url=BASE_URL, clock=hours.clock, **more)


class Hung(httpx.AsyncBaseTransport):
    """Never answers; tells when a request has arrived."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.arrived.set()
        return await asyncio.sleep(3600, httpx.Response(500))


class TestSending:
    async def test_everybody_gets_it_once(
        self, campaign: Campaign, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        await campaign.add(people(250), TEXT)
        report = await campaign.run(insim)
        assert str(report) == "finished: sent 250"
        assert processed(gateway) == 250
        assert sorted(gateway.batches) == [50, 100, 100]

    async def test_a_second_run_sends_nothing(
        self, campaign: Campaign, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        await campaign.add(people(3), TEXT)
        await campaign.run(insim)
        report = await campaign.run(insim)
        assert (report.state, report.sent, len(gateway.requests)) == ("finished", 3, 1)

    async def test_further_people_are_sent_to_by_the_next_run(
        self, campaign: Campaign, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        await campaign.add(people(3), TEXT)
        await campaign.run(insim)
        added = await campaign.add(people(5), TEXT)
        assert (added.new, added.known) == (2, 3)
        assert (await campaign.status()).state == "open"
        assert (await campaign.run(insim)).sent == processed(gateway) == 5

    async def test_an_empty_campaign_is_finished(
        self, campaign: Campaign, insim: AsyncInSim
    ) -> None:
        assert str(await campaign.run(insim)) == "finished: empty"

    async def test_texts_links_and_priorities_are_each_persons_own(
        self, campaign: Campaign, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        from insim_async import Priority

        await campaign.add(
            [{"phone_number": number(1), "first_name": "Zoé", "code": "a b"}],
            "{first_name} : [Lien_Tracking]",
            url="https://example.org/?c={code}&m={sms_id}",
            priority=Priority.LOW,
        )
        await campaign.run(insim)
        [[sent]] = [request["messages"] for request in gateway.requests]
        assert sent["message"] == "Zoé : [Lien_Tracking]"
        assert sent["url"] == f"https://example.org/?c=a%20b&m={sent['id_sms_api']}"
        assert sent["priorite"] == 0

    async def test_what_the_client_may_not_send_is_not_sent_and_harms_nobody(
        self, campaign: Campaign, hours: Hours, gateway: Gateway
    ) -> None:
        await campaign.add([*people(2), Contact(number(9), first_name="x" * 200)], TEXT)
        async with client(hours, max_parts=1) as insim:
            report = await campaign.run(insim)
        assert str(report) == "finished: sent 2, not_sent 1"
        [message] = await all_of(campaign, "not_sent")
        assert "parts" in message.error
        assert processed(gateway) == 2

    async def test_where_nothing_of_a_request_may_be_sent_none_is_made(
        self, campaign: Campaign, hours: Hours, gateway: Gateway
    ) -> None:
        await campaign.add([Contact(number(9), first_name="x" * 200)], TEXT)
        async with client(hours, max_parts=1) as insim:
            assert str(await campaign.run(insim)) == "finished: not_sent 1"
        assert gateway.requests == []

    async def test_what_the_server_refuses_is_refused_and_says_why(
        self, campaign: Campaign, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        def some(messages: list[dict[str, Any]]) -> httpx.Response:
            first, *rest = messages
            row = {"id_sms_api": first["id_sms_api"], "error": ["#003"], "sent": 0}
            return httpx.Response(200, json=[row, *map(receipt, rest)])

        await campaign.add(people(3), TEXT)
        gateway.answers = [some]
        assert str(await campaign.run(insim)) == "finished: sent 2, refused 1"
        [message] = await all_of(campaign, "refused")
        assert message.error.startswith("#003")

    async def test_the_servers_own_ids_are_kept(
        self, campaign: Campaign, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        from insim_async.webhooks import DeliveryStatus

        gateway.answers = [
            lambda messages: httpx.Response(
                200, json=[receipt(each, id_sms_api=f"its-{n}") for n, each in enumerate(messages)]
            )
        ]
        await campaign.add(people(3), TEXT)
        await campaign.run(insim)
        assert await campaign.record(
            DeliveryStatus(phone_number=number(1), sms_id="its-1", status="received")
        )
        assert [m.delivery for m in await all_of(campaign)] == ["none", "received", "none"]


class TestWhatIsUnknown:
    async def test_it_is_never_sent_again_on_its_own(
        self, campaign: Campaign, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        await campaign.add(people(3), TEXT)
        gateway.answers = [lost]
        assert str(await campaign.run(insim)) == "finished: unknown 3"
        assert (await campaign.run(insim)).unknown == 3
        assert len(gateway.requests) == 1

    async def test_a_person_may_settle_it(
        self, campaign: Campaign, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        await campaign.add(people(4), TEXT)
        gateway.answers = [lost]
        await campaign.run(insim)
        unknown = await all_of(campaign, "unknown")
        for message, status in zip(unknown, ["sent", "refused", "not_sent"], strict=False):
            assert await campaign.settle(message, status)  # type: ignore[arg-type]
        assert not await campaign.settle(unknown[0].sms_id, "not_sent")
        assert await statuses(campaign) == ["sent", "refused", "not_sent", "unknown"]
        assert (await all_of(campaign, "sent"))[0].error == "settled by hand"
        with pytest.raises(ConfigurationError, match="settle"):
            await campaign.settle(unknown[3], "unknown")  # type: ignore[arg-type]
        assert await campaign.retry() == 1
        assert (await campaign.run(insim)).sent == 2

    async def test_it_is_sent_again_on_purpose_only_and_under_a_new_id(
        self, campaign: Campaign, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        await campaign.add(people(2), TEXT)
        gateway.answers = [lost]
        await campaign.run(insim)
        with pytest.raises(ConfigurationError, match="allow_duplicates"):
            await campaign.resend(campaign.messages("unknown"))
        [first, _] = await all_of(campaign)
        assert await campaign.resend([first, first.sms_id], allow_duplicates=True) == 1
        assert await campaign.resend(campaign.messages("sent"), allow_duplicates=True) == 0
        assert (await campaign.run(insim)).sent == 1
        [again] = gateway.requests[1]["messages"]
        assert again["id_sms_api"] == f"{first.sms_id}.1"


class TestWhatIsProvenUnsent:
    async def test_it_goes_again(
        self, campaign: Campaign, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        await campaign.add(people(3), TEXT)
        gateway.answers = [httpx.Response(429), httpx.ConnectError("refused")]
        assert str(await campaign.run(insim)) == "finished: sent 3"
        assert processed(gateway) == 3

    async def test_too_large_a_request_goes_in_halves(
        self, campaign: Campaign, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        def small_ones_only(messages: list[dict[str, Any]]) -> httpx.Response:
            return gateway.take(messages) if len(messages) <= 30 else httpx.Response(413)

        await campaign.add(people(100), TEXT)
        gateway.answers = [small_ones_only] * 50
        assert (await campaign.run(insim)).sent == processed(gateway) == 100

    async def test_a_network_that_is_down_for_a_while_costs_nobody_anything(
        self, campaign: Campaign, insim: AsyncInSim, gateway: Gateway, hours: Hours
    ) -> None:
        told: list[CampaignStatus] = []
        await campaign.add(people(3), TEXT)
        gateway.answers = [httpx.ConnectError("refused")] * 6
        report = await campaign.run(insim, on_progress=told.append)
        assert str(report) == "finished: sent 3"
        assert processed(gateway) == 3
        [waiting, *_] = [status for status in told if status.state == "waiting"]
        assert waiting.reason == "the server gives no answer of use"
        assert waiting.waiting_until is not None

    async def test_that_it_is_down_is_logged_once(
        self,
        campaign: Campaign,
        insim: AsyncInSim,
        gateway: Gateway,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level("INFO", "insim_async")
        await campaign.add(people(3), TEXT)
        gateway.answers = [httpx.ConnectError("refused")] * 6
        await campaign.run(insim)
        down, up = [text for text in caplog.messages if text.startswith("campaign:")]
        assert down.startswith(
            "campaign: the server gives no answer of use, so all waits; "
            "it goes on trying for an hour: "
        )
        assert up == "campaign: messages get through again"

    async def test_a_network_that_stays_down_stops_it_after_an_hour(
        self, campaign: Campaign, insim: AsyncInSim, gateway: Gateway, hours: Hours
    ) -> None:
        await campaign.add(people(3), TEXT)
        gateway.answers = [httpx.ConnectError("refused")] * 100
        began = hours.time
        with pytest.raises(CampaignStopped) as caught:
            await campaign.run(insim)
        assert isinstance(caught.value.cause, NotSent)
        assert str(caught.value.report).startswith("stopped (there was no answer")
        assert caught.value.report.pending == 3
        assert 3600 <= hours.time - began < 3900


class TestStopping:
    @pytest.mark.parametrize(
        ("answer", "cause"),
        [
            (httpx.Response(401, json={}), AuthenticationFailed),
            (httpx.Response(403, json={}), AuthenticationFailed),
            (httpx.Response(404), ConfigurationError),
            (
                httpx.Response(302, headers={"Location": "https://elsewhere.test"}),
                ConfigurationError,
            ),
            (httpx.Response(200, json={"error": ["#001"]}), AuthenticationFailed),
        ],
    )
    async def test_an_account_that_is_refused_is_nobodys_fate(
        self,
        campaign: Campaign,
        insim: AsyncInSim,
        gateway: Gateway,
        answer: httpx.Response,
        cause: type[Exception],
    ) -> None:
        await campaign.add(people(250), TEXT)
        gateway.answers = [answer] * 3
        with pytest.raises(CampaignStopped) as caught:
            await campaign.run(insim)
        assert isinstance(caught.value.cause, cause)
        assert (caught.value.report.pending, caught.value.report.state) == (250, "stopped")
        status = await campaign.status()
        assert (status.state, status.counts.pending) == ("stopped", 250)
        gateway.answers.clear()
        assert (await campaign.run(insim)).sent == processed(gateway) == 250

    async def test_a_captive_portal_costs_a_few_requests(
        self, campaign: Campaign, hours: Hours, gateway: Gateway
    ) -> None:
        await campaign.add(people(2000), TEXT)
        gateway.answers = [lost] * 100
        async with client(hours, batch_size=10, max_concurrency=4) as insim:
            with pytest.raises(CampaignStopped) as caught:
                await campaign.run(insim)
        assert isinstance(caught.value.cause, OutcomeUnknown)
        report = caught.value.report
        assert report.unknown <= (3 + 4 - 1) * 10 + len(PROBES)
        assert report.unknown + report.pending == 2000

    async def test_a_portal_that_goes_away_lets_it_go_on(
        self, campaign: Campaign, hours: Hours, gateway: Gateway
    ) -> None:
        await campaign.add(people(200), TEXT)
        gateway.answers = [lost] * 5
        async with client(hours, batch_size=10, max_concurrency=1) as insim:
            report = await campaign.run(insim)
        assert (report.state, report.unknown, report.sent) == ("finished", 32, 168)

    async def test_a_client_that_is_closed_stops_it(
        self, campaign: Campaign, hours: Hours, gateway: Gateway
    ) -> None:
        await campaign.add(people(30), TEXT)
        async with client(hours, batch_size=10, max_concurrency=1) as insim:
            closing: list[asyncio.Task[None]] = []

            def close(messages: list[dict[str, Any]]) -> httpx.Response:
                closing.append(asyncio.ensure_future(insim.aclose()))
                return gateway.take(messages)

            gateway.answers = [close]
            with pytest.raises(CampaignStopped, match="closed") as caught:
                await campaign.run(insim)
            await closing[0]
        assert caught.value.report.pending >= 10


class TestSteering:
    async def test_pause_resume_and_cancel_from_elsewhere(
        self, open_campaign: Open, hours: Hours, gateway: Gateway
    ) -> None:
        mine, other = open_campaign(), open_campaign()
        await mine.add(people(30), TEXT)
        told: list[str] = []

        async def steer() -> None:
            await waits(other, "paused")
            assert (await other.status()).state == "paused"
            seen = len(gateway.requests)
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
            assert len(gateway.requests) == seen
            assert await other.resume()
            assert not await other.resume()

        async with (
            client(hours, batch_size=10, max_concurrency=1) as insim,
            anyio.create_task_group() as group,
        ):

            async def first(messages: list[dict[str, Any]]) -> httpx.Response:
                assert await other.pause()
                group.start_soon(steer)
                return gateway.take(messages)

            gateway.answers = [cast(Any, first)]
            report = await mine.run(insim, on_progress=lambda s: told.append(s.state.value))
        assert (report.state, processed(gateway)) == ("finished", 30)
        assert "paused" in told

    async def test_cancel_leaves_what_is_under_way_and_drops_the_rest(
        self, campaign: Campaign, hours: Hours, gateway: Gateway
    ) -> None:
        await campaign.add(people(30), TEXT)
        cancelling: list[asyncio.Task[bool]] = []

        def cancel(messages: list[dict[str, Any]]) -> httpx.Response:
            cancelling.append(asyncio.ensure_future(campaign.cancel()))
            return gateway.take(messages)

        gateway.answers = [cancel]
        async with client(hours, batch_size=10, max_concurrency=1) as insim:
            report = await campaign.run(insim)
            assert await cancelling[0]
            assert (report.state, report.pending) == ("cancelled", 0)
            assert report.sent == processed(gateway)
            assert report.sent + report.cancelled == 30
            assert (await campaign.run(insim)).state == "cancelled"
        assert not await campaign.cancel()
        with pytest.raises(ConfigurationError, match="cancelled"):
            await campaign.add(people(40), TEXT)

    async def test_cancel_without_a_run(self, campaign: Campaign) -> None:
        await campaign.add(people(3), TEXT)
        assert await campaign.cancel()
        assert await statuses(campaign) == ["cancelled"] * 3
        assert (await campaign.status()).state == "cancelled"

    async def test_a_paused_campaign_waits_from_the_start(
        self, campaign: Campaign, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        await campaign.add(people(3), TEXT)
        await campaign.pause()

        async def resume() -> None:
            await waits(campaign, "paused")
            await campaign.resume()

        async with anyio.create_task_group() as group:
            group.start_soon(resume)
            report = await campaign.run(insim)
        assert report.state == "finished"

    async def test_a_callback_that_raises_harms_nothing(
        self, campaign: Campaign, insim: AsyncInSim, caplog: pytest.LogCaptureFixture
    ) -> None:
        def show(status: CampaignStatus) -> None:
            raise RuntimeError

        await campaign.add(people(3), TEXT)
        assert (await campaign.run(insim, on_progress=show)).sent == 3
        assert "on_progress raised RuntimeError" in caplog.text

    async def test_a_callback_that_cannot_be_called_is_refused(
        self, campaign: Campaign, insim: AsyncInSim
    ) -> None:
        with pytest.raises(ConfigurationError, match="on_progress"):
            await campaign.run(insim, on_progress=asyncio.sleep)  # type: ignore[arg-type]

    async def test_who_has_opted_out_is_told_of_though_the_list_is_gone_through_again(
        self, campaign: Campaign, hours: Hours
    ) -> None:
        async def passed_over() -> int:
            return (await campaign.status()).counts.suppressed

        async def answer(request: httpx.Request) -> httpx.Response:
            await until(passed_over)  # by the other worker, meanwhile
            return httpx.Response(200, json=[receipt(json.loads(request.content)["messages"][0])])

        told: list[int] = []
        await campaign.add(people(2), TEXT)
        await campaign.suppress([number(1)])
        async with (
            httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http,
            client(hours, http_client=http, batch_size=1, max_concurrency=2) as insim,
        ):
            await campaign.run(insim, on_progress=lambda s: told.append(s.counts.suppressed))
        assert set(told) == {1}


LATE = datetime(2025, 10, 29, 13, 21)  # noqa: DTZ001 - naive, in the zone of the client
PARIS = "Europe/Paris"  # the clock of the tests shows 13:16:40 there, on a Wednesday


class TestWhen:
    async def test_a_pace_spaces_what_goes(
        self, campaign: Campaign, insim: AsyncInSim, gateway: Gateway, hours: Hours
    ) -> None:
        await campaign.add(people(5), TEXT)
        began = hours.time
        await campaign.run(insim, limits=Limits(per_minute=20))
        assert gateway.batches == [1] * 5
        assert 12 <= hours.time - began < 13

    async def test_limits_are_stored_and_count_what_earlier_runs_and_others_sent(
        self, open_campaign: Open, hours: Hours, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("insim_async.campaigns._run.POLL", 1e9)
        first, second = open_campaign(), open_campaign(name="second")
        await first.add(people(3), TEXT)
        await second.add(people(3, 10), TEXT)
        async with client(hours, timezone=PARIS) as insim:
            await first.run(insim, limits=Limits(per_hour=4))
            began = hours.time
            told: list[CampaignStatus] = []
            report = await second.run(insim, on_progress=told.append)
        assert (report.sent, gateway.batches) == (3, [3, 1, 2])
        assert 3600 <= hours.time - began <= 3662
        waiting = next(status for status in told if status.state == "waiting")
        assert waiting.reason == "per_hour=4 is reached"

    async def test_a_limit_may_be_set_while_it_waits_for_it(
        self, campaign: Campaign, hours: Hours, gateway: Gateway
    ) -> None:
        await campaign.add(people(3), TEXT)

        async def raise_it() -> None:
            await waits(campaign, "per_day=2")
            await campaign.set_limits(Limits(per_day=3))

        async with client(hours, timezone=PARIS) as insim, anyio.create_task_group() as group:
            group.start_soon(raise_it)
            report = await campaign.run(insim, limits=Limits(per_day=2))
        assert (report.sent, gateway.batches) == (3, [2, 1])
        with pytest.raises(ConfigurationError, match="limits"):
            await campaign.set_limits(3)  # type: ignore[arg-type]

    async def test_distinct_numbers_of_a_month_are_counted_from_before_too(
        self, open_campaign: Open, hours: Hours, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("insim_async.campaigns._run.POLL", 1e9)
        first, second = open_campaign(), open_campaign(name="second")
        await first.add(people(2), TEXT)
        await second.add([*people(1), *people(2, 10), *people(1, 1)], TEXT)
        async with client(hours, timezone=PARIS) as insim:
            await first.run(insim)
            report = await second.run(insim, limits=Limits(distinct_per_month=3))
        assert (report.sent, gateway.batches) == (4, [2, 2, 2])
        assert hours.time > 2 * 86_400  # until November

    async def test_it_waits_for_its_window_and_says_so(
        self, campaign: Campaign, hours: Hours, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("insim_async.campaigns._run.POLL", 1e9)
        await campaign.add(people(3), TEXT)
        told: list[CampaignStatus] = []
        async with client(hours, timezone=PARIS) as insim:
            await campaign.run(insim, window=SendWindow("18:00", "20:00"), on_progress=told.append)
        waiting = next(status for status in told if status.state == "waiting")
        assert waiting.reason == "the window is closed"
        assert waiting.waiting_until == datetime(2025, 10, 29, 17, tzinfo=UTC)
        assert datetime.fromtimestamp(NOON + hours.time, UTC) >= waiting.waiting_until
        assert processed(gateway) == 3

    async def test_what_is_too_late_expires(
        self, campaign: Campaign, hours: Hours, gateway: Gateway
    ) -> None:
        await campaign.add(people(30), TEXT)
        async with client(hours, timezone=PARIS) as insim:
            report = await campaign.run(
                insim,
                limits=Limits(per_minute=1),
                until=LATE,
            )
        assert str(report) == "finished (too late): sent 5, expired 25"
        assert (await campaign.status()).counts.expired == 25

    async def test_what_was_put_back_behind_its_end_expires_too(
        self, campaign: Campaign, hours: Hours, gateway: Gateway
    ) -> None:
        def too_late(messages: list[dict[str, Any]]) -> httpx.Response:
            hours.time += 3600
            return httpx.Response(429)

        await campaign.add(people(3), TEXT)
        gateway.answers = [too_late]
        async with client(hours, timezone=PARIS, max_concurrency=1) as insim:
            report = await campaign.run(insim, until=LATE)
        assert (report.state, report.expired) == ("finished", 3)

    @pytest.mark.parametrize(
        "more",
        [
            {"limits": Limits(per_day=5)},
            {"window": SendWindow("08:00", "20:00")},
            {"until": LATE},
            {"limits": 5},
        ],
    )
    async def test_without_a_zone_nothing_is_guessed(
        self, campaign: Campaign, insim: AsyncInSim, more: dict[str, Any]
    ) -> None:
        with pytest.raises(ConfigurationError):
            await campaign.run(insim, **more)

    async def test_a_message_that_no_limit_would_ever_let_go_is_said_at_once(
        self, campaign: Campaign, insim: AsyncInSim
    ) -> None:
        await campaign.add([Contact(number(1), first_name="x" * 200)], TEXT)
        with pytest.raises(ConfigurationError, match="for ever"):
            await campaign.run(insim, limits=Limits(per_hour=1))

    async def test_limits_that_become_impossible_stop_it(
        self, open_campaign: Open, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        campaign, told = open_campaign(), list[CampaignStatus]()
        await campaign.add(people(3), TEXT)
        await campaign.pause()

        async def spoil() -> None:
            await waits(campaign)
            await campaign.set_limits(Limits(per_day=5))
            await campaign.resume()

        async with anyio.create_task_group() as group:
            group.start_soon(spoil)
            with pytest.raises(CampaignStopped, match="per_day"):
                await campaign.run(insim, on_progress=told.append)
        assert gateway.requests == []
        assert told[-1].expected_end is None

    async def test_whoever_looks_is_told_when_it_will_end(
        self, open_campaign: Open, hours: Hours, gateway: Gateway
    ) -> None:
        mine, other = open_campaign(), open_campaign()
        await mine.add(people(30), TEXT)
        seen: list[CampaignStatus] = []

        async def look() -> None:
            while not seen or not seen[-1].counts.sent:
                seen.append(await other.status())
            await other.cancel()

        async with client(hours, timezone=PARIS) as insim, anyio.create_task_group() as group:
            group.start_soon(look)
            await mine.run(insim, limits=Limits(per_minute=1), window=SendWindow("08:00", "20:00"))
        end = seen[-1].expected_end
        assert end is not None, seen
        assert datetime(2025, 10, 29, 12, 40, tzinfo=UTC) < end
        assert end < datetime(2025, 10, 29, 13, tzinfo=UTC)

    async def test_whoever_listens_is_told_when_it_will_end(
        self, campaign: Campaign, hours: Hours, gateway: Gateway
    ) -> None:
        """Five parts at one a minute, from 12:16:40 on."""
        await campaign.add(people(5), TEXT)
        told: list[CampaignStatus] = []
        async with client(hours, timezone=PARIS) as insim:
            await campaign.run(insim, limits=Limits(per_minute=1), on_progress=told.append)
        *running, ended = [status.expected_end for status in told]
        assert ended is None
        assert len(running) >= 5
        for end in running:
            assert end is not None
            assert abs(end - datetime(2025, 10, 29, 12, 21, tzinfo=UTC)) < timedelta(minutes=2)

    async def test_one_that_waits_says_when_it_will_end_and_not_only_until_when(
        self, campaign: Campaign, hours: Hours, gateway: Gateway
    ) -> None:
        await campaign.add(people(3), TEXT)
        told: list[CampaignStatus] = []
        async with client(hours, timezone="UTC") as insim:
            await campaign.run(
                insim,
                limits=Limits(per_minute=1),
                window=SendWindow("12:20", "20:00"),
                on_progress=told.append,
            )
        assert told[0].waiting_until == datetime(2025, 10, 29, 12, 20, tzinfo=UTC)
        assert told[0].expected_end == datetime(2025, 10, 29, 12, 23, tzinfo=UTC)

    async def test_without_a_limit_nobody_can_say_before_anything_was_sent(
        self, campaign: Campaign, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        await campaign.add(people(3), TEXT)
        told: list[CampaignStatus] = []
        await campaign.run(insim, on_progress=told.append)
        assert [status.expected_end for status in told] == [None] * len(told)


async def cancelled_at(campaign: Campaign, insim: AsyncInSim, at: int, when: str) -> bool:
    """Cancel a run at its n-th write; return whether it came so far."""
    begin, count = campaign._ledger.begin, 0
    watching: list[asyncio.Future[None]] = []

    async def cancel_behind(operation: Any) -> None:
        await operation.settled.wait()
        running.cancel()

    def counted(action: Any) -> Any:
        nonlocal count
        count += 1
        if count == at and when == "before":
            running.cancel()
        operation = begin(action)
        if count == at and when == "after":
            watching.append(asyncio.ensure_future(cancel_behind(operation)))
        return operation

    campaign._ledger.begin = counted  # type: ignore[method-assign]
    running = asyncio.ensure_future(campaign.run(insim))
    await asyncio.wait([running])
    await asyncio.gather(*watching)
    campaign._ledger.begin = begin  # type: ignore[method-assign]
    return running.cancelled()


class TestCancelling:
    async def test_requests_under_way_may_end_and_the_rest_stays_pending(
        self, campaign: Campaign, hours: Hours, gateway: Gateway
    ) -> None:
        await campaign.add(people(30), TEXT)
        async with client(hours, batch_size=10, max_concurrency=1) as insim:
            running: list[asyncio.Task[Any]] = []

            def cancel(messages: list[dict[str, Any]]) -> httpx.Response:
                running[0].cancel()
                return gateway.take(messages)

            gateway.answers = [cancel]
            running.append(asyncio.ensure_future(campaign.run(insim)))
            with pytest.raises(asyncio.CancelledError):
                await running[0]
            status = await campaign.status()
            assert (status.state, status.reason) == ("open", "its run was cancelled")
            assert status.counts.sent == processed(gateway) < 30
            assert status.counts.sent + status.counts.pending == 30
            assert (await campaign.run(insim)).sent == processed(gateway) == 30

    @pytest.mark.parametrize("when", ["before", "after"])
    async def test_cancelled_at_any_write_nobody_is_doubled_or_lost(
        self, hours: Hours, gateway: Gateway, tmp_path: Path, when: str
    ) -> None:
        """Natively, when it begins to write something for the n-th time, or is done with it."""
        at, ended = 0, False
        while not ended:
            at += 1
            gateway.processed.clear()
            with closing(Campaign.open(tmp_path / f"{at}.db", clock=hours.clock)) as campaign:
                await campaign.add(people(6), TEXT)
                async with client(hours, batch_size=2, max_concurrency=2) as insim:
                    ended = not await cancelled_at(campaign, insim, at, when)
                    report = await campaign.run(insim)
            assert report.sent + report.unknown == 6
            assert report.sent <= processed(gateway) <= 6
        assert at > 5

    async def test_cancelled_twice_it_waits_for_nothing(
        self, campaign: Campaign, hours: Hours, gateway: Gateway
    ) -> None:
        await campaign.add(people(3), TEXT)
        hung = Hung()
        async with (
            httpx.AsyncClient(transport=hung) as http,
            client(hours, http_client=http) as insim,
        ):
            running = asyncio.ensure_future(campaign.run(insim))
            await hung.arrived.wait()
            running.cancel()
            for _ in range(3):
                await asyncio.sleep(0)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
        assert await statuses(campaign) == ["unknown"] * 3


@pytest.mark.parametrize("backend", ["trio"])
def test_it_runs_on_trio(open_campaign: Open, gateway: Gateway, hours: Hours, backend: str) -> None:
    async def main() -> None:
        campaign = open_campaign()
        await campaign.add(people(30), TEXT)
        async with client(hours, batch_size=10) as insim:
            assert (await campaign.run(insim)).sent == 30

    anyio.run(main, backend=backend)
    assert processed(gateway) == 30


class TestFromOutside:
    async def test_a_mistake_of_ours_is_raised_and_the_next_run_goes_on(
        self, campaign: Campaign, insim: AsyncInSim, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fail(worker: Worker) -> None:
            raise RuntimeError("a mistake")

        await campaign.add(people(3), TEXT)
        with monkeypatch.context() as patched:
            patched.setattr(Worker, "work", fail)
            with pytest.raises(ExceptionGroup, match="unhandled errors in a TaskGroup"):
                await campaign.run(insim)
        assert (await campaign.run(insim)).sent == 3

    async def test_a_run_whose_own_task_is_cancelled_says_so(
        self, campaign: Campaign, hours: Hours
    ) -> None:
        """As when the event loop ends before it."""
        await campaign.add(people(3), TEXT)
        hung = Hung()
        async with (
            httpx.AsyncClient(transport=hung) as http,
            client(hours, http_client=http) as insim,
        ):
            run = asyncio.create_task(campaign.run(insim))
            await hung.arrived.wait()
            for task in asyncio.all_tasks():
                if getattr(task.get_coro(), "__qualname__", "") == "Run._keep":
                    task.cancel()
            with pytest.raises(CampaignStopped, match="the run was cancelled from outside"):
                await run
        assert {*await statuses(campaign)} <= {"in_flight", "unknown"}

    async def test_nothing_is_claimed_after_its_end(
        self, campaign: Campaign, insim: AsyncInSim
    ) -> None:
        await campaign.add(people(1), TEXT)
        runs: list[Any] = []
        await campaign.run(insim, on_progress=lambda _: runs.append(campaign._running))
        assert await runs[0][0].claim(Room(1, 1.0), is_probe=False) is None


async def test_what_was_said_last_stands_though_it_was_written_first(
    open_campaign: Open, path: Path, gateway: Gateway, hours: Hours, monkeypatch: Any
) -> None:
    """That the campaign is paused is written when it is not any more: the disk failed at first."""
    campaign, other = open_campaign(), open_campaign()
    await campaign.add(people(2), TEXT)
    await campaign.pause()
    file, desk, began = campaign._ledger.file, campaign._ledger._desks.here(), threading.Event()
    transact, said = file.transact, list[Any]()

    def fail(actions: Any) -> Any:
        """Fail as soon as something else waits to be written."""
        monkeypatch.setattr(file, "transact", transact)
        began.set()
        anyio.from_thread.run(until, lambda: desk._waiting)
        raise LedgerUnavailable("full")

    async def resume(seconds: float) -> None:
        if not said:
            said.append("paused")
            await until(began.is_set)
            await other.resume()
        hours.time += seconds

    def answer(messages: list[dict[str, Any]]) -> httpx.Response:
        said.append(rows(path, "SELECT reason FROM campaign")[0][0])
        return gateway.take(messages)

    def show(status: CampaignStatus) -> None:
        if status.reason == "paused":
            monkeypatch.setattr(file, "transact", fail)

    gateway.answers = [answer, answer]
    monkeypatch.setattr(hours, "sleep", resume)
    monkeypatch.setattr(campaign._ledger, "clock", hours.clock)
    async with client(hours, batch_size=1, max_concurrency=1) as insim:
        await campaign.run(insim, on_progress=show)
    assert said == ["paused", "", ""]
