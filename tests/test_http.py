"""What an answer, or its absence, proves; and that nothing of a request is repeated in an error."""

from __future__ import annotations

import asyncio
import html
import json
import logging
import socket
import ssl
import time
import traceback
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import anyio
import httpx
import pytest
import respx

from insim_async import (
    AsyncInSim,
    AuthenticationFailed,
    ConfigurationError,
    Contact,
    InSimError,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Retry,
    Sms,
    Status,
)
from insim_async._http import connection
from insim_async._tasks import is_to_be_passed_on
from tests.conftest import BASE_URL, KEY, LOGIN, Gateway, Hours, receipt

NUMBER = "+33639980001"
ENDINGS: list[tuple[int, type[InSimError], int]] = [
    (301, ConfigurationError, 1),
    (307, ConfigurationError, 1),
    (400, Refused, 1),
    (401, AuthenticationFailed, 1),
    (303, OutcomeUnknown, 1),
    (402, Refused, 1),
    (403, Refused, 1),
    (404, ConfigurationError, 1),
    (405, ConfigurationError, 1),
    (413, Refused, 1),
    (429, RateLimited, 3),
    (500, OutcomeUnknown, 1),
    (502, OutcomeUnknown, 1),
    (503, OutcomeUnknown, 1),
    (504, OutcomeUnknown, 1),
    (524, OutcomeUnknown, 1),
]


@pytest.mark.parametrize(("status", "kind", "attempts"), ENDINGS)
async def test_a_status_ends_in_one_way(
    insim: AsyncInSim, gateway: Gateway, status: int, kind: type[InSimError], attempts: int
) -> None:
    gateway.answers = [
        httpx.Response(status, text="<html>No</html>", headers={"Location": "https://x.test"})
    ] * 9
    with pytest.raises(kind, match=f"the server answered {status}: <html>No</html>") as caught:
        await insim.send_sms(NUMBER, "Hi")
    assert type(caught.value) is kind
    assert len(gateway.requests) == attempts


@pytest.mark.parametrize(
    ("status", "kind", "attempts"),
    [(status, kind, n) for status, kind, n in ENDINGS if status > 499],
)
async def test_what_is_safe_to_repeat_is_repeated_when_unknown(
    insim: AsyncInSim, router: respx.MockRouter, status: int, kind: type[InSimError], attempts: int
) -> None:
    route = router.post("/api/v1/contact").respond(status)
    (result,) = await insim.add_contacts([Contact(NUMBER)])
    assert type(result.error) is kind
    assert route.call_count == 3


@pytest.mark.parametrize(
    ("headers", "body", "kind"),
    [
        ({}, b'{"message": "Forbidden"}', AuthenticationFailed),
        ({}, b"[]", AuthenticationFailed),
        ({"Content-Type": "application/json"}, b"", Refused),
        ({"Content-Type": "application/json"}, b"<html>Blocked</html>", Refused),
        ({}, b'"Forbidden"', Refused),
        ({}, b"[" * 100_000, Refused),
        ({}, b"", Refused),
    ],
)
async def test_a_403_is_about_the_account_only_where_the_application_speaks(
    insim: AsyncInSim,
    gateway: Gateway,
    headers: dict[str, str],
    body: bytes,
    kind: type[InSimError],
) -> None:
    """A firewall's page is about one text."""
    gateway.answers = [httpx.Response(403, headers=headers, content=body)]
    with pytest.raises(Refused, match="the server answered 403") as caught:
        await insim.send_sms(NUMBER, "Hi")
    assert type(caught.value) is kind


LOST: list[tuple[Exception, type[InSimError], int]] = [
    (httpx.ConnectError("refused"), NotSent, 3),
    (httpx.ConnectTimeout("slow"), NotSent, 3),
    (httpx.PoolTimeout("full"), NotSent, 3),
    (httpx.ProxyError("502"), NotSent, 3),
    (httpx.ReadError("reset"), OutcomeUnknown, 1),
    (httpx.WriteError("reset"), OutcomeUnknown, 1),
    (httpx.ReadTimeout("slow"), OutcomeUnknown, 1),
    (httpx.RemoteProtocolError("half a line"), OutcomeUnknown, 1),
    (RuntimeError("from a hook"), OutcomeUnknown, 1),
]


