"""The front door: settings that cannot work are refused, and each call does what its name says."""

from __future__ import annotations

import pickle
import ssl
import traceback
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import httpx
import pytest
import respx

from insim_async import (
    AsyncInSim,
    AuthenticationFailed,
    Clock,
    ConfigurationError,
    InvalidMessage,
    OutcomeUnknown,
    Priority,
    Refused,
    Retry,
    Sms,
)
from tests.conftest import BASE_URL, KEY, LOGIN, Gateway, Hours, receipt

NUMBER = "+33639980001"


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("INSIM_LOGIN", "INSIM_ACCESS_KEY", "INSIM_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


UNVERIFIED = ssl.create_default_context()
UNVERIFIED.check_hostname = False


class OldZone(tzinfo):
    """A zone as those of pytz are; this one knows its name and nothing else."""

    def __init__(self, zone: str | None) -> None:
        self.zone = zone

    def __str__(self) -> str:
        return f"{self.zone}"

    def utcoffset(self, _: datetime | None) -> timedelta | None:
        raise NotImplementedError

    dst = utcoffset

    def tzname(self, _: datetime | None) -> str | None: ...


class Silent(OldZone):
    """A zone that says nothing."""

    def utcoffset(self, _: datetime | None) -> None:
        return None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"login": None}, r"no login .*INSIM_LOGIN and INSIM_ACCESS_KEY"),
        ({"access_key": ""}, r"no access_key .*INSIM_LOGIN and INSIM_ACCESS_KEY"),
        ({"login": b"me"}, "login: expected text, got bytes"),
        ({"access_key": 5}, "access_key: expected text, got int"),
        ({"access_key": f"{KEY}\n"}, "access_key: it holds a character that cannot be printed"),
        ({"access_key": f"{KEY}\ud800"}, "access_key: it holds a character that cannot be printed"),
        ({"base_url": "http://www.insim.app"}, "base_url"),
        ({"base_url": ""}, "base_url: give scheme and host"),
        ({"base_url": b"https://www.insim.app"}, "base_url: expected text, got bytes"),
        ({"timeout": None}, "timeout: expected a number above 0, got None"),
        ({"timeout": 0}, "timeout: expected a number above 0, got 0"),
        ({"timeout": float("inf")}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"timeout": "30"}, "timeout"),
        ({"max_rate": -1}, "max_rate"),
        ({"max_rate": 0.0}, "max_rate"),
        ({"batch_size": 0}, "batch_size: expected a whole number of 1 or more, got 0"),
        ({"batch_size": 2.5}, "batch_size"),
        ({"max_parts": 0}, "max_parts: expected a whole number of 1 or more, got 0"),
        ({"max_parts": 256}, "max_parts: expected at most 255, got 256"),
        ({"max_concurrency": -3}, "max_concurrency"),
        ({"retry": Retry(attempts=0)}, "retry"),
        ({"retry": 3}, "retry: expected a Retry, got int"),
        ({"timezone": 1}, "timezone: expected a name or a tzinfo, got int"),
        ({"timezone": "Mars/Olympus"}, "timezone: 'Mars/Olympus'"),
        (
            {"timezone": "../etc"},
            "timezone: '../etc' is not known on this machine: .*pip install tzdata",
        ),
        ({"timezone": ""}, "timezone: it is empty"),
        (
            {"timezone": OldZone("Mars/Olympus")},
            "timezone: 'Mars/Olympus' is not known .*pip install tzdata",
        ),
        (
            {"timezone": OldZone(None)},
            "timezone: asked for its offset, it raises NotImplementedError",
        ),
        ({"timezone": Silent(None)}, "timezone: it does not say its offset"),
        ({"http_client": httpx.Client()}, "http_client: expected an httpx.AsyncClient"),
        (
            {"http_client": httpx.AsyncClient(), "ssl_context": ssl.create_default_context()},
            "ssl_context",
        ),
        ({"ssl_context": UNVERIFIED}, "always checked"),
        ({"ssl_context": False}, "ssl_context: expected an ssl.SSLContext, got bool"),
        (
            {"http_client": httpx.AsyncClient},
            "http_client: expected an httpx.AsyncClient .*got the class AsyncClient",
        ),
        (
            {"http_client": "https://proxy.test"},
            "http_client: expected an httpx.AsyncClient .*got str",
        ),
        ({"region": 33}, "region: expected a str, got int"),
        ({"clock": Clock(wall=5)}, "clock: wall must be something to call"),  # type: ignore[arg-type]
        ({"clock": Clock}, "clock: expected a Clock"),
        ({"dry_run": "0"}, "dry_run: expected True or False, got str"),
        ({"dry_run": 1}, "dry_run: expected True or False, got int"),
        ({"dry_run": None}, "dry_run: expected True or False, got NoneType"),
        ({"timeout": True}, "timeout: expected a number above 0, got True"),
        ({"max_rate": True}, "max_rate: expected a number above 0, got True"),
        ({"batch_size": True}, "batch_size: expected a whole number of 1 or more, got True"),
        (
            {"max_concurrency": True},
            "max_concurrency: expected a whole number of 1 or more, got True",
        ),
        ({"max_parts": True}, "max_parts: expected a whole number of 1 or more, got True"),
        ({"retry": Retry(attempts=True)}, "retry: attempts"),
        ({"retry": Retry}, "retry: expected a Retry"),
        ({"clock": 3}, "clock: expected a Clock, got int"),
    ],
    ids=lambda value: ascii(value) if isinstance(value, str) else next(iter(value)),
)
def test_a_setting_that_cannot_work_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        AsyncInSim(**({"login": LOGIN, "access_key": KEY} | settings))
    shown = "".join(
        traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    )
    assert KEY not in shown.partition('insim_async/client.py"')[2]


