"""The sandbox answers as the vendor documents, counts what it did, and fails when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

import insim_async.sandbox
from insim_async import AsyncInSim
from insim_async.errors import (
    AuthenticationFailed,
    ConfigurationError,
    InSimError,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Refused,
)
from insim_async.models import Contact, Priority, Sms
from insim_async.sandbox import (
    Fault,
    PhoneCallState,
    Sandbox,
    SentSms,
    SmsState,
    sandbox_app,
)
from insim_async.sandbox.__main__ import _listen, main
from insim_async.sandbox.vendor import _Header, answer, reply_to
from insim_async.testing import InSimSandbox

pytestmark = pytest.mark.extra("sandbox")

LOGIN = ("demo@example.com", "demo-key")
NUMBER, OTHER = "+33639980001", "+33639980002"
HEADER = {"login": "demo@example.com", "accessKey": "demo-key"}
NOW = datetime(2025, 10, 29, 10, 16, 10, 541000, tzinfo=UTC)
CALL = {"header": {**HEADER, "type": "clicToCall", "phone_number": NUMBER}}
ENGAGED = {"info": "please make sure the phone is connected and inSIM is running"}


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(clock=lambda: NOW, token=lambda size: "ab" * size)


@pytest.fixture
async def api(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=sandbox_app(sandbox))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://sandbox", auth=LOGIN
    ) as client:
        yield client


def documented(file: str, name: str) -> Any:
    """Return one of the vendor's own examples."""
    examples = json.loads((Path(__file__).parent / "data" / file).read_text("utf-8"))
    return next(example for example in examples if example["name"] == name)


def sends(*messages: Mapping[str, object], **header: object) -> dict[str, object]:
    return {"header": {**HEADER, **header}, "messages": list(messages)}


def adds(*contacts: Mapping[str, object], **header: object) -> dict[str, object]:
    return {"header": {**HEADER, **header}, "contacts": list(contacts)}


def sms(number: str = NUMBER, text: str = "Hello", **fields: object) -> dict[str, object]:
    return {"phone_number": number, "message": text, **fields}


async def post(api: httpx.AsyncClient, path: str, content: object) -> Any:
    response = await api.post(f"/api/v1/{path}", json=content)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    return response.json()