@pytest.mark.parametrize(
    ("error", "kind", "attempts"), LOST, ids=lambda value: type(value).__name__
)
async def test_a_transport_that_announces_nothing_proves_nothing_by_its_silence(
    insim: AsyncInSim, gateway: Gateway, error: Exception, kind: type[InSimError], attempts: int
) -> None:
    gateway.answers = [error] * 9
    with pytest.raises(kind, match=type(error).__name__):
        await insim.send_sms(NUMBER, "Hi")
    assert len(gateway.requests) == attempts


async def test_a_certificate_that_is_not_trusted_is_not_tried_again() -> None:
    requests = 0

    def distrust(request: httpx.Request) -> httpx.Response:
        nonlocal requests
        requests += 1
        raise httpx.ConnectError("certificate verify failed") from ssl.SSLCertVerificationError(
            "self-signed"
        )

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(distrust)) as own,
        AsyncInSim(LOGIN, KEY, base_url=BASE_URL, http_client=own) as insim,
    ):
        with pytest.raises(NotSent):
            await insim.send_sms(NUMBER, "Hi")
    assert requests == 1


def caused(error: Exception, *causes: Exception) -> Exception:
    """Return an error with its causes, outermost first."""
    outer = error
    for cause in causes:
        outer.__cause__ = outer = cause
    return error


class Silent(httpx.AsyncBaseTransport):
    """Lets the gateway take the message, announces nothing, and raises."""

    def __init__(self, gateway: Gateway, *errors: Exception) -> None:
        self.gateway = gateway
        self.errors = list(errors)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = self.gateway(request)
        if self.errors:
            raise self.errors.pop(0)
        return answer


def hung_up(how: str) -> Exception:
    """Return what a transport makes of a hang-up after the whole body."""
    if how == "with its cause":
        return caused(httpx.ConnectTimeout("disconnected"), OSError("hung up"))
    try:
        try:
            raise ConnectionResetError
        except OSError:
            if how == "from None":
                raise httpx.ConnectError("lost") from None
            raise httpx.ConnectError("lost")  # noqa: B904 - as transports are
    except httpx.ConnectError as error:
        return error


@pytest.mark.parametrize("how", ["with its cause", "from None", "in its course"])
@pytest.mark.parametrize("first", ["nothing", "an answer"])
async def test_no_trace_no_proof(gateway: Gateway, hours: Hours, how: str, first: str) -> None:
    """Not even where the transport has answered before.

    One message is handed over once, and may have been sent.
    """
    transport = Silent(gateway)
    async with (
        httpx.AsyncClient(transport=transport) as own,
        AsyncInSim(LOGIN, KEY, base_url=BASE_URL, http_client=own, clock=hours.clock) as insim,
    ):
        if first == "an answer":
            await insim.send_sms(NUMBER, "Hi")
        transport.errors = [hung_up(how) for _ in range(3)]
        with pytest.raises(OutcomeUnknown):
            await insim.send_sms(NUMBER, "Hi")
    assert set(gateway.processed.values()) == {1}


REFUSALS = [
    ConnectionRefusedError(111, "refused"),
    socket.gaierror(-2, "unknown"),
    ssl.SSLCertVerificationError("no"),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda error: type(error).__name__)
async def test_what_the_operating_system_refuses_is_not_sent(
    gateway: Gateway, hours: Hours, refusal: Exception
) -> None:
    """Whatever a transport makes of it: there is no trace, but the first cause of all."""
    deeds = [caused(httpx.ConnectTimeout("?"), OSError("?"), refusal) for _ in range(3)]
    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(lambda _: play(deeds.pop(0)))) as own,
        AsyncInSim(LOGIN, KEY, base_url=BASE_URL, http_client=own, clock=hours.clock) as insim,
    ):
        with pytest.raises(NotSent):
            await insim.send_sms(NUMBER, "Hi")
    assert len(deeds) == (2 if isinstance(refusal, ssl.SSLCertVerificationError) else 0)


