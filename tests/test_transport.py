"""The one HTTP client behind a client: its own, or one that was injected.

Its own has a connection for each slot.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import anyio
import httpx
import pytest

from insim_async import AsyncInSim, ConfigurationError
from insim_async._http import own
from insim_async._http.own import SlotTransport, own_transport
from insim_async._http.slots import KEEPALIVE, ProxiedSlot, proxy_for
from insim_async._http.trail import Trail


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


class Slot(httpx.AsyncBaseTransport):
    """Answers, and counts."""

    def __init__(self) -> None:
        self.requests = 0
        self.closed = False
        self.gone = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        await anyio.lowlevel.checkpoint()
        return httpx.Response(200, stream=httpx.ByteStream(b"[]"))

    def is_reusable(self) -> bool:
        return not self.gone

    async def aclose(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://p.test:1"}, "http://p.test:1"),
        ({"HTTPS_PROXY": "p.test:1"}, "http://p.test:1"),
        ({"HTTPS_PROXY": ""}, None),
        ({"ALL_PROXY": "http://p.test:1"}, "http://p.test:1"),
        ({"HTTP_PROXY": "http://p.test:1"}, None),
        ({"HTTPS_PROXY": "http://p.test:1", "NO_PROXY": "insim.test"}, None),
    ],
)
def test_the_usual_proxy_variables_are_honoured(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], proxy: str | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_for("https://insim.test") == proxy


@pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"])
def test_no_proxy_gets_to_read_the_key(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What is not encrypted stays on this machine."""
    monkeypatch.setenv(name, "http://p.test:1")
    assert proxy_for("http://127.0.0.2:8080") is None


@pytest.mark.parametrize(
    "proxy",
    ["ftp://p.test", "http://p.test:port", "http://me:s3cr#t@p.test:1", "socks5://p.test:1"],
)
def test_a_proxy_that_cannot_be_used_is_told_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    """And its password is not. The last one needs a package that is not installed."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    monkeypatch.setitem(sys.modules, "socksio", None)
    with pytest.raises(
        ConfigurationError, match=r"environment names (is none|needs a package)"
    ) as caught:
        own_transport("https://insim.test", None)
    assert "s3cr" not in str(caught.value)


def test_authorities_that_cannot_be_read_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "authorities.pem"
    path.write_text("no certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    own._usual_authorities.cache_clear()
    with pytest.raises(
        ConfigurationError, match=r"SSL_CERT_FILE or SSL_CERT_DIR cannot be used: .+"
    ):
        own_transport("https://insim.test", None)


def test_a_host_that_cannot_be_is_told_before_anything_is_sent() -> None:
    with pytest.raises(ConfigurationError, match=r"^base_url: \w+"):
        own_transport("https://-insim-.t\u200dest", None)


@pytest.fixture
def slots(monkeypatch: pytest.MonkeyPatch) -> list[Slot]:
    """The connections that are made."""
    made: list[Slot] = []

    def make(*_: object) -> Slot:
        made.append(Slot())
        return made[-1]

    monkeypatch.setattr(own, "slot_maker", lambda *_: make)
    return made


async def test_connections_that_nobody_used_lately_are_closed(
    monkeypatch: pytest.MonkeyPatch, slots: list[Slot]
) -> None:
    transport, trail = own_transport("https://insim.test", None), Trail()
    request = transport.request("/", b"", trail)
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(transport.exchange, request, trail)
    now = time.monotonic()
    await transport.exchange(request, trail)
    assert [slot.requests for slot in slots] == [1, 1, 2]
    monkeypatch.setattr(time, "monotonic", lambda: now + KEEPALIVE + 1)
    await transport.exchange(request, trail)
    assert [slot.requests for slot in slots] == [1, 1, 2, 1]
    assert [slot.closed for slot in slots] == [True, True, True, False]
    await transport.aclose()
    assert slots[-1].closed
    assert transport.is_closed


async def test_a_connection_that_the_server_has_closed_is_not_used_again(slots: list[Slot]) -> None:
    client = httpx.AsyncClient(transport=SlotTransport("https://insim.test", None))
    async with client:
        await client.get("https://insim.test")
        slots[0].gone = True
        await client.get("https://insim.test")
    assert [(slot.requests, slot.closed) for slot in slots] == [(1, True), (1, True)]


async def test_an_answer_that_is_not_read_to_its_end_costs_its_connection(
    slots: list[Slot],
) -> None:
    client = httpx.AsyncClient(transport=SlotTransport("https://insim.test", None))
    async with client:
        async with client.stream("GET", "https://insim.test") as response:
            await response.aclose()
        await response.aclose()
        await client.get("https://insim.test")
    assert [slot.requests for slot in slots] == [1, 1]


def test_a_connection_through_a_proxy_is_made_anew_by_itself() -> None:
    assert ProxiedSlot("http://127.0.0.1:9", own._usual_authorities()).is_reusable()


def test_clients_share_the_authorities() -> None:
    assert own._usual_authorities() is own._usual_authorities()


@pytest.mark.parametrize(
    "url", ["http://insim.test", "https://insim.test:8443", "https://other.test"]
)
async def test_the_own_client_is_for_one_host(url: str) -> None:
    """It would send the others' requests there."""
    async with AsyncInSim("me", "key", base_url="https://insim.test") as insim:
        with pytest.raises(
            httpx.UnsupportedProtocol, match=r"this client is for https://insim\.test alone"
        ):
            await insim.http_client.get(url)


def test_the_own_client_keeps_no_cookies() -> None:
    client = AsyncInSim("me", "key").http_client
    with pytest.raises(AttributeError, match="keeps no cookies"):
        client.cookies = {"a": "b"}