class TestSend:
    async def test_answers_as_documented(self) -> None:
        example = documented("sendsms.json", "two messages")
        footer = "Sent for free from PC via arsms.co/free"
        account = Sandbox(
            "your-email@example.com",
            clock=lambda: NOW,
            token=lambda _: "oloe00en5QPi",
            footer=footer,
        )
        body = msgspec.json.encode(
            {"header": {**HEADER, "login": account.login}, "messages": example["request_messages"]}
        )
        status, rows = answer(account, "sendsms", body, Fault())
        first, second = json.loads(msgspec.json.encode(rows))
        assert status == 200
        assert first == example["response"][0] | {"id_sms_api": "oloe00en5QPi"}
        assert second.keys() == example["response"][1].keys()

    async def test_keeps_what_the_phone_sent(
        self, api: httpx.AsyncClient, sandbox: Sandbox
    ) -> None:
        url = "https://example.com/"
        given = sms(
            text="See [Lien_Tracking]",
            url=url,
            priorite=2,
            date_to_send="2025-10-30 08:00:00",
            id_sms_api="a",
        )
        await post(api, "sendsms", sends(given))
        assert sandbox.messages == [
            SentSms(
                NUMBER,
                "See https://arsms.co/abababababab",
                url=url,
                priority=Priority.HIGH,
                send_at=datetime(2025, 10, 30, 8),  # noqa: DTZ001 - the wire knows no zone
                sms_id="a",
                link="https://arsms.co/abababababab",
                parts=1,
                sent_at=NOW,
                key=1,
                state=SmsState.SCHEDULED,
            )
        ]

    @pytest.mark.parametrize(
        ("text", "url", "expected"),
        [
            ("a [Lien_Tracking] b", "https://example.com", "a https://arsms.co/abababababab b"),
            ("[Link]", "https://example.com", "https://arsms.co/abababababab"),
            ("[link]", "https://example.com", "https://arsms.co/abababababab"),
            ("[LINK]", "https://example.com", "[LINK] https://arsms.co/abababababab"),
            (
                "no placeholder",
                "https://example.com",
                "no placeholder https://arsms.co/abababababab",
            ),
            ("no placeholder", "", "no placeholder"),
            ("[Lien_Tracking]", "", "[Lien_Tracking]"),
        ],
    )
    async def test_links(
        self, api: httpx.AsyncClient, sandbox: Sandbox, text: str, url: str, expected: str
    ) -> None:
        [row] = await post(api, "sendsms", sends(sms(text=text, url=url)))
        assert row["message"] == expected
        assert [sent.link for sent in sandbox.messages] == [
            "https://arsms.co/abababababab" if url else ""
        ]

    @pytest.mark.parametrize("text", ["Hello", "Hello [Lien_Tracking]"])
    async def test_the_footer_comes_after_the_link(
        self, api: httpx.AsyncClient, sandbox: Sandbox, text: str
    ) -> None:
        sandbox.footer = "Sent for free"
        [row] = await post(api, "sendsms", sends(sms(text=text, url="https://example.com")))
        assert row["message"] == "Hello https://arsms.co/abababababab \n \nSent for free"

    async def test_counts_parts_of_the_text_as_sent(self, api: httpx.AsyncClient) -> None:
        long = "x" * 145
        linked = [sms(text=text, url="https://example.com") for text in (f"{long}[link]", long)]
        rows = await post(api, "sendsms", sends(sms(text=long), *linked))
        assert [row["sms_per_message"] for row in rows] == [1, 2, 2]

    async def test_ids_are_the_callers_or_made(self, api: httpx.AsyncClient) -> None:
        rows = await post(api, "sendsms", sends(sms(id_sms_api="mine"), sms(id_sms_api=""), sms()))
        assert [row["id_sms_api"] for row in rows] == [
            "mine",
            "abababababababab",
            "abababababababab",
        ]

    @pytest.mark.parametrize(
        ("bad", "errors"),
        [
            (sms(text=""), ["#006"]),
            ({"phone_number": NUMBER}, ["#006"]),
            (sms("0639980001"), ["#007"]),
            (sms("+33 6 39 98 00 01"), ["#007"]),
            (sms(""), ["#007"]),
            ({"message": "Hello"}, ["#007"]),
            ({}, ["#006", "#007"]),
        ],
    )
    async def test_a_bad_message_is_refused_alone(
        self, api: httpx.AsyncClient, sandbox: Sandbox, bad: dict[str, object], errors: list[str]
    ) -> None:
        rows = await post(
            api,
            "sendsms",
            sends(sms(id_sms_api="1"), {**bad, "id_sms_api": "2"}, sms(id_sms_api="3")),
        )
        assert [(row["sent"], row.get("error")) for row in rows] == [
            (1, None),
            (0, errors),
            (1, None),
        ]
        assert sandbox.processed == {"1": 1, "3": 1}

    def test_the_older_pages_say_otherwise_what_was_refused(self, sandbox: Sandbox) -> None:
        body = json.dumps(sends(sms(id_sms_api="1"), sms(text=""))).encode()
        _, value = answer(sandbox, "sendsms", body, Fault(older=True))
        assert value == {
            "data": {
                "data": [
                    {
                        "id_sms_api": "1",
                        "count_sms": 1,
                        "user": "demo@example.com",
                        "send_time": "2025-10-29T10:16:10.541Z",
                        "phone": NUMBER,
                        "sms": "Hello",
                    },
                    {"id_sms_api": 1, "error": ["#006"]},
                ],
                "envoi": 1,
            }
        }
        assert [refused.errors for refused in sandbox.refused] == [("#006",)]

    async def test_sending_twice_sends_twice(
        self, api: httpx.AsyncClient, sandbox: Sandbox
    ) -> None:
        for _ in range(2):
            await post(api, "sendsms", sends(sms(id_sms_api="1")))
        assert sandbox.processed == {"1": 2}
        assert sandbox.requests == 2

    async def test_mode_test_answers_the_same_and_sends_nothing(
        self, api: httpx.AsyncClient, sandbox: Sandbox
    ) -> None:
        tested = await post(api, "sendsms", sends(sms(id_sms_api="1"), mode="test"))
        assert sandbox.counts()["messages"] == 0 == len(sandbox.processed)
        assert await post(api, "sendsms", sends(sms(id_sms_api="1"), mode="prod")) == tested
        assert [replace(sms, key=2) for sms in sandbox.tested] == sandbox.messages

    @given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
    def test_any_text_arrives_byte_exact(self, text: str) -> None:
        phone = Sandbox()
        _, rows = answer(phone, "sendsms", json.dumps(sends(sms(text=text))).encode(), Fault())
        assert (
            json.loads(msgspec.json.encode(rows))[0]["message"] == phone.messages[0].message == text
        )


