"""An outbox: what is put into it is sent once, by one worker of several, and accounted for."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import anyio
import httpx
import pytest
from msgspec.structs import replace

from insim_async import AsyncInSim, ConfigurationError, InvalidMessage, Priority, Sms
from insim_async.campaigns import Campaign
from insim_async.campaigns._beginning import begin
from insim_async.campaigns._claims import Ask, Claim, Claimed, Hold, claim
from insim_async.campaigns._passage import ATTEMPTS, NO_USE
from insim_async.campaigns._plan import Plan
from insim_async.campaigns._spending import Pace
from insim_async.outbox import Limits, Outbox, OutboxConflict, SendWindow, _parcels
from insim_async.outbox._parcels import Claims, put
from insim_async.webhooks import DeliveryStatus, IncomingSms, LinkClick, WebhookRouter

from .campaigns import changes, lost, people
from .conftest import BASE_URL, KEY, LOGIN, Gateway, Hours, receipt
from .outboxes import NOW, TEXT, Still, becomes, ids, number, passing, said, sms, status
from .waiting import until

Open = Callable[..., Outbox]


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(NOW + seconds, UTC)


def client(hours: Hours, **more: Any) -> AsyncInSim:
    return AsyncInSim(LOGIN, KEY, base_url=BASE_URL, clock=hours.clock, **more)


def rows(path: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


def refused(messages: list[dict[str, Any]]) -> httpx.Response:
    return httpx.Response(200, json=[receipt(message, sent=0) for message in messages])


def _move(path: Path, to: Path) -> None:
    path.rename(to)


def _replace_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _begin_another_run(connection: sqlite3.Connection, campaign: int) -> None:
    connection.execute("UPDATE campaign SET run = run + 1 WHERE campaign = ?", (campaign,))


def _read(path: Path) -> bytes:
    return path.read_bytes()


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


class TestPut:
    async def test_is_on_disk_when_it_returns(self, outbox: Outbox, open_outbox: Open) -> None:
        assert await outbox.put(sms(url="https://example.org/?a=%7Bsms_id%7D"))
        message = await open_outbox().get("booking-1")
        assert message is not None
        assert (message.sms_id, message.phone_number, message.text) == (
            "booking-1",
            number(),
            TEXT,
        )
        assert (message.status, message.delivery, message.parts) == ("pending", "none", 1)
        assert (message.error, message.at) == ("", None)
        assert TEXT not in repr(message)
        assert await outbox.get("booking-2") is None

    async def test_a_known_id_with_the_same_content_is_no_news(self, outbox: Outbox) -> None:
        assert await outbox.put(sms())
        assert not await outbox.put(Sms("+33 6 39 98 00 01", TEXT, sms_id="booking-1"))
        assert not await outbox.put(sms(), until=at(60))

    @pytest.mark.parametrize(
        "other",
        [
            {"place": 2},
            {"text": "Autre chose."},
            {"url": "https://example.org"},
            {"priority": Priority.HIGH},
            {"send_at": at(60)},
        ],
    )
    async def test_a_known_id_with_another_content_is_a_conflict(
        self, outbox: Outbox, other: dict[str, Any]
    ) -> None:
        await outbox.put(sms())
        with pytest.raises(OutboxConflict, match=r"^booking-1: .* another number, text") as caught:
            await outbox.put(sms(**other))
        assert "Autre" not in str(caught.value)

    async def test_many_at_once_are_one_transaction(self, outbox: Outbox) -> None:
        await outbox.put(sms("first"))
        file = outbox._ledger.file
        with patch.object(file, "transact", wraps=file.transact) as transact:
            async with anyio.create_task_group() as group:
                for place in range(50):
                    group.start_soon(outbox.put, sms(f"booking-{place}", place))
        assert transact.call_count == 1
        assert len([message async for message in outbox.messages("pending")]) == 51

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            (sms(None), "sms_id"),
            (sms("a b"), "sms_id"),
            (Sms("12", TEXT, sms_id="a"), "phone_number"),
            (Sms("06 39 98 00 01", TEXT, sms_id="a"), "phone_number"),
            (Sms(number(), "", sms_id="a"), "message"),
            (Sms(number(), "x" * 400, sms_id="a"), "message"),
            (Sms(number(), "[Lien_Tracking]", sms_id="a"), "url"),
            (sms(send_at=datetime(2027, 3, 1)), "send_at"),  # noqa: DTZ001 - it is the point
            (sms(send_at=at(-90_000)), "send_at"),
            (sms(send_at="tomorrow"), "send_at"),
            ("no Sms", "message"),
        ],
    )
    async def test_what_cannot_be_sent_is_refused_at_once(
        self, open_outbox: Open, wrong: Any, field: str
    ) -> None:
        outbox = open_outbox(max_parts=2)
        with pytest.raises(InvalidMessage) as caught:
            await outbox.put(wrong)
        assert caught.value.field == field
        assert [message async for message in outbox.messages()] == []

    @pytest.mark.extra("phone")
    async def test_a_region_reads_national_numbers(self, open_outbox: Open) -> None:
        outbox = open_outbox(region="FR")
        await outbox.put(Sms("06 39 98 00 01", TEXT, sms_id="booking-1"))
        assert not await outbox.put(sms())

    @pytest.mark.parametrize(
        ("until", "words"),
        [
            ("soon", "until: expected a datetime"),
            (datetime(2027, 3, 1), "until: a time of which place"),  # noqa: DTZ001 - it is the point
            (at(60), "until: it is over before send_at"),
        ],
    )
    async def test_an_end_that_makes_no_sense_is_refused(
        self, outbox: Outbox, until: Any, words: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=words):
            await outbox.put(sms(send_at=at(60)), until=until)

    @pytest.mark.parametrize(
        ("setting", "value"),
        [
            ("retry_for", 5),
            ("retry_for", timedelta()),
            ("keep", "long"),
            ("honour_stop", "no"),
            ("max_parts", 0),
            ("region", 33),
            ("timezone", "Nowhere"),
            ("stop_words", "STOP"),
            ("name", "a b"),
        ],
    )
    def test_a_setting_that_makes_no_sense_is_refused(
        self, open_outbox: Open, setting: str, value: Any
    ) -> None:
        with pytest.raises(ConfigurationError, match=setting):
            open_outbox(**{setting: value})

    async def test_an_id_is_a_text(self, outbox: Outbox) -> None:
        with pytest.raises(ConfigurationError, match="sms_id"):
            await outbox.get(5)  # type: ignore[arg-type]  # it is the point


class TestSending:
    async def test_each_is_sent_once_whenever_it_is_put(
        self, outbox: Outbox, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        await outbox.put(sms("before", 1))
        async with outbox.worker(insim) as worker:
            await becomes(outbox, "sent", "before")
            assert (worker.alive, worker.is_sending) == (True, True)
            assert await outbox.put(sms("during", 2, url="https://example.org/?%7Bsms_id%7D"))
            await becomes(outbox, "sent", "during")
            assert not await outbox.put(sms("before", 1))
        assert not worker.alive
        assert ids(gateway) == ["before", "during"]
        [sent] = gateway.requests[1]["messages"]
        assert sent["url"] == "https://example.org/?%7Bsms_id%7D"
        async with outbox.worker(insim):
            await outbox.put(sms("after", 3))
            await becomes(outbox, "sent", "after")
        assert ids(gateway) == ["before", "during", "after"]

    async def test_it_is_sent_as_soon_as_it_is_put(
        self, outbox: Outbox, insim: AsyncInSim, gateway: Gateway, still: Still
    ) -> None:
        """The clock stands still: whatever looked only now and then would never see it."""
        async with outbox.worker(insim):
            for place in range(20):
                await outbox.put(sms(str(place), place))
                await becomes(outbox, "sent", str(place))
        assert still.time == NOW

    async def test_what_is_put_while_a_worker_looks_is_not_overlooked(
        self, outbox: Outbox, insim: AsyncInSim, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The news comes behind what was read, and before the worker has lain down."""
        loop, real, late = asyncio.get_running_loop(), Claims._taken, [outbox._parcel(sms(), None)]

        def taken(claims: Claims, connection: sqlite3.Connection, ask: Ask) -> Any:
            found = real(claims, connection, ask)
            if late:
                put(connection, ask.campaign, late.pop())
                loop.call_soon_threadsafe(outbox._wake)
            return found

        monkeypatch.setattr(Claims, "_taken", taken)
        async with outbox.worker(insim):
            await becomes(outbox, "sent")

    async def test_what_waits_travels_together(
        self, outbox: Outbox, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        for place in range(150):
            await outbox.put(sms(str(place), place))
        async with outbox.worker(insim):
            for place in range(150):
                await becomes(outbox, "sent", str(place))
        assert sorted(gateway.batches) == [50, 100]
        assert len(ids(gateway)) == 150

    async def test_what_another_process_puts_is_seen_within_a_second(
        self, outbox: Outbox, open_outbox: Open, insim: AsyncInSim, still: Still, gateway: Gateway
    ) -> None:
        async with outbox.worker(insim):
            await outbox.put(sms("mine"))
            await becomes(outbox, "sent", "mine")
            await open_outbox().put(sms("theirs"))
            still += 1.0
            await becomes(outbox, "sent", "theirs")

    async def test_of_two_workers_one_sends_and_the_other_takes_over(
        self, outbox: Outbox, open_outbox: Open, insim: AsyncInSim, still: Still, gateway: Gateway
    ) -> None:
        other = open_outbox()
        async with outbox.worker(insim) as first:
            await outbox.put(sms("1"))
            await becomes(outbox, "sent", "1")
            async with other.worker(insim) as second:
                await still.asleep(2)  # one waits for work, the other for the lock
                assert (first.is_sending, second.is_sending) == (True, False)
                await first.stop()
                await other.put(sms("2", 2))

                async def is_sent() -> bool:
                    return await status(other, "2") == "sent"

                await passing(still, 1.0, is_sent)
                assert (second.is_sending, first.is_sending, first.alive) == (True, False, False)
        assert ids(gateway) == ["1", "2"]

    async def test_one_worker_in_a_process_is_enough(
        self, outbox: Outbox, insim: AsyncInSim
    ) -> None:
        async with outbox.worker(insim):
            with pytest.raises(ConfigurationError, match="worker in this process already"):
                await outbox.worker(insim).__aenter__()

    async def test_a_client_that_cannot_be_used_is_refused_on_entering(
        self, outbox: Outbox, hours: Hours, gateway: Gateway
    ) -> None:
        async with client(hours, dry_run=True) as rehearsing:
            with pytest.raises(ConfigurationError, match="dry_run"):
                await outbox.worker(rehearsing).__aenter__()
        with pytest.raises(ConfigurationError, match="insim"):
            await outbox.worker("client").__aenter__()  # type: ignore[arg-type]  # it is the point
        with pytest.raises(ConfigurationError, match="limits"):
            outbox.worker(rehearsing, limits=5)  # type: ignore[arg-type]  # it is the point
        async with client(hours) as insim:
            with pytest.raises(ConfigurationError, match="per_day"):
                await outbox.worker(insim, limits=Limits(per_day=1)).__aenter__()
            with pytest.raises(ConfigurationError, match="window"):
                await outbox.worker(insim, window=SendWindow("08:00", "20:00")).__aenter__()

    async def test_a_file_belongs_to_one_account(
        self, outbox: Outbox, insim: AsyncInSim, hours: Hours, gateway: Gateway
    ) -> None:
        async with outbox.worker(insim):
            await outbox.put(sms())
            await becomes(outbox, "sent")
        async with AsyncInSim("other@example.com", KEY, base_url=BASE_URL) as other:
            with pytest.raises(ConfigurationError, match="another account"):
                await outbox.worker(other).__aenter__()

    async def test_a_client_that_is_closed_ends_the_worker(
        self,
        outbox: Outbox,
        hours: Hours,
        gateway: Gateway,
        still: Still,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        async with client(hours) as insim, outbox.worker(insim) as worker:
            await outbox.put(sms())
            await becomes(outbox, "sent")
            await insim.aclose()
            await outbox.put(sms("2"))
            await until(lambda: not worker.alive)
        assert "the client was closed" in caplog.text
        assert await status(outbox, "2") == "pending"


class TestEndings:
    async def test_what_the_server_refuses_is_refused(
        self, outbox: Outbox, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        gateway.answers = [refused]
        await outbox.put(sms())
        async with outbox.worker(insim):
            await becomes(outbox, "refused")

    async def test_what_is_unknown_is_never_sent_again_on_its_own(
        self, outbox: Outbox, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        gateway.answers = [lost]
        await outbox.put(sms())
        async with outbox.worker(insim):
            await becomes(outbox, "unknown")
            with pytest.raises(ConfigurationError, match="allow_duplicates"):
                await outbox.resend(["booking-1"])
            assert await outbox.resend(["booking-1"], allow_duplicates=True) == 1
            await outbox.put(sms("2", 2))  # news, so that it looks
            await becomes(outbox, "sent")
        first, again = [id_ for id_ in ids(gateway) if id_ != "2"]
        assert first == "booking-1" != again
        assert await outbox.record(
            DeliveryStatus(sms_id=again, phone_number=number(), status="received")
        )
        message = await outbox.get("booking-1")
        assert message is not None
        assert (message.sms_id, message.delivery) == ("booking-1", "received")

    async def test_a_person_may_settle_it(
        self, outbox: Outbox, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        gateway.answers = [lost]
        await outbox.put(sms())
        async with outbox.worker(insim):
            await becomes(outbox, "unknown")
        assert await outbox.settle("booking-1", "not_sent")
        assert await outbox.retry() == 1
        async with outbox.worker(insim):
            await becomes(outbox, "sent")

    async def test_what_the_client_may_not_send_is_not_sent(
        self, outbox: Outbox, hours: Hours, gateway: Gateway
    ) -> None:
        await outbox.put(sms(text="x" * 200))
        await outbox.put(sms("2", 2))
        async with client(hours, max_parts=1) as insim, outbox.worker(insim):
            await becomes(outbox, "not_sent")
            await becomes(outbox, "sent", "2")

    async def test_what_has_more_parts_than_a_limit_is_not_sent_and_holds_nothing_up(
        self, outbox: Outbox, insim: AsyncInSim
    ) -> None:
        await outbox.put(sms(text="x" * 200))
        await outbox.put(sms("2", 2))
        async with outbox.worker(insim, limits=Limits(per_hour=1)):
            await becomes(outbox, "not_sent")
            await becomes(outbox, "sent", "2")
        message = await outbox.get("booking-1")
        assert message is not None
        assert message.error == "it has more parts than the limit of 1"

    async def test_the_servers_own_ids_are_kept(
        self, outbox: Outbox, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        gateway.answers = [
            lambda messages: httpx.Response(200, json=[receipt(messages[0], id_sms_api="its-own")])
        ]
        await outbox.put(sms())
        async with outbox.worker(insim):
            await becomes(outbox, "sent")
        assert await outbox.record(
            DeliveryStatus(sms_id="its-own", phone_number=number(), status="received")
        )


class TestTrouble:
    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            (httpx.Response(401, json={}), "login or access key were refused"),
            (httpx.Response(403, json={}), "login or access key were refused"),
            (httpx.Response(200, json={"error": ["#001"]}), "login or access key were refused"),
            (httpx.Response(404), "nothing can be sent"),
        ],
    )
    async def test_an_account_that_is_refused_is_nobodys_fate(
        self,
        outbox: Outbox,
        insim: AsyncInSim,
        gateway: Gateway,
        still: Still,
        caplog: pytest.LogCaptureFixture,
        answer: httpx.Response,
        reason: str,
    ) -> None:
        """It waits, warns once, probes with one message, and goes on when the key is right."""
        for place in range(3):
            await outbox.put(sms(str(place), place))
        gateway.answers = [answer] * 40
        async with outbox.worker(insim):
            await said(outbox, still, reason)
            seen = len(gateway.requests)

            async def has_probed() -> bool:
                return len(gateway.requests) >= seen + 15  # more than an hour

            began = still.time
            await passing(still, 60.0, has_probed)
            assert still.time - began > 3600
            health = await outbox.health()
            assert (health.problem, health.due, health.failing_since) == (reason, 3, None)
            assert set(gateway.batches[seen:]) == {1}
            gateway.answers.clear()

            async def is_sent() -> bool:
                return await status(outbox, "2") == "sent"

            await passing(still, 60.0, is_sent)
        assert caplog.text.count(reason) == 1
        assert sum(gateway.processed.values()) == 3
        health = await outbox.health()
        assert (health.problem, health.reason, health.due) == ("", "", 0)

    async def test_a_network_that_is_down_is_waited_for(
        self, outbox: Outbox, insim: AsyncInSim, gateway: Gateway, still: Still
    ) -> None:
        await outbox.put(sms())
        gateway.answers = [httpx.ConnectError("refused")] * 1000
        async with outbox.worker(insim):
            await said(outbox, still, "the server gives no answer of use")
            assert (await outbox.health()).failing_since is not None
            gateway.answers.clear()

            async def is_sent() -> bool:
                return await status(outbox) == "sent"

            await passing(still, 5.0, is_sent)
            await outbox.put(sms("2", 2))
            await becomes(outbox, "sent", "2")
            assert (await outbox.health()).failing_since is None

    async def test_what_does_not_get_through_for_a_day_is_not_sent(
        self, open_outbox: Open, insim: AsyncInSim, gateway: Gateway, still: Still
    ) -> None:
        outbox = open_outbox(retry_for=timedelta(hours=2))
        await outbox.put(sms("early", 1))
        await outbox.put(sms("late", 2, send_at=at(3600)))
        gateway.answers = [httpx.ConnectError("refused")] * 1000
        async with outbox.worker(insim):

            async def is_over() -> bool:
                return await status(outbox, "early") == "not_sent"

            await passing(still, 300.0, is_over)
            assert 7200 <= still.time - NOW < 9000
            assert await status(outbox, "late") == "pending"  # it has been due for less
        message = await outbox.get("early")
        assert message is not None
        assert message.error == "nothing got through for too long"
        assert (await outbox.health()).not_sent == 1
        gateway.answers.clear()
        assert await outbox.retry() == 1
        async with outbox.worker(insim):
            await becomes(outbox, "sent", "early")
            await becomes(outbox, "sent", "late")

    async def test_attempts_that_are_put_back_again_and_again_mean_the_same(
        self, outbox: Outbox, insim: AsyncInSim, still: Still
    ) -> None:
        """Of a lone message each worker may have the first attempt, and none the last."""
        none = Claim([Claimed(1, 33639980001, TEXT, "", 1, 1, 0)], 0, 1, 0, 1)
        async with outbox.worker(insim):
            await still.asleep(1)
            assert outbox._running is not None
            run = outbox._running[0]
            for _ in range(ATTEMPTS * 8):
                assert not run.is_probing
                run.put_back(none)
            assert run.is_probing
            await said(outbox, still, NO_USE)

    async def test_a_captive_portal_costs_a_few_messages(
        self, outbox: Outbox, hours: Hours, gateway: Gateway, still: Still
    ) -> None:
        for place in range(200):
            await outbox.put(sms(str(place), place))
        gateway.answers = [lost] * 1000
        small = client(hours, batch_size=5, max_concurrency=2)

        async def has_seen_enough() -> bool:
            return still.time - NOW > 4 * 3600

        async with small as insim, outbox.worker(insim):
            await passing(still, 900.0, has_seen_enough)
        unknown = (await outbox.health()).unknown
        assert unknown <= (3 + 2 - 1) * 5 + 12 + 4

    async def test_a_ledger_that_cannot_be_written_is_tried_again(
        self,
        outbox: Outbox,
        insim: AsyncInSim,
        gateway: Gateway,
        still: Still,
        path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        await outbox.put(sms())
        moved = path.with_suffix(".away")
        async with outbox.worker(insim) as worker:
            await becomes(outbox, "sent")
            _move(path, moved)
            while worker.is_sending:
                still += 1.0
                await anyio.lowlevel.checkpoint()
            _move(moved, path)
            await outbox.put(sms("2", 2))

            async def is_sent() -> bool:
                return await status(outbox, "2") == "sent"

            await passing(still, 10.0, is_sent)
        assert "the worker cannot send, and goes on trying" in caplog.text

    async def test_a_lock_that_cannot_be_had_is_tried_again(
        self,
        outbox: Outbox,
        insim: AsyncInSim,
        still: Still,
        path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        lock = path.with_name("outbox.db.outbox.lock".replace("outbox.db", path.name))
        _replace_by_a_folder(lock)
        async with outbox.worker(insim):
            await outbox.put(sms())
            for _ in range(3):
                await still.asleep(1)
                still += 1.0
            lock.rmdir()

            async def is_sent() -> bool:
                return await status(outbox) == "sent"

            await passing(still, 1.0, is_sent)
        assert caplog.text.count(f"goes on trying: {lock}: Is a directory") == 1

    async def test_a_run_whose_place_was_taken_sends_nothing_more(
        self,
        outbox: Outbox,
        insim: AsyncInSim,
        still: Still,
        path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        async with outbox.worker(insim):
            await outbox.put(sms())
            await becomes(outbox, "sent")
            await outbox._do(_begin_another_run)
            await outbox.put(sms("2", 2))

            async def is_sent() -> bool:
                return await status(outbox, "2") == "sent"

            await passing(still, 1.0, is_sent)
        assert "another run, or an older copy, has taken its place" in caplog.text

    async def test_a_fault_of_ours_ends_nothing_for_good(
        self, outbox: Outbox, insim: AsyncInSim, still: Still, caplog: pytest.LogCaptureFixture
    ) -> None:
        faults = [ZeroDivisionError("secret")]

        async def fail(*arguments: Any) -> Any:
            if faults:
                raise faults.pop()
            return await begin(*arguments)

        with patch("insim_async.outbox._worker.begin", fail):
            async with outbox.worker(insim):
                await outbox.put(sms())

                async def is_sent() -> bool:
                    return await status(outbox) == "sent"

                await passing(still, 1.0, is_sent)
        assert "ZeroDivisionError" in caplog.text
        assert "secret" not in caplog.text


class TestWhen:
    async def test_what_is_too_late_expires(
        self, outbox: Outbox, insim: AsyncInSim, gateway: Gateway, still: Still
    ) -> None:
        await outbox.put(sms("code"), until=at(300))
        await outbox.put(sms("other", 2), until=at(900))
        still += 300
        async with outbox.worker(insim):
            await becomes(outbox, "expired", "code")
            await becomes(outbox, "sent", "other")
        assert ids(gateway) == ["other"]

    async def test_of_very_many_a_part_at_a_time(
        self,
        outbox: Outbox,
        gateway: Gateway,
        still: Still,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Whether too late or opted out: others want to write, and none of them goes."""
        monkeypatch.setattr(_parcels, "MOST_AT_A_TIME", 3)
        monkeypatch.setattr(_parcels, "LOOK", 2)
        for place in range(7):
            await outbox.put(sms(f"late-{place}", place), until=at(300))
            await outbox.put(sms(f"out-{place}", place + 10))
        await outbox.put(sms("other", 20))
        await outbox.suppress([number(place + 10) for place in range(7)])
        still += 300
        changed = changes(outbox._ledger.file)
        async with (
            AsyncInSim(
                LOGIN, KEY, base_url=BASE_URL, clock=still.clock, batch_size=1
            ) as one_by_one,
            outbox.worker(one_by_one),
        ):
            await becomes(outbox, "sent", "other")
        assert ids(gateway) == ["other"]
        counts = (await outbox.status()).counts
        assert (counts.expired, counts.suppressed, counts.sent) == (7, 7, 1)
        assert max(changed) < 10

    async def test_a_date_is_held_here(
        self, open_outbox: Open, insim: AsyncInSim, gateway: Gateway, still: Still
    ) -> None:
        outbox = open_outbox(timezone="Europe/Paris")
        await outbox.put(sms("naive", 1, send_at=datetime(2027, 1, 15, 9, 1)))  # noqa: DTZ001 - its zone is the outbox's
        await outbox.put(sms("aware", 2, send_at=at(120)))
        async with outbox.worker(insim):
            still += 59.0
            assert await status(outbox, "naive") == "pending"
            assert (await outbox.health()).scheduled == 2

            async def is_sent() -> bool:
                return await status(outbox, "naive") == "sent"

            await passing(still, 1.0, is_sent)
            assert NOW + 60 <= still.time < NOW + 120
            assert await status(outbox, "aware") == "pending"
            assert await outbox.cancel("aware")
            still += 120.0
            await outbox.put(sms("last", 3))
            await becomes(outbox, "sent", "last")
        assert ids(gateway) == ["naive", "last"]
        assert "date_to_send" not in gateway.requests[0]["messages"][0]

    async def test_what_is_pending_can_be_cancelled(
        self, outbox: Outbox, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        await outbox.put(sms())
        assert await outbox.cancel("booking-1")
        assert not await outbox.cancel("booking-1")
        assert not await outbox.cancel("booking-2")
        await outbox.put(sms("2", 2))
        async with outbox.worker(insim):
            await becomes(outbox, "sent", "2")
            assert not await outbox.cancel("2")
        assert await status(outbox) == "cancelled"
        assert ids(gateway) == ["2"]

    async def test_the_window_and_the_limits_hold(
        self, outbox: Outbox, insim: AsyncInSim, gateway: Gateway, still: Still
    ) -> None:
        window = SendWindow("09:00", "20:00", timezone="UTC")  # it is eight
        for place in range(3):
            await outbox.put(sms(str(place), place))
        async with outbox.worker(insim, limits=Limits(per_minute=1), window=window):
            await said(outbox, still, "the window is closed")

            async def is_sent() -> bool:
                return len(gateway.requests) == 3

            await passing(still, 10.0, is_sent)
        assert NOW + 3600 + 120 <= still.time < NOW + 3600 + 180
        assert (await outbox.health()).problem == ""


class TestOptingOut:
    async def test_whoever_opted_out_gets_nothing(
        self, outbox: Outbox, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        await outbox.put(sms("1", 1))
        await outbox.put(sms("2", 2))
        assert await outbox.record(IncomingSms(message="Stop.", phone_number="06 39 98 00 01"))
        async with outbox.worker(insim):
            await becomes(outbox, "suppressed", "1")
            await becomes(outbox, "sent", "2")
        assert ids(gateway) == ["2"]
        assert await outbox.suppressed() == ["639980001"]

    async def test_where_all_have_opted_out_nothing_goes(
        self, outbox: Outbox, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        await outbox.suppress([number()])
        await outbox.put(sms())
        async with outbox.worker(insim):
            await becomes(outbox, "suppressed")
        assert gateway.requests == []

    async def test_what_somebody_asked_for_is_sent_all_the_same(
        self, open_outbox: Open, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        outbox = open_outbox(honour_stop=False)
        await outbox.suppress([number()])
        await outbox.put(sms())
        async with outbox.worker(insim):
            await becomes(outbox, "sent")


class TestKeeping:
    async def test_numbers_and_texts_are_blanked_and_ids_stay(
        self, open_outbox: Open, insim: AsyncInSim, gateway: Gateway, still: Still, path: Path
    ) -> None:
        outbox = open_outbox(keep=timedelta(days=30))
        gateway.answers = [gateway.take, lost]
        async with outbox.worker(insim):
            await outbox.put(sms("old", 1))
            await becomes(outbox, "sent", "old")
            await outbox.put(sms("unsure", 2))
            await becomes(outbox, "unknown", "unsure")
            await outbox.put(sms("later", 3, send_at=at(40 * 86400)))
            still += 30 * 86400 + 1.0

            async def is_blank() -> bool:
                message = await outbox.get("old")
                return message is not None and message.phone_number == ""

            await passing(still, 1.0, is_blank)
            assert not await outbox.put(sms("old", 1))
            with pytest.raises(OutboxConflict):
                await outbox.put(sms("old", 2))
            assert await outbox.resend(outbox.messages("unknown"), allow_duplicates=True) == 0
        message = await outbox.get("old")
        assert message is not None
        assert (message.status, message.text, message.phone_number) == ("sent", "", "")
        assert [m.sms_id async for m in outbox.messages() if m.text] == ["later"]
        assert await outbox.record(LinkClick(sms_id="old", phone_number=number()))
        texts = rows(path, "SELECT count(*) FROM message WHERE text != ''")
        assert texts == [(1,)]

    async def test_much_is_blanked_in_slices(
        self,
        open_outbox: Open,
        insim: AsyncInSim,
        still: Still,
        monkeypatch: pytest.MonkeyPatch,
        gateway: Gateway,
    ) -> None:
        monkeypatch.setattr("insim_async.outbox._parcels.SLICE", 2)
        outbox = open_outbox(keep=timedelta(days=1))
        async with outbox.worker(insim):
            for place in range(7):
                await outbox.put(sms(str(place), place))
                await becomes(outbox, "sent", str(place))
            still += 86_401.0

            async def is_blank() -> bool:
                return {message.text async for message in outbox.messages()} == {""}

            await passing(still, 1.0, is_blank)
        assert still.time - NOW < 86_401 + 3700

    async def test_nothing_is_blanked_where_all_is_to_be_kept(
        self, open_outbox: Open, insim: AsyncInSim, gateway: Gateway, still: Still
    ) -> None:
        outbox = open_outbox(keep=None)
        async with outbox.worker(insim):
            await outbox.put(sms("old", 1))
            await becomes(outbox, "sent", "old")
            still += 3000 * 86400.0
            await outbox.put(sms("new", 2))
            await becomes(outbox, "sent", "new")
        message = await outbox.get("old")
        assert message is not None
        assert message.text == TEXT

    async def test_an_older_copy_is_refused_or_doubted(
        self, outbox: Outbox, open_outbox: Open, insim: AsyncInSim, path: Path, gateway: Gateway
    ) -> None:
        await outbox.put(sms("1", 1))
        await outbox.put(sms("2", 2, send_at=at(60)))
        copy = _read(path)
        async with outbox.worker(insim):
            await becomes(outbox, "sent", "1")
        outbox.close()
        _write(path, copy)
        with pytest.raises(ConfigurationError, match="older copy"):
            open_outbox()
        restored = open_outbox(restored=True)
        assert [message.status async for message in restored.messages()] == ["unknown", "unknown"]


class TestWaiting:
    async def test_ends_when_another_process_got_the_report(
        self, outbox: Outbox, open_outbox: Open, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        other = open_outbox()
        router = WebhookRouter()
        router.on(DeliveryStatus, LinkClick, IncomingSms)(other.record)
        await outbox.put(sms())
        async with outbox.worker(insim), anyio.create_task_group() as group:

            async def report() -> None:
                await becomes(other, "sent")
                await router.dispatch(
                    DeliveryStatus(sms_id="booking-1", phone_number=number(), status="received")
                )

            group.start_soon(report)
            message = await outbox.wait("booking-1", delivery="received", timeout=10)
        assert (message.status, message.delivery) == ("sent", "received")

    async def test_ends_at_once_where_this_process_learns_of_it(
        self, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from insim_async.outbox import _outbox

        monkeypatch.setattr(_outbox, "LOOK_EVERY", 100.0)
        await outbox.put(sms())
        async with anyio.create_task_group() as group:
            group.start_soon(outbox.record, LinkClick(sms_id="booking-1", phone_number=number()))
            message = await outbox.wait("booking-1", timeout=100)
        assert message.status == "sent"

    @pytest.mark.parametrize(
        ("answers", "expected"), [([], "sent"), ([refused], "refused"), ([lost], "unknown")]
    )
    async def test_ends_with_its_status_by_default(
        self,
        outbox: Outbox,
        insim: AsyncInSim,
        gateway: Gateway,
        answers: list[Any],
        expected: str,
    ) -> None:
        gateway.answers = answers
        await outbox.put(sms())
        async with outbox.worker(insim):
            assert (await outbox.wait("booking-1", timeout=10)).status == expected

    async def test_ends_in_time(self, outbox: Outbox) -> None:
        await outbox.put(sms())
        with pytest.raises(TimeoutError, match="booking-1: is pending until now"):
            await outbox.wait("booking-1", timeout=0.01)

    async def test_ends_at_once_where_it_will_not_come(self, outbox: Outbox) -> None:
        await outbox.put(sms())
        await outbox.cancel("booking-1")
        with pytest.raises(TimeoutError, match="is cancelled, and will not be received"):
            await outbox.wait("booking-1", delivery="received", timeout=100)

    async def test_wants_a_message_and_a_word_that_are_there(self, outbox: Outbox) -> None:
        with pytest.raises(ConfigurationError, match="there is no such message"):
            await outbox.wait("booking-1", timeout=1)
        for word in ("none", "lost"):
            with pytest.raises(ConfigurationError, match="delivery"):
                await outbox.wait("booking-1", delivery=word, timeout=1)


class TestHealth:
    async def test_says_that_nobody_sends(self, outbox: Outbox, still: Still) -> None:
        await outbox.put(sms())
        health = await outbox.health()
        assert (health.due, health.is_running, health.problem) == (1, False, "")
        still += 61.0
        health = await outbox.health()
        assert (health.oldest_due, health.problem) == (61.0, "no worker runs, and messages wait")

    async def test_says_how_many_want_attention(
        self, outbox: Outbox, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        gateway.answers = [lost]
        await outbox.put(sms())
        async with outbox.worker(insim):
            await becomes(outbox, "unknown")
            health = await outbox.health()
            assert (health.unknown, health.is_running) == (1, True)
            assert (await outbox.status()).state == "running"
        assert (await outbox.status()).counts.unknown == 1


class TestBesideACampaign:
    async def test_both_share_the_limits_and_a_booking_goes_first(
        self, outbox: Outbox, path: Path, insim: AsyncInSim, gateway: Gateway, still: Still
    ) -> None:
        """One part in twenty seconds: a booking has the next turn, before hundreds of others."""
        limits = Limits(per_minute=3)
        with closing(Campaign.open(path, clock=still.clock)) as campaign:
            await campaign.add(people(300, first=100), "Bonjour !")
            async with outbox.worker(insim), anyio.create_task_group() as group:

                async def run() -> None:
                    await campaign.run(insim, limits=limits)

                group.start_soon(run)
                await until(lambda: gateway.requests)
                for place in range(5):
                    seen, began = len(gateway.requests), still.time
                    await outbox.put(sms(str(place), place))

                    async def is_sent(place: int = place) -> bool:
                        return await status(outbox, str(place)) == "sent"

                    await passing(still, 1.0, is_sent, sleepers=2)
                    assert still.time - began <= 21
                    assert ids(gateway)[seen] == str(place)
                await campaign.cancel()
                still += 1.0

    async def test_the_next_turn_is_kept_for_a_booking(
        self, outbox: Outbox, path: Path, insim: AsyncInSim, still: Still
    ) -> None:
        with closing(Campaign.open(path, clock=still.clock)) as campaign:
            await campaign.add(people(1), "Bonjour !")
            asked = {"run": 0, "epoch": 0, "after": 0, "limit": 9, "parts": 9.0, "rate": 0.0}
            ask = Ask(
                campaign=campaign._ledger.known.campaign,
                now=NOW + 20,
                pace=Pace(Plan(), lambda: 0.0),
                **asked,  # type: ignore[arg-type]  # numbers all
            )
            async with outbox.worker(insim, limits=Limits(per_minute=3)):
                await outbox.put(sms("1"))
                await becomes(outbox, "sent", "1")
                await outbox.put(sms("2"))

                async def is_reserved() -> bool:
                    await outbox.health()  # others have their turn
                    return rows(path, "SELECT reserved_until FROM ledger") == [(NOW + 22,)]

                await until(is_reserved)
                found = await campaign._ledger.do(lambda connection: claim(connection, ask))
                assert isinstance(found, Hold)
                assert (found.reason, found.until) == (
                    "a message of an outbox goes first",
                    NOW + 22,
                )
                still += 20.0
                await becomes(outbox, "sent", "2")
            later = replace(ask, now=NOW + 40)
            found = await campaign._ledger.do(lambda connection: claim(connection, later))
            assert isinstance(found, Claim)

    async def test_both_share_those_who_opted_out(
        self, outbox: Outbox, path: Path, insim: AsyncInSim, gateway: Gateway, still: Still
    ) -> None:
        await outbox.record(IncomingSms(message="STOP", phone_number=number()))
        with closing(Campaign.open(path, clock=still.clock)) as campaign:
            assert await campaign.suppressed() == [number()]

    async def test_each_has_its_own_reports(
        self, outbox: Outbox, path: Path, insim: AsyncInSim, gateway: Gateway, still: Still
    ) -> None:
        await outbox.put(sms())
        with closing(Campaign.open(path, clock=still.clock)) as campaign:
            await campaign.add(people(1), "Bonjour !")
            [message] = [message async for message in campaign.messages()]
            report = DeliveryStatus(
                sms_id=message.sms_id, phone_number=message.phone_number, status="received"
            )
            assert not await outbox.record(report)
            assert await campaign.record(report)
            own = DeliveryStatus(sms_id="booking-1", phone_number=number(), status="sent")
            assert not await campaign.record(own)
            assert await outbox.record(own)
        assert await status(outbox) == "sent"


async def test_a_worker_that_is_cancelled_from_outside_begins_anew(
    outbox: Outbox,
    insim: AsyncInSim,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    later: list[Callable[[], object]] = []
    monkeypatch.setattr("insim_async._tasks.later", lambda pause, start: later.append(start))
    async with outbox.worker(insim) as worker:
        await outbox.put(sms())
        await becomes(outbox, "sent")
        [task] = [task for task in asyncio.all_tasks() if "OutboxWorker" in repr(task)]
        task.cancel()
        await until(lambda: not worker.alive)
        assert "cancelled from outside" in caplog.text
        later[0]()
        await outbox.put(sms("2", 2))
        await becomes(outbox, "sent", "2")
    later[0]()
    assert not worker.alive


@pytest.mark.extra("sandbox")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_it_works_on_either_event_loop(path: Path, backend: str) -> None:
    from insim_async.sandbox import Sandbox, sandbox_app

    sandbox = Sandbox(LOGIN, KEY)

    async def main() -> None:
        transport = httpx.ASGITransport(app=sandbox_app(sandbox))
        with closing(Outbox.open(path)) as outbox:
            async with (
                httpx.AsyncClient(transport=transport) as http_client,
                AsyncInSim(LOGIN, KEY, base_url="http://localhost", http_client=http_client) as it,
                outbox.worker(it),
            ):
                await outbox.put(sms())
                message = await outbox.wait("booking-1", timeout=30)
        assert message.status == "sent"

    anyio.run(main, backend=backend)
    assert len(sandbox.messages) == 1