async def test_a_refusal_after_something_else_went_wrong_proves_nothing(gateway: Gateway) -> None:
    """A transport that connects again after a hang-up is refused only then.

    By that time the message may have arrived.
    """
    error = caused(
        httpx.ConnectError("?"),
        ConnectionRefusedError(111, "refused"),
        ConnectionResetError(104, "reset"),
    )
    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(lambda _: play(error))) as own,
        AsyncInSim(LOGIN, KEY, base_url=BASE_URL, http_client=own) as insim,
    ):
        with pytest.raises(OutcomeUnknown):
            await insim.send_sms(NUMBER, "Hi")


def play(error: Exception) -> httpx.Response:
    raise error


async def test_a_client_that_announces_one_way_and_not_the_other_proves_nothing_by_its_silence(
    gateway: Gateway, hours: Hours
) -> None:
    """A wrapper that falls back on another transport, for one."""
    announcing = Announcing(httpx.ConnectError("refused"), httpx.ReadError("reset"))
    silent = Silent(gateway)
    turns: list[httpx.AsyncBaseTransport] = [announcing, silent, silent]

    class Both(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return await turns.pop(0).handle_async_request(request)

    async with (
        httpx.AsyncClient(transport=Both()) as own,
        AsyncInSim(LOGIN, KEY, base_url=BASE_URL, http_client=own, clock=hours.clock) as insim,
    ):
        await insim.send_sms(NUMBER, "Hi")
        silent.errors = [hung_up("from None")]
        with pytest.raises(OutcomeUnknown):
            await insim.send_sms(NUMBER, "Hi")
    assert set(gateway.processed.values()) == {1}


async def test_what_led_to_an_unknown_is_logged_without_a_value(
    insim: AsyncInSim, gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "insim_async")
    gateway.answers = [caused(httpx.ReadError(f"to {NUMBER}"), ConnectionResetError(KEY))]
    with pytest.raises(OutcomeUnknown):
        await insim.send_sms(NUMBER, "Hi")
    assert "httpx.ReadError < respx.models.SideEffectError" in caplog.text
    assert NUMBER not in caplog.text


async def test_after_a_refused_connection_the_next_attempt_sends(
    insim: AsyncInSim, gateway: Gateway, hours: Hours
) -> None:
    gateway.answers = [httpx.ConnectError("refused"), httpx.ConnectError("refused")]
    assert (await insim.send_sms(NUMBER, "Hi")).sent
    assert hours.naps == [0.25, 0.5]


DATE = "Wed, 29 Oct 2025 10:16:10 GMT"
LATER = "Wed, 29 Oct 2025 10:16:15 GMT"
PAUSES: list[tuple[dict[str, str], float | None, float]] = [
    ({"Retry-After": "5"}, 5.0, 5.25),
    ({"Retry-After": " 5 "}, 5.0, 5.25),
    ({"Retry-After": "0"}, 0.0, 0.5),
    ({"Retry-After": LATER, "Date": DATE}, 5.0, 5.25),
    ({"Retry-After": LATER.replace("GMT", "-0000"), "Date": DATE}, 5.0, 5.25),
    ({"Retry-After": DATE, "Date": LATER}, 0.0, 0.5),
    ({"Retry-After": DATE}, 0.0, 0.5),
    ({}, None, 0.5),
    ({"Retry-After": "soon"}, None, 0.5),
    ({"Retry-After": "-5"}, None, 0.5),
    ({"Retry-After": "1e3"}, None, 0.5),
]


@pytest.mark.parametrize(("headers", "asked", "nap"), PAUSES, ids=lambda value: str(value))
async def test_a_429_is_waited_for(
    insim: AsyncInSim,
    gateway: Gateway,
    hours: Hours,
    headers: dict[str, str],
    asked: float | None,
    nap: float,
) -> None:
    gateway.answers = [httpx.Response(429, headers=headers)]
    assert (await insim.send_sms(NUMBER, "Hi")).sent
    assert sum(hours.naps) == pytest.approx(nap)
    gateway.answers = [httpx.Response(429, headers=headers)] * 3
    with pytest.raises(RateLimited) as caught:
        await insim.send_sms(NUMBER, "Hi")
    assert caught.value.retry_after == asked


@pytest.fixture
def _in_japan(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_in_japan")
@pytest.mark.parametrize("zone", ["GMT", "-0000"])
async def test_a_date_is_held_against_our_clock_where_the_server_names_none(
    insim: AsyncInSim, gateway: Gateway, hours: Hours, zone: str
) -> None:
    hours.time = 0.0
    gateway.answers = [
        httpx.Response(429, headers={"Retry-After": f"Wed, 29 Oct 2025 12:00:05 {zone}"})
    ]
    assert (await insim.send_sms(NUMBER, "Hi")).sent
    assert hours.naps == [5.25]


@pytest.mark.parametrize("seconds", ["31", "1000000000"])
async def test_a_pause_longer_than_the_call_may_take_is_not_waited_for(
    insim: AsyncInSim, gateway: Gateway, hours: Hours, seconds: str
) -> None:
    gateway.answers = [httpx.Response(429, headers={"Retry-After": seconds})]
    with pytest.raises(RateLimited, match="429") as caught:
        await insim.send_sms(NUMBER, "Hi")
    assert caught.value.retry_after == float(seconds)
    with pytest.raises(RateLimited, match="asked for a pause"):
        await insim.click_to_call(NUMBER)
    assert hours.naps == []


async def test_a_wait_longer_than_what_is_left_is_not_begun(gateway: Gateway, hours: Hours) -> None:
    """No attempt begins in the second half of the time."""
    async with AsyncInSim(
        LOGIN, KEY, base_url=BASE_URL, timeout=2.0, retry=Retry(9, 0.5, 30.0), clock=hours.clock
    ) as insim:
        gateway.answers = [httpx.ConnectError("refused")] * 9
        with pytest.raises(NotSent):
            await insim.send_sms(NUMBER, "Hi")
    assert hours.naps == [0.25, 0.5]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            httpx.Response(200, text="<html>Sign in</html>"),
            "not a whole JSON document.*<html>Sign in</html>",
        ),
        (httpx.Response(200, content=b"[]"), "no receipt in it"),
        (httpx.Response(200, json=[{"sent": 1}]), "no receipt that is surely the message's"),
        (httpx.Response(200, headers={"Content-Encoding": "br"}, content=b"\x8b"), "compressed"),
        (httpx.Response(204), "answered 204, but not as documented"),
        (httpx.Response(200, content=b"x" * (8 * 1024 * 1024 + 1)), "more than 8 MiB"),
    ],
    ids=["a captive portal", "nothing", "nothing of use", "compressed", "empty", "endless"],
)
async def test_an_answer_that_is_none_leaves_it_unknown(
    insim: AsyncInSim, gateway: Gateway, answer: httpx.Response, words: str
) -> None:
    gateway.answers = [answer]
    with pytest.raises(OutcomeUnknown, match=words):
        await insim.send_sms(NUMBER, "Hi")
    assert len(gateway.requests) == 1


