"""One HTTP client behind each AsyncInSim: what works with it, as the page about it says.

The page is checked row by row.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import httpx2
import pytest
import respx
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from insim_async import AsyncInSim, NotSent, OutcomeUnknown
from tests.conftest import BASE_URL, KEY, LOGIN, Gateway, Hours

if TYPE_CHECKING:
    from pytest_httpx import HTTPXMock

NUMBER = "+33639980001"
PAGE = Path(__file__).parent.parent / "docs/how-to/use-your-http-client.md"


def client(**settings: object) -> AsyncInSim:
    return AsyncInSim(LOGIN, KEY, base_url=BASE_URL, **settings)  # type: ignore[arg-type]  # each test has its own


async def send(insim: AsyncInSim) -> None:
    assert (await insim.send_sms(NUMBER, "Hi")).sent


def answering(gateway: Gateway) -> httpx.MockTransport:
    return httpx.MockTransport(gateway)


def test_a_client_has_one_http_client() -> None:
    mine = httpx.AsyncClient()
    assert client(http_client=mine).http_client is mine
    own = client()
    assert isinstance(own.http_client, httpx.AsyncClient)
    assert own.http_client is own.http_client


@pytest.mark.parametrize("whose", ["own", "injected"])
async def test_event_hooks_headers_parameters(
    router: respx.MockRouter, gateway: Gateway, whose: str
) -> None:
    seen: list[object] = []

    async def ask(request: httpx.Request) -> None:
        request.headers["X-Asked"] = "yes"

    async def look(response: httpx.Response) -> None:
        await response.aread()
        seen.append(response.json()[0]["sent"])

    async with (
        httpx.AsyncClient() as mine,
        client(**{} if whose == "own" else {"http_client": mine}) as insim,
    ):
        insim.http_client.headers["X-Team"] = "booking"
        insim.http_client.params = httpx.QueryParams(trace="1")
        insim.http_client.event_hooks = {"request": [ask], "response": [look]}
        await send(insim)
        await send(insim)
    request = router.calls.last.request
    assert (request.headers["X-Team"], request.headers["X-Asked"]) == ("booking", "yes")
    assert (request.headers["Accept-Encoding"], request.headers["Content-Type"]) == (
        "identity",
        "application/json",
    )
    assert request.url.query == b"trace=1"
    assert seen == [1, 1]


async def test_respx(router: respx.MockRouter, gateway: Gateway) -> None:
    async with client() as insim:
        await send(insim)
    assert router.calls.call_count == 1


@pytest.mark.skipif(find_spec("pytest_httpx") is None, reason="it wants another httpx")
async def test_pytest_httpx(
    httpx_mock: HTTPXMock, gateway: Gateway, router: respx.MockRouter, hours: Hours
) -> None:
    router.stop()
    httpx_mock.add_callback(gateway)
    async with httpx.AsyncClient() as mine, client(http_client=mine) as insim:
        await send(insim)
    for _ in range(3):
        httpx_mock.add_exception(httpx.ConnectError("refused"))
    async with httpx.AsyncClient() as mine, client(http_client=mine, clock=hours.clock) as insim:
        with pytest.raises(NotSent):
            await insim.send_sms(NUMBER, "Hi")


async def test_httpx_mocktransport_asgitransport(gateway: Gateway) -> None:
    async with (
        httpx.AsyncClient(transport=answering(gateway)) as mine,
        client(http_client=mine) as insim,
    ):
        await send(insim)


@pytest.mark.parametrize("whose", ["own", "injected"])
async def test_opentelemetry(gateway: Gateway, whose: str) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    async with (
        httpx.AsyncClient() as mine,
        client(**{} if whose == "own" else {"http_client": mine}) as insim,
    ):
        HTTPXClientInstrumentor.instrument_client(insim.http_client, tracer_provider=provider)
        await send(insim)
    (span,) = exporter.get_finished_spans()
    assert KEY not in span.to_json()
    assert NUMBER not in span.to_json()


@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_proxies(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """Those of the environment; ``tests/faults/test_connecting.py`` has them on a wire."""
    for name in (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "https_proxy",
        "all_proxy",
        "no_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://127.0.0.1:9")
    async with client(timeout=5) as insim:
        with pytest.raises(NotSent, match="nothing was sent"):
            await insim.send_sms(NUMBER, "Hi")


async def test_httpx2(gateway: Gateway) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        found = gateway(httpx.Request("POST", str(request.url), content=request.content))
        return httpx2.Response(found.status_code, content=found.content)

    async with (
        httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as mine,
        client(http_client=mine) as insim,
    ):
        assert id(insim.http_client) == id(mine)
        await send(insim)


async def test_httpx_aiohttp(hours: Hours) -> None:
    """Refused by the system: not sent.

    What else it raises is told in ``tests/faults/test_hangups.py``.
    """
    httpx_aiohttp = pytest.importorskip("httpx_aiohttp")
    async with (
        httpx_aiohttp.HttpxAiohttpClient() as mine,
        AsyncInSim(
            LOGIN, KEY, base_url="http://127.0.0.1:9", http_client=mine, clock=hours.clock
        ) as insim,
    ):
        with pytest.raises(NotSent):
            await insim.send_sms(NUMBER, "Hi")


async def test_cookies_and_auth(router: respx.MockRouter, gateway: Gateway) -> None:
    def answer(messages: list[dict[str, object]]) -> httpx.Response:
        taken = gateway.take(messages)
        return httpx.Response(200, headers={"Set-Cookie": "session=1"}, content=taken.content)

    gateway.answers = [answer, answer]
    async with client() as insim:
        await send(insim)
        await send(insim)
    assert "Cookie" not in router.calls.last.request.headers
    assert "Authorization" not in router.calls.last.request.headers
    async with (
        httpx.AsyncClient(auth=("me", "secret"), cookies={"a": "b"}) as mine,
        client(http_client=mine) as insim,
    ):
        await send(insim)
    assert router.calls.last.request.headers["Cookie"] == "a=b"
    assert router.calls.last.request.headers["Authorization"].startswith("Basic ")


def test_each_row_of_the_page_has_a_test() -> None:
    rows = re.findall(r"^\| (.+?) \|", PAGE.read_text("utf-8"), re.MULTILINE)[2:]
    named = {"test_" + "_".join(re.findall(r"\w+", row.replace("`", "").lower())) for row in rows}
    assert len(named) == 9
    assert named <= globals().keys()


async def test_a_hook_that_raises_after_the_answer_leaves_it_unknown(gateway: Gateway) -> None:
    async def fail(response: httpx.Response) -> None:
        raise LookupError

    async with client() as insim:
        insim.http_client.event_hooks = {"response": [fail]}
        with pytest.raises(OutcomeUnknown):
            await insim.send_sms(NUMBER, "Hi")
        insim.http_client.event_hooks = {}
        await send(insim)
    assert set(gateway.processed.values()) == {1}


async def test_an_own_client_that_was_closed_by_hand_is_no_use(gateway: Gateway) -> None:
    async with client() as insim:
        await insim.http_client.aclose()
        with pytest.raises(Exception, match="http_client"):
            await insim.send_sms(NUMBER, "Hi")