class TestContacts:
    @pytest.mark.parametrize(
        ("name", "contacts"),
        [
            (
                "success",
                [
                    {"firstname": "John", "lastname": "Doe", "phone_number": "+33612345678"},
                    {
                        "firstname": "Jane",
                        "lastname": "Smith",
                        "phone_number": "+33698765432",
                        "adress": "123 Peace Street, Paris",
                        "email": "jane.smith@example.com",
                    },
                ],
            ),
            (
                "both spellings in one answer",
                [
                    {
                        "firstname": "John",
                        "lastname": "Doe",
                        "phone_number": "+33612345678",
                        "email": "bad",
                    },
                    {"firstname": "Jane", "lastname": "Roe", "phone_number": "+33INVALID"},
                ],
            ),
        ],
    )
    async def test_answers_as_documented(
        self, api: httpx.AsyncClient, name: str, contacts: list[dict[str, object]]
    ) -> None:
        assert (
            await post(api, "contact", adds(*contacts))
            == documented("contact.json", name)["response"]
        )

    async def test_a_failure_has_the_documented_keys(self, api: httpx.AsyncClient) -> None:
        given = {"firstname": "XXXXX", "lastname": "XXXXXXX", "phone_number": "+XXXXXXXXX"}
        expected = documented("contact.json", "failure")["response"]["data"]["contact"][0]
        response = await post(api, "contact", adds(given))
        assert response == {"data": {"contact": [expected | {"errors": ["#001"]}]}}

    @pytest.mark.parametrize(
        ("contact", "result", "errors"),
        [
            ({"phone_number": NUMBER}, "success", None),
            ({"phone_number": NUMBER, "email": "me@example.com"}, "success", None),
            ({"phone_number": NUMBER, "email": "me at home"}, "success", ["#004"]),
            ({"phone_number": "33639980001"}, "failed", ["#001"]),
            ({"phone_number": "+٣٣٦٣٩٩٨٠٠٠١"}, "failed", ["#001"]),
            ({"phone_number": ""}, "failed", ["#002"]),
            ({"firstname": "Zoé"}, "failed", ["#003"]),
            ({"phone_number": "", "email": "me@home"}, "failed", ["#002", "#004"]),
        ],
    )
    async def test_codes(
        self,
        api: httpx.AsyncClient,
        sandbox: Sandbox,
        contact: dict[str, object],
        result: str,
        errors: list[str] | None,
    ) -> None:
        [row] = (await post(api, "contact", adds(contact)))["data"]["contact"]
        assert (row["result"], row.get("errors")) == (result, errors)
        assert len(sandbox.contacts) == (result == "success")

    async def test_adding_again_updates(self, api: httpx.AsyncClient, sandbox: Sandbox) -> None:
        await post(
            api,
            "contact",
            adds({"phone_number": NUMBER, "firstname": "Zoe"}, {"phone_number": OTHER}),
        )
        await post(
            api, "contact", adds({"phone_number": NUMBER, "firstname": "Zoé", "lastname": "Roux"})
        )
        assert sandbox.contacts == {
            NUMBER: Contact(NUMBER, first_name="Zoé", last_name="Roux"),
            OTHER: Contact(OTHER),
        }

    async def test_mode_test_adds_nothing(self, api: httpx.AsyncClient, sandbox: Sandbox) -> None:
        response = await post(api, "contact", adds({"phone_number": NUMBER}, mode="test"))
        assert response["data"]["contact"][0]["result"] == "success"
        assert sandbox.contacts == {}