ECHOES: list[Callable[[dict[str, Any]], bytes]] = [
    lambda sent: json.dumps(sent).encode(),
    lambda sent: json.dumps(sent, ensure_ascii=False).encode(),
    lambda sent: (
        httpx.QueryParams({"a": sent["messages"][0]["message"], "b": sent["header"]["accessKey"]})
        .__str__()
        .encode()
    ),
    lambda sent: b"Bad number 06 39 98 00 01 for " + sent["header"]["login"].encode(),
    lambda sent: (
        b"<p>" + html.escape(sent["messages"][0]["message"]).encode() + b"\r\n\x1b[31m</p>"
    ),
]


@pytest.mark.parametrize("echo", ECHOES)
async def test_an_error_repeats_nothing_of_what_was_sent(
    insim: AsyncInSim, gateway: Gateway, caplog: pytest.LogCaptureFixture, echo: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    text = "Secret <é> tèxt"

    def answer(messages: list[dict[str, Any]]) -> httpx.Response:
        return httpx.Response(400, content=echo(gateway.requests[-1]))

    gateway.answers = [answer]
    with pytest.raises(Refused) as caught:
        await insim.send_sms(NUMBER, text)
    shown = "".join(
        traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    )
    shown = shown.partition('client.py"')[2] + str(caught.value) + repr(caught.value) + caplog.text
    for secret in (KEY, LOGIN, NUMBER, "39980001", "39 98 00 01", "Secret", "t%C3%A8xt", "\x1b"):
        assert secret not in shown
    assert caught.value.__context__ is None


async def test_a_client_is_used_where_it_was_opened(gateway: Gateway) -> None:
    insim = AsyncInSim(LOGIN, KEY, base_url=BASE_URL)
    with pytest.raises(ConfigurationError, match="not open"):
        await insim.send_sms(NUMBER, "Hi")
    async with insim:
        with pytest.raises(ConfigurationError, match="opened before"):
            await insim.__aenter__()
        calls: list[Callable[[], Coroutine[Any, Any, object]]] = [
            lambda: insim.send_many([]),
            lambda: insim.add_contacts([]),
            lambda: insim.send_sms(NUMBER, "Hi"),
            insim.aclose,
        ]
        for call in calls:
            with pytest.raises(ConfigurationError, match="another"):
                await anyio.to_thread.run_sync(anyio.run, call)
    with pytest.raises(ConfigurationError, match="closed"):
        await insim.send_sms(NUMBER, "Hi")
    with pytest.raises(ConfigurationError, match="closed"):
        await anext(insim.stream([]))
    await insim.aclose()
    assert gateway.requests == []


async def test_an_answer_counts_though_its_encoding_is_misnamed(
    insim: AsyncInSim, gateway: Gateway
) -> None:
    def answer(messages: list[dict[str, Any]]) -> httpx.Response:
        return httpx.Response(
            200, headers={"Content-Encoding": "UTF-8"}, json=[receipt(messages[0])]
        )

    gateway.answers = [answer]
    assert (await insim.send_sms(NUMBER, "Hi")).sent


async def test_a_request_that_cannot_be_made_is_a_fault_of_the_setting() -> None:
    """The client that was injected judges the URL; nothing was sent."""
    url = "https://-insim-.t\u200dest"
    async with (
        httpx.AsyncClient() as own,
        AsyncInSim(LOGIN, KEY, base_url=url, http_client=own) as insim,
    ):
        with pytest.raises(
            ConfigurationError, match=r"base_url and http_client make no request: InvalidURL: \w+"
        ):
            await insim.send_sms(NUMBER, "Hi")
        (outcome,) = (await insim.send_many([Sms(NUMBER, "Hi")])).outcomes
        assert outcome.status is Status.NOT_SENT


@pytest.mark.parametrize(
    ("status", "kind", "attempts"), [(s, k, n) for s, k, n in ENDINGS if s > 399]
)
async def test_an_injected_client_with_a_hook_that_raises_ends_in_the_same_way(
    gateway: Gateway, hours: Hours, status: int, kind: type[InSimError], attempts: int
) -> None:
    async def check(response: httpx.Response) -> None:
        response.raise_for_status()

    gateway.answers = [httpx.Response(status)] * 9
    async with (
        httpx.AsyncClient(event_hooks={"response": [check]}) as own,
        AsyncInSim(LOGIN, KEY, base_url=BASE_URL, http_client=own, clock=hours.clock) as insim,
    ):
        with pytest.raises(kind, match=f"the server answered {status}"):
            await insim.send_sms(NUMBER, "Hi")
    assert len(gateway.requests) == attempts


class Elusive(Exception):
    """An exception that does not tell what it is about."""

    @property
    def response(self) -> httpx.Response:
        raise RuntimeError

    request = response


ELSEWHERE = httpx.Request("POST", "https://metrics.test")
OF_OTHERS: list[Exception] = [
    httpx.HTTPStatusError(
        "429", request=ELSEWHERE, response=httpx.Response(429, request=ELSEWHERE)
    ),
    httpx.HTTPStatusError(
        "404", request=ELSEWHERE, response=httpx.Response(404, request=ELSEWHERE)
    ),
    httpx.HTTPStatusError("401", request=ELSEWHERE, response=httpx.Response(401)),
    httpx.ConnectError("refused", request=ELSEWHERE),
    Elusive(),
]


@pytest.mark.parametrize("error", OF_OTHERS, ids=lambda error: f"{type(error).__name__} {error}")
async def test_what_another_server_says_proves_nothing(gateway: Gateway, error: Exception) -> None:
    """A hook tells it of the answer, when the message is on its way already."""

    async def report(response: httpx.Response) -> None:
        raise error

    async with (
        httpx.AsyncClient(event_hooks={"response": [report]}) as own,
        AsyncInSim(LOGIN, KEY, base_url=BASE_URL, http_client=own) as insim,
    ):
        (outcome,) = (await insim.send_many([Sms(NUMBER, "Hi")])).outcomes
    assert outcome.status is Status.UNKNOWN
    assert len(gateway.requests) == 1


class Announcing(httpx.AsyncBaseTransport):
    """Tells how far it has come, as httpcore does, and does one thing after the other."""

    def __init__(self, *deeds: httpx.Response | Exception) -> None:
        self.deeds = list(deeds)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        deed = self.deeds.pop(0)
        if not isinstance(deed, httpx.ConnectError):
            await request.extensions["trace"](
                "http11.send_request_headers.started", {"request": ELSEWHERE}
            )
        if isinstance(deed, Exception):
            raise deed
        return deed


@pytest.mark.parametrize(
    "then", [httpx.ConnectError("refused"), httpx.Response(429)], ids=["refused", "busy"]
)
async def test_what_may_have_arrived_stays_unknown_though_the_next_attempts_never_left(
    hours: Hours, then: httpx.Response | Exception
) -> None:
    transport = Announcing(httpx.ReadError("reset"), then, httpx.ConnectError("refused"))
    async with (
        httpx.AsyncClient(transport=transport) as own,
        AsyncInSim(LOGIN, KEY, base_url=BASE_URL, http_client=own, clock=hours.clock) as insim,
    ):
        (result,) = await insim.add_contacts([Contact(NUMBER)])
    assert isinstance(result.error, OutcomeUnknown)
    assert transport.deeds == []


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        ([], OutcomeUnknown),
        (["connection.connect_tcp.started"], NotSent),
        (["connection.connect_tcp.complete", "connection.start_tls.started"], NotSent),
        (["connection.connect_tcp.failed"], OutcomeUnknown),
        (["connection.connect_tcp.failed", "connection.retry.started"], NotSent),
        (["connection.connect_tcp.started", "http11.send_request_headers.started"], OutcomeUnknown),
    ],
)
async def test_what_is_cut_off_was_not_sent_only_where_that_was_announced(
    steps: list[str], kind: type[InSimError]
) -> None:
    """A step that has failed is followed by another, or by one that is not announced."""
    info = {"request": ELSEWHERE, "return_value": None, "exception": OSError()}
    words = "no connection was made within" if kind is NotSent else "no answer within"

    async def stall(request: httpx.Request) -> Any:
        for step in steps:
            await request.extensions["trace"](step, info)
        await anyio.sleep_forever()

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(stall)) as own,
        AsyncInSim(LOGIN, KEY, base_url=BASE_URL, http_client=own, timeout=0.5) as insim,
    ):
        with pytest.raises(kind, match=words):
            await insim.send_sms(NUMBER, "Hi")


