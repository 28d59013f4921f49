"""What goes into a campaign, what is known of it, and what webhooks and people do to it."""

from __future__ import annotations

import csv
import json
import logging
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from insim_async import AsyncInSim, ConfigurationError, Contact, InvalidMessage, Priority
from insim_async.campaigns import (
    Added,
    Campaign,
    CampaignChanged,
    CampaignMessage,
    LedgerUnavailable,
    MessageCounts,
)
from insim_async.recipients import read_csv, read_rows
from insim_async.webhooks import (
    CallEvent,
    DeliveryStatus,
    Event,
    IncomingSms,
    LinkClick,
    WebhookRouter,
)

from .campaigns import TEXT, all_of, lost, number, people, processed, statuses
from .conftest import BASE_URL, KEY, LOGIN, Gateway, Hours

Open = Callable[..., Campaign]


class TestAdding:
    async def test_every_row_has_a_message_or_a_reason(self, campaign: Campaign) -> None:
        clients = read_csv(
            b"prenom;portable;heure\n;+33639980001;9 h\nZoe;+33639980002;\nLea;12;9 h\n"
        )
        added = await campaign.add(clients, "{prenom|Bonjour}, {heure}")
        assert (added.new, added.known, added.parts) == (1, 0, 1)
        assert [refusal.line for refusal in added.refused] == [4, 3]
        assert added.refused[1].reason.startswith("message: {heure} is empty")
        assert str(added) == "new: 1 (1 SMS parts), known: 0, refused: 2"
        [message] = await all_of(campaign)
        assert (message.phone_number, message.text) == (number(1), "Bonjour, 9 h")
        assert (message.status, message.delivery, message.at) == ("pending", "none", None)

    async def test_a_list_may_be_added_again(self, campaign: Campaign) -> None:
        assert (await campaign.add(people(5), TEXT)).new == 5
        again = await campaign.add(people(6), TEXT)
        assert (again.new, again.known, again.refused) == (1, 5, ())

    @pytest.mark.parametrize(
        "kind", ["list", "generator", "async", "mappings", "rows", "recipients"]
    )
    async def test_people_come_in_any_shape(self, campaign: Campaign, kind: str) -> None:
        read = read_rows([{"phone_number": number(place)} for place in range(3)])

        async def slowly() -> AsyncIterator[Contact]:
            for each in people(3):
                await anyio.lowlevel.checkpoint()
                yield each

        given: Any = {
            "list": people(3),
            "generator": (each for each in people(3)),
            "async": slowly(),
            "mappings": [{"phone_number": number(place)} for place in range(3)],
            "rows": read.rows,
            "recipients": read,
        }[kind]
        assert (await campaign.add(given, TEXT)).new == 3

    async def test_an_async_iterable_that_is_no_generator_will_do(self, campaign: Campaign) -> None:
        send, receive = anyio.create_memory_object_stream[Contact](5)
        async with receive:
            for each in people(3):
                send.send_nowait(each)
            send.close()
            assert (await campaign.add(receive, TEXT)).new == 3

    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            (Contact("0639980001"), "phone_number: "),
            (Contact(""), "phone_number: "),
            ({"first_name": "Zoé"}, "phone_number: "),
            ("+33639980001", "contact: expected a Contact, got str"),
            (None, "contact: expected a Contact, got NoneType"),
            (Contact(number(1), last_name="\ud83d"), "message: "),
            (Contact(number(1), last_name="\0"), "message: it holds a NUL"),
            (Contact(number(1), last_name="x" * 4000), "message: it needs"),
            ({"phone_number": number(1)}, "message: {last_name} is empty"),
        ],
    )
    async def test_a_row_that_cannot_go_is_refused_with_its_place(
        self, campaign: Campaign, row: Any, reason: str
    ) -> None:
        good = Contact(number(2), last_name="Martin")
        added = await campaign.add([good, row], "{last_name}")
        assert added.new == 1
        [refusal] = added.refused
        assert refusal.line == 2
        assert refusal.reason.startswith(reason)

    async def test_braces_in_a_field_are_written_as_they_are(self, campaign: Campaign) -> None:
        await campaign.add([Contact(number(1), first_name="{last_name}")], "{{a}} {first_name}")
        assert [message.text for message in await all_of(campaign)] == ["{a} {last_name}"]

    @pytest.mark.parametrize(
        "more", [{"text": "Salut"}, {"url": "https://a.example"}, {"priority": Priority.HIGH}]
    )
    async def test_another_template_is_refused(
        self, campaign: Campaign, more: dict[str, Any]
    ) -> None:
        await campaign.add(people(3), TEXT)
        with pytest.raises(CampaignChanged, match="another one") as caught:
            await campaign.add(people(5), **{"text": TEXT, **more}, known="keep")
        assert caught.value.template
        assert len(await all_of(campaign)) == 3

    async def test_another_text_for_somebody_known_is_refused_with_its_line(
        self, campaign: Campaign
    ) -> None:
        await campaign.add([Contact(number(1), first_name="Zoe"), *people(1, 2)], TEXT)
        corrected = [*people(1, 2), Contact(number(1), first_name="Zoé"), *people(1, 3)]
        with pytest.raises(CampaignChanged, match="1 people") as caught:
            await campaign.add(corrected, TEXT)
        assert (caught.value.lines, caught.value.template) == ((2,), False)
        assert len(await all_of(campaign)) == 2
        kept = await campaign.add(corrected, TEXT, known="keep")
        assert (kept.new, kept.known) == (1, 2)
        assert "Zoe" in (await all_of(campaign))[0].text

    async def test_a_number_that_stands_twice_in_a_list_gets_one_message(
        self, campaign: Campaign
    ) -> None:
        same = Contact(number(1), first_name="Zoé")
        added = await campaign.add([same, Contact(number(1)), same], TEXT)
        assert (added.new, added.known) == (1, 1)
        assert [(refusal.line, refusal.reason) for refusal in added.refused] == [
            (2, "phone_number: an earlier line has the same number, with another text")
        ]

    async def test_a_source_that_raises_adds_nothing(self, campaign: Campaign) -> None:
        def some() -> Iterator[Contact]:
            yield from people(600)
            raise RuntimeError("no more")

        with pytest.raises(RuntimeError, match="no more"):
            await campaign.add(some(), TEXT)
        assert await all_of(campaign) == []

    async def test_an_add_that_is_cancelled_adds_nothing_and_holds_nothing(
        self, open_campaign: Open
    ) -> None:
        mine, other = open_campaign(), open_campaign()

        async def endless() -> AsyncIterator[Contact]:
            for each in people(600):
                yield each
            started.set()
            await anyio.sleep_forever()

        started = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(mine.add, endless(), TEXT)
            await started.wait()
            assert (await other.add(people(1), TEXT)).new == 1
            group.cancel_scope.cancel()
        assert len(await all_of(mine)) == 1

    async def test_what_was_gathered_and_is_gone_is_not_half_added(
        self, campaign: Campaign, path: Path
    ) -> None:
        """Where the connection is lost in the middle, and the temporary table with it."""

        async def some() -> AsyncIterator[Contact]:
            for each in people(500):
                yield each
            campaign._ledger.file._drop()
            yield people(1, 500)[0]

        with pytest.raises(LedgerUnavailable, match="no such table"):
            await campaign.add(some(), TEXT)
        assert await all_of(campaign) == []

    @pytest.mark.parametrize(
        ("more", "words"),
        [
            ({"known": "replace"}, "known"),
            ({"text": 5}, "text"),
            ({"url": None}, "url"),
            ({"priority": 5}, "priority"),
            ({"url": "https://a.example/{phone_number}"}, "sms_id"),
            ({"recipients": number(1)}, "recipients"),
        ],
    )
    async def test_misuse_is_refused(
        self, campaign: Campaign, more: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=words):
            await campaign.add(**{"recipients": people(1), "text": TEXT, **more})

    async def test_a_template_that_cannot_be_read_is_refused(self, campaign: Campaign) -> None:
        with pytest.raises(InvalidMessage, match="never closed"):
            await campaign.add(people(1), "Bonjour {first_name")

    async def test_no_number_gets_into_a_link(self, campaign: Campaign) -> None:
        given = [{"phone_number": number(1), "id": "0639980001"}]
        added = await campaign.add(given, "[Lien_Tracking]", url="https://a.example/{id}")
        assert added.refused[0].reason.startswith("url: it holds the number")

    async def test_a_placeholder_without_a_link_is_refused(self, campaign: Campaign) -> None:
        added = await campaign.add(people(1), "[Lien_Tracking]")
        assert added.refused[0].reason.startswith("url: ")

    async def test_a_link_that_is_none_is_refused(self, campaign: Campaign) -> None:
        added = await campaign.add(people(1), "[Lien_Tracking]", url="example.org")
        assert added.refused[0].reason.startswith("url: ")

    async def test_a_link_has_room_for_the_id_that_it_gets(
        self, campaign: Campaign, insim: AsyncInSim
    ) -> None:
        url = "https://a.example/{id}?m={sms_id}"
        short = 2000 - len("https://a.example/?m=") - 32
        given = [{"phone_number": number(place), "id": "x" * (short + place)} for place in range(3)]
        added = await campaign.add(given, "[Lien_Tracking]", url=url)
        assert [refusal.line for refusal in added.refused] == [2, 3]
        assert str(await campaign.run(insim)) == "finished: sent 1"

    async def test_a_long_text_may_go_where_campaign_and_client_allow_it(
        self, open_campaign: Open, hours: Hours, gateway: Gateway
    ) -> None:
        text = "x" * 3_500  # 23 parts
        assert (await open_campaign(name="short").add(people(1), text)).new == 0
        campaign = open_campaign(name="long", max_parts=23)
        await campaign.add(people(1), text)
        async with AsyncInSim(
            LOGIN, KEY, base_url=BASE_URL, clock=hours.clock, max_parts=23
        ) as insim:
            assert str(await campaign.run(insim)) == "finished: sent 1"
        assert processed(gateway) == 1

    def test_no_text_has_more_parts_than_an_sms_can_have(self, path: Path) -> None:
        with pytest.raises(ConfigurationError, match="max_parts"):
            Campaign.open(path, max_parts=256)