class TestCall:
    @pytest.mark.parametrize(
        ("connected", "name"), [(True, "accepted"), (False, "phone not connected")]
    )
    async def test_answers_as_documented(
        self, api: httpx.AsyncClient, sandbox: Sandbox, connected: bool, name: str
    ) -> None:
        sandbox.change(phone_connected=connected)
        assert (
            await post(api, "clicTocall", CALL)
            == documented("click_to_call.json", name)["response"]
        )
        [made] = sandbox.calls
        state = PhoneCallState.RINGING if connected else PhoneCallState.FAILED
        assert (made.phone_number, made.direction, made.state) == (NUMBER, "outgoing", state)
        assert sandbox.counts()["calls"] == connected

    async def test_an_impossible_number_fails(
        self, api: httpx.AsyncClient, sandbox: Sandbox
    ) -> None:
        bad = {"header": {**HEADER, "type": "clicToCall", "phone_number": "639980001"}}
        assert await post(api, "clicTocall", bad) == [{**ENGAGED, "result": "failed", "errors": []}]
        assert sandbox.calls == []

    async def test_mode_test_rings_nobody(self, api: httpx.AsyncClient, sandbox: Sandbox) -> None:
        [row] = await post(api, "clicTocall", {"header": {**CALL["header"], "mode": "test"}})
        assert row["result"] == "success"
        assert sandbox.calls == []


class TestRequests:
    @pytest.mark.parametrize(
        ("path", "content", "count"),
        [
            ("sendsms.php", sends(sms()), "messages"),
            ("contact.php", adds({"phone_number": NUMBER}), "contacts"),
            ("clicTocall.php", CALL, "calls"),
            ("clic.php", CALL, "calls"),
        ],
    )
    async def test_older_paths_do_the_same(
        self, api: httpx.AsyncClient, sandbox: Sandbox, path: str, content: object, count: str
    ) -> None:
        await post(api, path, content)
        assert sandbox.counts()[count] == 1

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/api/v1/sendsms", 405),
            ("PUT", "/api/v1/contact", 405),
            ("POST", "/", 405),
            ("POST", "/api/v1/sendsms/", 404),
            ("POST", "/api/v1/SENDSMS", 404),
            ("POST", "/api/v2/sendsms", 404),
            ("POST", "/sendsms", 404),
        ],
    )
    async def test_other_methods_and_paths(
        self, api: httpx.AsyncClient, sandbox: Sandbox, method: str, path: str, status: int
    ) -> None:
        assert (await api.request(method, path, json=sends(sms()))).status_code == status
        assert sandbox.requests == 0

    @pytest.mark.parametrize("path", ["sendsms", "contact", "clicTocall"])
    @pytest.mark.parametrize(
        "header",
        [
            {},
            {"login": "demo@example.com"},
            {"accessKey": "demo-key"},
            HEADER | {"accessKey": "Demo-key"},
        ],
    )
    async def test_other_credentials_are_refused(
        self, api: httpx.AsyncClient, sandbox: Sandbox, path: str, header: dict[str, object]
    ) -> None:
        body = {"header": header, "messages": [sms()], "contacts": [{"phone_number": NUMBER}]}
        response = await api.post(f"/api/v1/{path}", json=body)
        assert (response.status_code, response.json()) == (
            401,
            {"result": "failed", "errors": ["#001"]},
        )
        assert not any((sandbox.messages, sandbox.contacts, sandbox.calls))

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"null",
            b"[]",
            b"{}",
            b'{"header": ',
            b'{"header": {}}',
            b"\xef\xbb\xbf{}",
            b'{"header": {"login": "\xff"}}',
            b"[" * 100_000,
            json.dumps(sends(sms(text="\ud800"))).encode(),
            json.dumps(sends(sms(priorite=3))).encode(),
            json.dumps(sends(sms(priorite="1"))).encode(),
            json.dumps(sends(sms(), sms(date_to_send="2025-10-30T08:00:00"))).encode(),
            json.dumps(sends({"phone_number": 33639980001, "message": "Hello"})).encode(),
        ],
        ids=lambda body: body[:40],
    )
    async def test_what_is_no_request_is_400(
        self, api: httpx.AsyncClient, sandbox: Sandbox, body: bytes
    ) -> None:
        response = await api.post("/api/v1/sendsms", content=body)
        assert (response.status_code, response.json()["result"]) == (400, "failed")
        assert sandbox.counts() == Sandbox().counts() | {"requests": 1}

    def test_the_key_is_never_shown(self, sandbox: Sandbox) -> None:
        header = _Header("demo@example.com", "demo-key")
        for shown in (repr(sandbox), repr(header), repr(header.__rich_repr__())):
            assert "demo-key" not in shown