@pytest.mark.parametrize("name", ["login", "access_key"])
@pytest.mark.parametrize("empty", ["", " ", 0, False])
def test_an_empty_argument_is_a_mistake_and_no_wish_for_the_environment(
    name: str, empty: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSIM_LOGIN", "env@example.com")
    monkeypatch.setenv("INSIM_ACCESS_KEY", "env-key")
    with pytest.raises(ConfigurationError, match=f"{name}.*: (it is empty|expected text)"):
        AsyncInSim(**{name: empty})


@pytest.mark.extra("phone")
def test_an_empty_region_is_none_that_exists() -> None:
    with pytest.raises(ConfigurationError, match="unknown region ''"):
        AsyncInSim(LOGIN, KEY, region="")


async def test_the_environment_fills_in(monkeypatch: pytest.MonkeyPatch, gateway: Gateway) -> None:
    monkeypatch.setenv("INSIM_LOGIN", "env@example.com")
    monkeypatch.setenv("INSIM_ACCESS_KEY", "env-key")
    monkeypatch.setenv("INSIM_BASE_URL", BASE_URL)
    async with AsyncInSim() as insim:
        await insim.send_sms(NUMBER, "Hi")
    assert gateway.requests[0]["header"] == {"login": "env@example.com", "accessKey": "env-key"}


def test_the_key_is_neither_shown_nor_pickled() -> None:
    insim = AsyncInSim(LOGIN, KEY)
    assert KEY not in repr(insim)
    assert LOGIN not in repr(insim)
    with pytest.raises(TypeError):
        pickle.dumps(insim)


async def test_everything_that_can_be_said_of_a_message_goes_out(gateway: Gateway) -> None:
    async with AsyncInSim(
        LOGIN, KEY, base_url=BASE_URL, timezone="Europe/Paris", dry_run=True
    ) as insim:
        answer = await insim.send_sms(
            "+33 6 39 98 00 01",
            "See [Lien_Tracking]",
            url="https://example.com",
            priority=Priority.HIGH,
            send_at=datetime(2031, 7, 1, 7, 30, tzinfo=UTC),
            sms_id="order-7",
        )
    assert answer.sms_id == "order-7"
    assert gateway.requests == [
        {
            "header": {"login": LOGIN, "accessKey": KEY, "mode": "test"},
            "messages": [
                {
                    "phone_number": NUMBER,
                    "message": "See [Lien_Tracking]",
                    "id_sms_api": "order-7",
                    "url": "https://example.com",
                    "priorite": 2,
                    "date_to_send": "2031-07-01 09:30:00",
                }
            ],
        }
    ]


async def test_each_message_gets_an_id_that_nobody_can_guess(
    insim: AsyncInSim, gateway: Gateway
) -> None:
    ids = {(await insim.send_sms(NUMBER, "Hi")).sms_id for _ in range(20)}
    assert len(ids) == 20
    assert all(len(sms_id) >= 22 for sms_id in ids)
    assert len({sms_id[:8] for sms_id in ids}) == 20


async def test_a_message_that_cannot_be_sent_raises_before_a_byte(
    insim: AsyncInSim, gateway: Gateway
) -> None:
    with pytest.raises(InvalidMessage, match="message: it is empty"):
        await insim.send_sms(NUMBER, "")
    assert gateway.requests == []


async def test_a_text_of_many_parts_costs_nothing_unless_that_is_allowed(gateway: Gateway) -> None:
    text = "a" * 20_000
    async with AsyncInSim(LOGIN, KEY, base_url=BASE_URL) as insim:
        with pytest.raises(InvalidMessage, match="it needs 131 parts"):
            await insim.send_sms(NUMBER, text)
        report = await insim.send_many([Sms(NUMBER, text), Sms(NUMBER, "a" * 3_060)])
    assert (report.sent, report.not_sent) == (1, 1)
    async with AsyncInSim(LOGIN, KEY, base_url=BASE_URL, max_parts=131) as insim:
        await insim.send_sms(NUMBER, text)
    assert [
        len(message["message"]) for request in gateway.requests for message in request["messages"]
    ] == [
        3_060,
        20_000,
    ]


async def test_a_zone_of_pytz_has_the_gaps_of_the_place_that_it_names(
    gateway: Gateway, hours: Hours
) -> None:
    zone = OldZone("Europe/Paris")
    async with AsyncInSim(LOGIN, KEY, base_url=BASE_URL, timezone=zone, clock=hours.clock) as insim:
        with pytest.raises(InvalidMessage, match="does not exist"):
            await insim.send_sms(NUMBER, "Hi", send_at=datetime(2026, 3, 29, 2, 30))  # noqa: DTZ001
        await insim.send_sms(NUMBER, "Hi", send_at=datetime(2026, 7, 1, 7, 30, tzinfo=UTC))
    assert gateway.requests[0]["messages"][0]["date_to_send"] == "2026-07-01 09:30:00"


async def test_the_client_s_clock_says_what_is_past(insim: AsyncInSim, gateway: Gateway) -> None:
    async with AsyncInSim(
        LOGIN, KEY, base_url=BASE_URL, timezone="UTC", clock=Clock(wall=lambda: 0.0)
    ) as insim:
        await insim.send_sms(NUMBER, "Hi", send_at=datetime(1970, 1, 1, tzinfo=UTC))
        with pytest.raises(InvalidMessage, match="more than a day in the past"):
            await insim.send_sms(NUMBER, "Hi", send_at=datetime(1969, 12, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"sent": 0}, Refused),
        ({"sent": 0, "error": ["#003"]}, Refused),
        ({"sent": None, "error": ["#001"]}, AuthenticationFailed),
        ({"sent": 1, "error": ["#003"]}, OutcomeUnknown),
    ],
)
async def test_a_message_that_was_not_taken_raises(
    insim: AsyncInSim, gateway: Gateway, changes: dict[str, Any], kind: type[Exception]
) -> None:
    gateway.answers = [lambda messages: httpx.Response(200, json=[receipt(messages[0]) | changes])]
    with pytest.raises(kind):
        await insim.send_sms(NUMBER, "Hi")