class TestLooking:
    async def test_a_preview_says_what_it_will_cost(self, campaign: Campaign) -> None:
        await campaign.add(
            [Contact(number(1), first_name="Zoé"), Contact(number(2), first_name="Anaïs")],
            "Bonjour {first_name}, " + "x" * 60,
        )
        preview = await campaign.preview(limit=1)
        assert (preview.messages, preview.parts, preview.longest) == (2, 3, 2)
        assert preview.by_encoding == {"GSM-7": 1, "UCS-2": 1}
        assert preview.non_gsm == {"ï": 1}
        assert [sample.phone_number for sample in preview.samples] == [number(1)]

    async def test_a_test_goes_to_my_own_phone_and_counts_for_nothing(
        self, campaign: Campaign, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        with pytest.raises(ConfigurationError, match="empty"):
            await campaign.send_test(insim, number(99))
        await campaign.add(
            people(2), "{first_name|Bonjour} [Lien_Tracking]", url="https://a.example/{sms_id}"
        )
        receipt = await campaign.send_test(insim, number(99))
        [[sent]] = [request["messages"] for request in gateway.requests]
        assert (receipt.phone_number, sent["message"]) == (number(99), "Bonjour [Lien_Tracking]")
        assert sent["url"] == f"https://a.example/{sent['id_sms_api']}"
        assert await statuses(campaign) == ["pending"] * 2

    async def test_messages_come_in_pages_and_by_status(
        self, campaign: Campaign, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        await campaign.add(people(1001), TEXT)
        assert [message.row for message in await all_of(campaign)] == list(range(1, 1002))
        gateway.answers = [lost]
        await campaign.run(insim)
        assert len(await all_of(campaign, "unknown")) == 100
        with pytest.raises(ConfigurationError, match="status: expected one of pending"):
            await all_of(campaign, "delivered")

    async def test_status_counts_and_says_what_it_does(
        self, campaign: Campaign, insim: AsyncInSim
    ) -> None:
        await campaign.add(people(3), TEXT)
        status = await campaign.status()
        assert (status.state, status.counts.pending, status.counts.done) == ("open", 3, 0)
        await campaign.run(insim)
        status = await campaign.status()
        assert str(status) == "finished: sent 3"
        assert (status.counts.total, status.counts.done, status.rate) == (3, 3, 0.0)

    async def test_an_export_opens_in_a_spreadsheet_and_runs_nothing(
        self, campaign: Campaign, tmp_path: Path
    ) -> None:
        await campaign.add([Contact(number(1), first_name="=cmd|' /C calc'!A1")], "{first_name}")
        assert await campaign.export(tmp_path / "out.csv") == 1
        assert await campaign.export(tmp_path / "out.ndjson", "pending") == 1
        [row] = csv.DictReader((tmp_path / "out.csv").read_text("utf-8-sig").splitlines())
        assert row["text"].startswith("'=cmd")
        assert (row["status"], row["delivery"]) == ("pending", "none")
        assert json.loads((tmp_path / "out.ndjson").read_text())["phone_number"] == number(1)
        assert stat.S_IMODE((tmp_path / "out.csv").stat().st_mode) == 0o600

    def test_nothing_of_a_person_is_shown(self) -> None:
        message = CampaignMessage(
            row=1,
            sms_id="a.1",
            phone_number=number(1),
            text="Bonjour Zoé",
            status="sent",  # type: ignore[arg-type]
            delivery="none",  # type: ignore[arg-type]
            parts=1,
            error="",
            at=None,
        )
        assert "Zoé" not in repr(message)
        assert number(1) not in repr(message)

    def test_counts_say_what_there_is(self) -> None:
        assert str(MessageCounts()) == "empty"
        assert str(MessageCounts(sent=1200, delivered=3)) == "sent 1,200, delivered 3"
        assert Added(new=1, known=0, refused=(), parts=2).parts == 2


class TestRecording:
    @pytest.fixture
    async def ran(self, campaign: Campaign, insim: AsyncInSim, gateway: Gateway) -> Campaign:
        """Six messages: one refused, one not sent, two unknown, two sent."""
        await campaign.add(people(6), TEXT)
        gateway.answers = [lost]
        await campaign.run(insim)
        found = await all_of(campaign)
        for message, status in zip(
            found, ["refused", "not_sent", "unknown", "unknown", "sent", "sent"], strict=True
        ):
            if status != "unknown":
                await campaign.settle(message, status)  # type: ignore[arg-type]
        return campaign

    async def report(self, campaign: Campaign, place: int, status: str, **more: Any) -> bool:
        message = (await all_of(campaign))[place]
        facts = {"phone_number": message.phone_number, "sms_id": message.sms_id, **more}
        return await campaign.record(DeliveryStatus(status=status, **facts))

    async def test_a_report_settles_what_is_unknown_and_says_so(self, ran: Campaign) -> None:
        assert await self.report(ran, 2, "sent")
        assert await self.report(ran, 3, "received")
        found = await all_of(ran)
        assert [(m.status, m.delivery) for m in found[2:4]] == [
            ("sent", "sent"),
            ("sent", "received"),
        ]
        assert found[3].error == "a report: received"
        assert (await ran.status()).counts.delivered == 1

    async def test_reports_rise_one_way_only(self, ran: Campaign) -> None:
        for status in ["received", "sent", "received", "sent"]:
            assert await self.report(ran, 4, status)
        assert (await all_of(ran))[4].delivery == "received"

    async def test_a_report_for_what_was_not_sent_is_kept_and_keeps_it_from_being_sent_again(
        self, ran: Campaign, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        assert await self.report(ran, 0, "sent")
        assert await self.report(ran, 1, "received")
        found = await all_of(ran)
        assert [(m.status, m.delivery) for m in found[:2]] == [
            ("refused", "sent"),
            ("not_sent", "received"),
        ]
        assert await ran.retry() == 0

    async def test_a_report_about_a_pending_one_says_that_somebody_sent_it(
        self, campaign: Campaign, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        await campaign.add(people(2), TEXT)
        assert await self.report(campaign, 0, "received")
        report = await campaign.run(insim)
        assert (report.sent, processed(gateway)) == (2, 1)

    @pytest.mark.parametrize(
        "more",
        [
            {"sms_id": "somebody-elses"},
            {"sms_id": "abc.1"},
            {"phone_number": number(9)},
            {"phone_number": "12"},
        ],
    )
    async def test_foreign_reports_are_ignored_and_counted(
        self, ran: Campaign, more: dict[str, Any]
    ) -> None:
        known = await self.report(ran, 2, "received", **more)
        status = await ran.status()
        if more == {"phone_number": "12"}:  # nobody's number: the id is believed
            assert (known, status.ignored_reports) == (True, 0)
        else:
            assert (known, status.ignored_reports) == (False, 1)
            assert (await all_of(ran))[2].status == "unknown"

    async def test_a_number_in_another_spelling_is_the_same(self, ran: Campaign) -> None:
        assert await self.report(ran, 2, "received", phone_number=" 33639980002")
        assert await self.report(ran, 3, "received", phone_number="06 39 98 00 03")

    async def test_a_click_proves_that_it_arrived(self, ran: Campaign) -> None:
        message = (await all_of(ran))[2]
        assert await ran.record(LinkClick(phone_number=number(2), sms_id=message.sms_id))
        assert (await all_of(ran))[2].delivery == "received"

    async def test_what_says_nothing_is_let_pass(self, ran: Campaign) -> None:
        assert not await self.report(ran, 2, "lost")
        assert not await ran.record(CallEvent(direction="missed"))
        assert not await ran.record(IncomingSms(phone_number=number(1), message="STOP 12345"))

    async def test_a_router_brings_events(self, ran: Campaign) -> None:
        router = WebhookRouter()
        router.on(DeliveryStatus, LinkClick, IncomingSms)(ran.record)
        message = (await all_of(ran))[2]
        event: Event = DeliveryStatus(
            phone_number=number(2), sms_id=message.sms_id, status="received"
        )
        await router.dispatch(event)
        await router.dispatch(IncomingSms(phone_number=number(3), message="stop"))
        assert (await all_of(ran))[2].delivery == "received"
        assert await ran.suppressed() == [number(3)]


class TestOptingOut:
    @pytest.mark.parametrize(
        "spelling", [number(1), " 33639980001", "0639980001", "06 39 98 00 01", "0033639980001"]
    )
    async def test_a_stop_by_any_spelling_holds(
        self, campaign: Campaign, insim: AsyncInSim, gateway: Gateway, spelling: str
    ) -> None:
        await campaign.add(people(3), TEXT)
        assert await campaign.record(IncomingSms(phone_number=spelling, message=" Stop. "))
        report = await campaign.run(insim)
        assert str(report) == "finished: sent 2, suppressed 1"
        assert await statuses(campaign) == ["sent", "suppressed", "sent"]
        assert number(1) not in str(gateway.requests)

    async def test_everybody_may_have_opted_out(
        self, campaign: Campaign, insim: AsyncInSim, gateway: Gateway
    ) -> None:
        await campaign.add(people(250), TEXT)
        await campaign.suppress(number(place) for place in range(250))
        assert str(await campaign.run(insim)) == "finished: suppressed 250"
        assert gateway.requests == []

    async def test_a_stop_from_nobodys_number_is_kept_and_said(
        self, campaign: Campaign, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert await campaign.record(IncomingSms(phone_number="Pizza", message="STOP"))
        assert "cannot be read" in caplog.text
        assert "Pizza" not in caplog.text
        assert await campaign.suppressed() == ["Pizza"]

    async def test_the_list_can_be_carried_over(self, open_campaign: Open, tmp_path: Path) -> None:
        campaign, other = open_campaign(), Campaign.open(tmp_path / "other.db")
        assert await campaign.suppress([number(1), "0639980002", number(1)]) == 2
        found = await campaign.suppressed()
        assert found == ["639980002", number(1)]
        assert await other.suppress(found) == 2
        assert await other.suppressed() == found
        assert await other.unsuppress(["0639980002", number(9)]) == 1
        assert await other.suppressed() == [number(1)]
        other.close()

    async def test_numbers_that_cannot_be_compared_are_refused(self, campaign: Campaign) -> None:
        with pytest.raises(InvalidMessage, match="place 2"):
            await campaign.suppress([number(1), "12"])
        with pytest.raises(ConfigurationError, match="list"):
            await campaign.suppress(number(1))
        assert await campaign.suppressed() == []

    async def test_words_are_the_users(self, open_campaign: Open) -> None:
        campaign = open_campaign(stop_words=["BASTA"])
        assert not await campaign.record(IncomingSms(phone_number=number(1), message="STOP"))
        assert await campaign.record(IncomingSms(phone_number=number(1), message="basta!"))

    async def test_all_campaigns_of_a_file_share_it(
        self, open_campaign: Open, insim: AsyncInSim
    ) -> None:
        spring, autumn = open_campaign(name="spring"), open_campaign(name="autumn")
        await spring.record(IncomingSms(phone_number=number(1), message="STOP"))
        await autumn.add(people(3), TEXT)
        assert (await autumn.run(insim)).suppressed == 1


class TestForgetting:
    async def test_no_text_and_no_number_is_left_but_of_those_who_opted_out(
        self, campaign: Campaign, insim: AsyncInSim, path: Path
    ) -> None:
        named = [Contact(number(n), first_name=f"Prenom{n:04}") for n in range(700)]
        await campaign.add(named, TEXT)
        await campaign.suppress([number(5)])
        await campaign.run(insim)
        await campaign.forget()
        content = path.read_bytes()  # noqa: ASYNC240 - a small one
        assert b"Prenom" not in content
        for n in range(700):
            digits = 33639980000 + n
            assert n == 5 or digits.to_bytes(6, "big") not in content
        [first, *_] = await all_of(campaign)
        assert (first.phone_number, first.text, first.status) == ("", "", "sent")
        status = await campaign.status()
        assert (status.counts.sent, status.counts.suppressed) == (699, 1)
        assert await campaign.suppressed() == [number(5)]

    async def test_it_is_closed_for_good(self, campaign: Campaign, insim: AsyncInSim) -> None:
        await campaign.add(people(3), TEXT)
        with pytest.raises(ConfigurationError, match="no end yet"):
            await campaign.forget()
        await campaign.run(insim)
        await campaign.forget()
        with pytest.raises(ConfigurationError, match="forgotten"):
            await campaign.add(people(3), TEXT)
        with pytest.raises(ConfigurationError, match="forgotten"):
            await campaign.run(insim)

    async def test_a_late_report_is_still_understood(
        self, campaign: Campaign, insim: AsyncInSim
    ) -> None:
        await campaign.add(people(1), TEXT)
        await campaign.run(insim)
        [message] = await all_of(campaign)
        await campaign.forget()
        late = DeliveryStatus(phone_number=number(0), sms_id=message.sms_id, status="received")
        assert await campaign.record(late)


class TestPrivacy:
    async def test_nothing_above_debug_holds_a_number_or_a_text(
        self,
        campaign: Campaign,
        insim: AsyncInSim,
        gateway: Gateway,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.INFO)
        await campaign.add([Contact(number(n), first_name="Zoé") for n in range(3)], TEXT)
        gateway.answers = [lost]
        await campaign.run(insim)
        for message in await all_of(campaign):
            await campaign.record(
                DeliveryStatus(phone_number=number(0), sms_id=message.sms_id, status="received")
            )
        said = caplog.text + "".join(message.error for message in await all_of(campaign))
        assert "Zoé" not in said
        assert "63998" not in said