class TestFaults:
    @pytest.mark.parametrize(
        ("fault", "status", "text", "processed"),
        [
            (Fault(status=503, body="<html>busy"), 503, "<html>busy", 0),
            (Fault(status=500), 500, "", 0),
            (Fault(status=502, process=True), 502, "", 1),
            (Fault(body="<html>log in first"), 200, "<html>log in first", 0),
            (Fault(body="", process=True), 200, "", 1),
        ],
    )
    async def test_another_answer(
        self,
        api: httpx.AsyncClient,
        sandbox: Sandbox,
        fault: Fault,
        status: int,
        text: str,
        processed: int,
    ) -> None:
        sandbox.order(fault)
        response = await api.post("/api/v1/sendsms", json=sends(sms()))
        assert (response.status_code, response.text) == (status, text)
        assert len(sandbox.messages) == processed

    @pytest.mark.parametrize("retry_after", [7, "Wed, 29 Oct 2025 10:16:10 GMT", "soon"])
    async def test_asks_for_patience(
        self, api: httpx.AsyncClient, sandbox: Sandbox, retry_after: int | str
    ) -> None:
        sandbox.order(Fault(status=429, retry_after=retry_after))
        response = await api.post("/api/v1/sendsms", json=sends(sms()))
        assert (response.status_code, response.headers["retry-after"]) == (429, str(retry_after))

    @pytest.mark.parametrize(("process", "processed"), [(None, 1), (False, 0)])
    async def test_loses_half_of_the_answer(
        self, api: httpx.AsyncClient, sandbox: Sandbox, process: bool | None, processed: int
    ) -> None:
        sandbox.order(Fault(lose_answer=True, process=process))
        response = await api.post("/api/v1/sendsms", json=sends(sms()))
        assert len(response.content) == int(response.headers["content-length"]) // 2
        assert len(sandbox.messages) == processed

    @pytest.mark.parametrize(("body", "length"), [(None, "1"), ("", "1"), ("busy", "4")])
    def test_an_answer_without_a_body_can_be_lost_too(self, body: str | None, length: str) -> None:
        fault = Fault(lose_answer=True, status=503, body=body)
        reply = reply_to(Sandbox(), "sendsms", b"{}", fault)
        assert (reply.cut, reply.headers["Content-Length"]) == (True, length)

    @pytest.mark.parametrize(
        ("fault", "ids"),
        [
            (Fault(drop_receipts=1), ["1", "2"]),
            (Fault(drop_receipts=9), []),
            (Fault(permute=True), ["3", "2", "1"]),
            (Fault(drop_receipts=1, permute=True), ["2", "1"]),
        ],
    )
    async def test_receipts_are_missing_or_out_of_order(
        self, api: httpx.AsyncClient, sandbox: Sandbox, fault: Fault, ids: list[str]
    ) -> None:
        sandbox.order(fault)
        rows = await post(api, "sendsms", sends(*(sms(id_sms_api=name) for name in "123")))
        assert [row["id_sms_api"] for row in rows] == ids
        assert sandbox.processed == {"1": 1, "2": 1, "3": 1}

    async def test_contacts_lose_rows_too(self, api: httpx.AsyncClient, sandbox: Sandbox) -> None:
        sandbox.order(Fault(drop_receipts=1))
        response = await post(
            api, "contact", adds({"phone_number": NUMBER}, {"phone_number": OTHER})
        )
        assert [row["phonenumber"] for row in response["data"]["contact"]] == [NUMBER]
        assert len(sandbox.contacts) == 2

    @pytest.mark.parametrize(
        ("path", "content"), [("contact", adds({"phone_number": NUMBER})), ("clicTocall", CALL)]
    )
    async def test_the_other_calls_can_be_kept_from_processing(
        self, api: httpx.AsyncClient, sandbox: Sandbox, path: str, content: object
    ) -> None:
        sandbox.order(Fault(process=False))
        await post(api, path, content)
        assert sandbox.counts() == Sandbox().counts() | {"requests": 1}

    async def test_a_late_answer_comes(self, api: httpx.AsyncClient, sandbox: Sandbox) -> None:
        sandbox.order(Fault(delay=0.001))
        assert len(await post(api, "sendsms", sends(sms()))) == 1

    async def test_who_gives_up_on_a_late_answer_has_been_served(
        self, api: httpx.AsyncClient, sandbox: Sandbox
    ) -> None:
        sandbox.order(Fault(delay=60))

        async def cancel(scope: anyio.CancelScope) -> None:
            await anyio.wait_all_tasks_blocked()
            scope.cancel()

        async with anyio.create_task_group() as group:
            with anyio.CancelScope() as scope:
                group.start_soon(cancel, scope)
                await post(api, "sendsms", sends(sms()))
        assert scope.cancelled_caught
        assert len(sandbox.messages) == 1

    async def test_faults_come_in_order_as_often_as_ordered_and_only_where_they_fit(
        self, api: httpx.AsyncClient, sandbox: Sandbox
    ) -> None:
        sandbox.order(Fault(status=500, path="contact"))
        sandbox.order(Fault(status=502, times=2))
        sandbox.order(Fault(status=503, path="sendsms"))
        paths = ["sendsms", "contact", "sendsms", "contact", "sendsms", "sendsms"]
        statuses = [(await api.post(f"/api/v1/{path}", json={})).status_code for path in paths]
        assert statuses == [502, 500, 502, 400, 503, 400]
        assert sandbox.faults == {}