async def test_who_falls_back_on_another_way_without_a_word_proves_nothing(
    gateway: Gateway, hours: Hours
) -> None:
    class Fallback(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            refused = httpx.ConnectError("refused")
            await request.extensions["trace"](
                "connection.connect_tcp.failed", {"exception": refused}
            )
            try:
                raise refused
            except httpx.ConnectError:
                gateway(request)
                raise httpx.ReadTimeout("slow")  # noqa: B904 - as such wrappers are

    async with (
        httpx.AsyncClient(transport=Fallback()) as own,
        AsyncInSim(LOGIN, KEY, base_url=BASE_URL, http_client=own, clock=hours.clock) as insim,
    ):
        with pytest.raises(OutcomeUnknown):
            await insim.send_sms(NUMBER, "Hi")
    assert len(gateway.requests) == 1


async def test_the_exception_that_a_step_failed_with_proves_it(hours: Hours) -> None:
    deeds = [OSError("refused")] * 3

    class Honest(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            error = deeds.pop()
            await request.extensions["trace"]("connection.connect_tcp.failed", {"exception": error})
            raise httpx.NetworkError("?") from error

    async with (
        httpx.AsyncClient(transport=Honest()) as own,
        AsyncInSim(LOGIN, KEY, base_url=BASE_URL, http_client=own, clock=hours.clock) as insim,
    ):
        with pytest.raises(NotSent):
            await insim.send_sms(NUMBER, "Hi")
    assert deeds == []


class Odd(Exception):
    """An exception that can be neither shown nor compared."""

    def __str__(self) -> str:
        raise TypeError

    __eq__ = __hash__ = None  # type: ignore[assignment]  # nor hashed


class Panic(BaseException):
    """What a library that is not written in Python may raise."""


FROM_HOOKS: list[BaseException] = [
    Odd(),
    Panic(),
    asyncio.CancelledError(),
    ConnectionRefusedError(111, "another server"),
    httpx.ConnectError("another server"),
    BaseExceptionGroup("", [Panic()]),
]


@pytest.mark.parametrize("error", FROM_HOOKS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("whose", ["own", "injected"])
async def test_whatever_a_hook_raises_leaves_it_unknown_and_ends_no_call(
    gateway: Gateway, whose: str, error: BaseException
) -> None:
    """The message is on its way then; the report of all the others is kept."""
    turn = 0

    async def raise_it(response: httpx.Response) -> None:
        nonlocal turn
        turn += 1
        if turn == 2:
            raise error

    hooks = {"response": [raise_it]}
    async with httpx.AsyncClient() as mine:
        settings: dict[str, Any] = {} if whose == "own" else {"http_client": mine}
        async with AsyncInSim(
            LOGIN, KEY, base_url=BASE_URL, batch_size=1, max_concurrency=1, **settings
        ) as insim:
            insim.http_client.event_hooks = hooks
            report = await insim.send_many([Sms(NUMBER, "Hi")] * 3)
    assert [outcome.status for outcome in report.outcomes] == ["sent", "unknown", "sent"]
    assert set(gateway.processed.values()) == {1}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), BaseExceptionGroup("", [SystemExit()])])