async def test_a_call_reaches_the_servers(insim: AsyncInSim, router: respx.MockRouter) -> None:
    route = router.post("/api/v1/clicTocall").respond(
        json=[{"info": "x", "result": "failed", "errors": ["#002"]}]
    )
    result = await insim.click_to_call("+33 6 39 98 00 01")
    assert (result.ok, result.info, result.errors) == (False, "x", ("#002",))
    assert b'"phone_number":"+33639980001"' in route.calls.last.request.content


async def test_a_call_that_cannot_be_made_raises(
    insim: AsyncInSim, router: respx.MockRouter
) -> None:
    route = router.post("/api/v1/clicTocall").respond(502)
    with pytest.raises(InvalidMessage):
        await insim.click_to_call("nobody")
    assert not route.called
    with pytest.raises(Exception, match="502"):
        await insim.click_to_call(NUMBER)
    assert route.call_count == 1


async def test_progress_cannot_be_awaited(insim: AsyncInSim) -> None:
    async def report(progress: object) -> None: ...

    with pytest.raises(ConfigurationError, match="plain function"):
        await insim.send_many([], on_progress=report)


@pytest.mark.extra("phone")
async def test_a_region_is_checked_when_the_client_is_made() -> None:
    AsyncInSim(LOGIN, KEY, region="FR")
    with pytest.raises(ConfigurationError, match="unknown region"):
        AsyncInSim(LOGIN, KEY, region="XX")