class TestLookingAtIt:
    async def test_the_phone_shows_the_newest_messages_and_nothing_that_moves_the_cursor(
        self, api: httpx.AsyncClient
    ) -> None:
        for number in range(12):
            await post(api, "sendsms", sends(sms(text=f"text {number}\x1b[2J")))
        lines = (await api.get("/")).text.splitlines()
        assert lines[:3] == [
            "inSIM sandbox",
            (
                "requests 12  messages 12  contacts 0  calls 0  tested 0  received 0  "
                "faults 0  webhooks 0"
            ),
            "",
        ]
        assert lines[3] == f"10:16:10  {NUMBER}  'text 11\\x1b[2J'"
        assert len(lines) == 13

    async def test_its_state_as_json(self, api: httpx.AsyncClient, sandbox: Sandbox) -> None:
        await post(api, "sendsms", sends(sms(id_sms_api="1")))
        state = (await api.get("/_sandbox/state")).json()
        assert state["counts"] == sandbox.counts() | {"messages": 1}
        assert state["processed"] == {"1": 1}
        assert msgspec.convert(state["messages"], list[SentSms]) == sandbox.messages

    async def test_faults_are_ordered_by_json(
        self, api: httpx.AsyncClient, sandbox: Sandbox
    ) -> None:
        ordered = {"status": 503, "path": "sendsms", "times": 3}
        response = await api.post("/_sandbox/faults", json=ordered)
        assert (response.status_code, response.json()) == (
            201,
            msgspec.to_builtins(sandbox.faults[1]),
        )
        assert sandbox.faults == {1: Fault(status=503, path="sendsms", times=3)}
        assert response.headers["location"] == "/_sandbox/faults/1"

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            (b'{"stauts": 503}', "unknown field `stauts`"),
            (b'{"path": "SendSMS"}', "Invalid enum value"),
            (b'{"times": 0}', "`int` >= 1"),
            (b'{"delay": -1}', ">= 0.0"),
            (b"503", "Expected `object`"),
            (b"", "truncated"),
            (b'{"unsent": true}', "over a socket has been sent"),
        ],
    )
    async def test_a_misspelt_order_is_refused(
        self, api: httpx.AsyncClient, sandbox: Sandbox, body: bytes, reason: str
    ) -> None:
        response = await api.post("/_sandbox/faults", content=body)
        assert response.status_code == 400
        assert reason in response.text
        assert sandbox.faults == {}