def test_what_ends_the_program_ends_it(error: BaseException) -> None:
    assert is_to_be_passed_on(error)


async def test_an_account_that_is_refused_with_another_status_is_refused(
    insim: AsyncInSim, gateway: Gateway
) -> None:
    gateway.answers = [httpx.Response(400, json={"result": "failed", "errors": ["#001"]})] * 2
    with pytest.raises(AuthenticationFailed) as caught:
        await insim.send_sms(NUMBER, "Hi")
    assert caught.value.status_code == 400
    report = await insim.send_many([Sms(NUMBER, "Hi")] * 5000)
    assert report.unknown == 0


@pytest.mark.parametrize("status", [100, 199, 600])
async def test_a_status_that_means_nothing_leaves_it_unknown(
    insim: AsyncInSim, gateway: Gateway, status: int
) -> None:
    gateway.answers = [httpx.Response(status)]
    with pytest.raises(OutcomeUnknown):
        await insim.send_sms(NUMBER, "Hi")


async def test_what_is_compressed_is_not_asked_for_even_if_a_header_says_so(
    gateway: Gateway, router: respx.MockRouter
) -> None:
    async with AsyncInSim(LOGIN, KEY, base_url=BASE_URL) as insim:
        insim.http_client.headers["Accept-Encoding"] = "gzip"
        assert (await insim.send_sms(NUMBER, "Hi")).sent


async def raise_cancelled(_: httpx.Request) -> Any:
    raise asyncio.CancelledError


async def cancel_the_task(_: httpx.Request) -> Any:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await anyio.sleep_forever()


@pytest.mark.parametrize(
    ("handler", "words"),
    [(raise_cancelled, "raised CancelledError"), (cancel_the_task, "cancelled the request")],
)
async def test_an_injected_client_that_cancels_itself_leaves_it_unknown(
    handler: Any, words: str
) -> None:
    transport = httpx.MockTransport(handler)
    async with (
        httpx.AsyncClient(transport=transport) as own,
        AsyncInSim(LOGIN, KEY, base_url=BASE_URL, http_client=own) as insim,
    ):
        with pytest.raises(OutcomeUnknown, match=f"the http_client {words}"):
            await insim.send_sms(NUMBER, "Hi")


def test_what_is_raised_at_the_end_shows_no_frame_that_holds_a_body() -> None:
    inner, outer = ValueError(), KeyError()
    inner.__cause__ = outer
    group = BaseExceptionGroup("", [inner])
    group.__context__ = outer
    connection._forget(group)
    assert repr([group.__context__, inner.__cause__]) == "[None, None]"


async def test_a_client_may_be_closed_by_two_at_a_time(router: respx.MockRouter) -> None:
    reached = anyio.Event()

    async def stall(request: httpx.Request) -> httpx.Response:
        reached.set()
        await anyio.sleep(0.05)
        return httpx.Response(200, json={"result": "success"})

    router.post("/api/v1/clicTocall").mock(side_effect=stall)
    async with (
        AsyncInSim(LOGIN, KEY, base_url=BASE_URL) as insim,
        anyio.create_task_group() as group,
    ):
        group.start_soon(insim.click_to_call, NUMBER)
        await reached.wait()
        with anyio.fail_after(3):
            async with anyio.create_task_group() as closing:
                closing.start_soon(insim.aclose)
                closing.start_soon(insim.aclose)