class TestClient:
    """The real client meets the sandbox in-process.

    Neither knows how the other reads the documentation.
    """

    @pytest.mark.parametrize(
        ("fault", "error", "processed"),
        [
            (Fault(lose_answer=True), OutcomeUnknown, 1),
            (Fault(lose_answer=True, process=False), OutcomeUnknown, 0),
            (Fault(drop_receipts=1), OutcomeUnknown, 1),
            (Fault(delay=30), OutcomeUnknown, 1),
            (Fault(status=503), OutcomeUnknown, 0),
            (Fault(body="<html>"), OutcomeUnknown, 0),
            (Fault(unsent=True, times=3), NotSent, 0),
            (Fault(status=429, retry_after=0, times=3), RateLimited, 0),
            (Fault(refuse_login=True), AuthenticationFailed, 0),
            (Fault(status=401), AuthenticationFailed, 0),
            (Fault(status=403, body="{}"), AuthenticationFailed, 0),
            (Fault(status=403), Refused, 0),
            (Fault(status=404), ConfigurationError, 0),
        ],
    )
    async def test_sees_each_fault_as_what_it_is(
        self,
        insim_client: AsyncInSim,
        insim_sandbox: InSimSandbox,
        fault: Fault,
        error: type[InSimError],
        processed: int,
    ) -> None:
        insim_sandbox.state.order(fault)
        with pytest.raises(error) as caught:
            await insim_client.send_sms(NUMBER, "Hello")
        assert (type(caught.value), len(insim_sandbox.messages)) == (error, processed)
        assert (await insim_client.send_sms(NUMBER, "Hello again")).sent

    async def test_matches_receipts_that_come_in_reverse(
        self, insim_client: AsyncInSim, insim_sandbox: InSimSandbox
    ) -> None:
        sent = [Sms(NUMBER, "1", sms_id="a"), Sms(OTHER, "2", sms_id="b")]
        with insim_sandbox.fault(permute=True):
            report = await insim_client.send_many(sent)
        receipts = [outcome.unwrap() for outcome in report.outcomes]
        assert [(receipt.sms_id, receipt.phone_number) for receipt in receipts] == [
            ("a", NUMBER),
            ("b", OTHER),
        ]

    async def test_adds_and_calls(
        self, insim_client: AsyncInSim, insim_sandbox: InSimSandbox
    ) -> None:
        given = Contact(NUMBER, first_name="Zoé", address="1 rue X", email="bad")
        [result] = await insim_client.add_contacts([given])
        assert (result.ok, result.warnings) == (True, ("#004",))
        assert insim_sandbox.contacts == {NUMBER: given}
        assert (await insim_client.click_to_call(NUMBER)).ok
        insim_sandbox.go_offline()
        assert (await insim_client.click_to_call(NUMBER)).errors == ("#002",)
        insim_sandbox.assert_called(NUMBER)


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_without_the_extra_the_import_says_how_to_get_it(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    assert insim_async.sandbox.Sandbox is Sandbox
    with pytest.raises(ImportError, match=re.escape('pip install "insim_async[sandbox]"')):
        insim_async.sandbox.__getattr__("sandbox_app")


class TestProcess:
    async def test_serves_what_it_prints_and_only_to_this_machine(self) -> None:
        with running("--login", "me@example.com", "--access-key", "made-up") as (process, url):
            async with httpx.AsyncClient(base_url=url, auth=LOGIN) as api:
                rows = await post(
                    api, "sendsms", sends(sms(), login="me@example.com", accessKey="made-up")
                )
                assert rows[0]["sent"] == 1
            assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+", url)
        assert process.returncode == 0

    async def test_a_lost_answer_is_a_broken_connection_and_the_next_request_works(self) -> None:
        with running() as (_, url):
            async with httpx.AsyncClient(base_url=url, auth=LOGIN) as api:
                await api.post("/_sandbox/faults", json={"lose_answer": True})
                with pytest.raises(httpx.RemoteProtocolError):
                    await post(api, "sendsms", sends(sms(id_sms_api="1")))
                await post(api, "sendsms", sends(sms(id_sms_api="2")))
                assert (await api.get("/_sandbox/state")).json()["processed"] == {"1": 1, "2": 1}

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    async def test_a_signal_ends_it_quietly_even_while_an_answer_is_late(
        self, number: signal.Signals
    ) -> None:
        with running() as (process, url):
            async with httpx.AsyncClient(base_url=url, auth=LOGIN) as api:
                await api.post("/_sandbox/faults", json={"delay": 60})
                with contextlib.suppress(httpx.ReadTimeout):
                    await api.post("/api/v1/sendsms", json=sends(sms()), timeout=0.05)
                process.send_signal(number)
                out, err = await anyio.to_thread.run_sync(process.communicate)
        assert (process.returncode, out, err) == (0, "", "")

    @pytest.mark.parametrize("said", ["", "anything"])
    def test_ends_with_its_standard_input_where_asked_to(self, said: str) -> None:
        with running("--until-eof") as (process, _):
            out, err = process.communicate(said, timeout=20)
        assert (process.returncode, out, err) == (0, "", "")

    def test_serves_ipv6(self) -> None:
        with running("--host", "::1") as (_, url):
            assert re.fullmatch(r"http://\[::1\]:[0-9]+", url)

    @pytest.mark.parametrize("port", ["taken", "99999"])
    def test_an_address_that_is_not_free_is_said_in_one_line(self, port: str) -> None:
        with running() as (_, url):
            port = url.rpartition(":")[2] if port == "taken" else port
            command = [sys.executable, "-m", "insim_async.sandbox", "--port", port]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
        assert done.returncode == 1
        assert re.fullmatch(rf"Cannot listen on 127\.0\.0\.1 port {port}: .+\n", done.stderr)

    @pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
    async def test_an_answer_does_not_wait_for_the_one_before_it_to_be_acknowledged(
        self, host: str
    ) -> None:
        """An event loop unties them (``TCP_NODELAY``) only on sockets that know they speak TCP."""
        made: asyncio.Queue[asyncio.BaseTransport] = asyncio.Queue()

        class Accepted(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                made.put_nowait(transport)

        with _listen(host, 0) as listener:
            server = await asyncio.get_running_loop().create_server(Accepted, sock=listener)
            async with server:
                with socket.create_connection(listener.getsockname()[:2]):
                    connection: socket.socket = (await made.get()).get_extra_info("socket")
                    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    async def test_webhooks_leave_by_themselves_where_it_is_told(self) -> None:
        heard: asyncio.Queue[str] = asyncio.Queue()

        async def hook(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await heard.put((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(hook, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            options = ("--callback", f"{url}/all", "--callback", f"incoming_sms={url}/sms")
            soon = ("--sent-after", "0", "--received-after", "0")
            with running(*options, *soon) as (_, base):
                async with httpx.AsyncClient(base_url=base, auth=LOGIN) as api:
                    await post(api, "sendsms", sends(sms(id_sms_api="1")))
                    reply = {"phone_number": NUMBER, "message": "OUI"}
                    await api.post("/_sandbox/acts/reply", json=reply)
                    lines = sorted([(await heard.get()).partition("=")[0] for _ in range(3)])
        assert lines == ["GET /all?status", "GET /all?status", "GET /sms?message"]

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--callback", "here"), "callback URL: http:// or https:// first"),
            (("--timezone", "Europe/Nowhere"), "Europe/Nowhere"),
            (("--fault-rate", "2"), "<= 1.0"),
        ],
    )
    def test_a_setting_that_makes_no_sense_is_said_in_one_line(
        self, options: tuple[str, ...], words: str
    ) -> None:
        with pytest.raises(SystemExit, match=re.escape(words)):
            main(["--port", "0", *options])

    def test_who_watches_does_not_keep_it_alive(self) -> None:
        options = ("--host", "0.0.0.0", "--timezone", "Europe/Paris")
        with (
            running(*options) as (process, url),
            httpx.stream("GET", f"{url}/_sandbox/changes") as stream,
        ):
            assert next(stream.iter_lines()).startswith("id: ")
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
        said = "Not only this machine can reach it, since it listens on 0.0.0.0\n"
        assert (process.returncode, err) == (0, said)

    def test_without_the_extra_it_says_what_to_install(self) -> None:
        program = (
            "import runpy, sys; sys.modules['uvicorn'] = None; "
            "runpy.run_module('insim_async.sandbox', run_name='__main__')"
        )
        run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        said = 'starlette and uvicorn are missing: pip install "insim_async[sandbox]"\n'
        assert (run.returncode, run.stderr) == (1, said)

    def test_importing_it_serves_nothing(self) -> None:
        assert callable(importlib.import_module("insim_async.sandbox.__main__").main)


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the sandbox on a free port and give its process and URL."""
    command = [sys.executable, "-m", "insim_async.sandbox", "--port", "0", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().split()[4]
        finally:
            process.terminate()