async def test_a_client_that_was_never_opened_can_be_closed() -> None:
    await AsyncInSim(LOGIN, KEY).aclose()


async def test_an_injected_client_that_is_closed_is_no_use(gateway: Gateway) -> None:
    async with httpx.AsyncClient() as own:
        pass
    async with AsyncInSim(LOGIN, KEY, base_url=BASE_URL, http_client=own) as insim:
        with pytest.raises(ConfigurationError, match="http_client of the client is closed"):
            await insim.send_sms(NUMBER, "Hi")


async def test_an_injected_client_stays_open_and_keeps_its_own_headers(
    gateway: Gateway, router: respx.MockRouter
) -> None:
    async with httpx.AsyncClient(headers={"X-Mine": "yes"}, follow_redirects=True) as own:
        async with AsyncInSim(LOGIN, KEY, base_url=BASE_URL, http_client=own) as insim:
            assert (await insim.send_sms(NUMBER, "Hi")).sent
        assert not own.is_closed
    assert router.calls.last.request.headers["X-Mine"] == "yes"
    assert router.calls.last.request.headers["Accept-Encoding"] == "identity"


async def test_a_call_that_takes_too_long_ends_on_time(router: respx.MockRouter) -> None:
    async def stall(request: httpx.Request) -> None:
        await anyio.sleep_forever()

    router.post("/api/v1/clicTocall").mock(side_effect=stall)
    async with AsyncInSim(LOGIN, KEY, base_url=BASE_URL, timeout=0.5) as insim:
        began = time.monotonic()
        with pytest.raises(OutcomeUnknown, match=r"no answer within 0.5 s; it may have been sent"):
            await insim.click_to_call(NUMBER)
        assert time.monotonic() - began >= 0.45


async def test_a_call_that_was_never_made_is_tried_again(
    insim: AsyncInSim, router: respx.MockRouter, hours: Hours
) -> None:
    answer = httpx.Response(200, json=[{"info": "ok", "result": "success", "errors": []}])
    route = router.post("/api/v1/clicTocall")
    route.mock(side_effect=[httpx.ConnectError("refused"), answer])
    assert (await insim.click_to_call(NUMBER)).ok
    assert hours.naps == [0.25]


async def test_a_client_that_is_not_open_calls_nobody() -> None:
    with pytest.raises(ConfigurationError, match="not open"):
        await AsyncInSim(LOGIN, KEY, base_url=BASE_URL).click_to_call(NUMBER)
