"""The client's own HTTP client finds its proxy and its authorities by itself."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import anyio
import httpx
import pytest

from insim_async import ConfigurationError
from insim_async._http import own
from insim_async._http.own import KEEPALIVE, OwnConnections, proxy_for
from insim_async._http.transport import Trail


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


class Transport(httpx.AsyncBaseTransport):
    """Answers, and counts."""

    def __init__(self) -> None:
        self.requests = 0
        self.closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        await anyio.lowlevel.checkpoint()
        return httpx.Response(200)

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
    "proxy", ["ftp://p.test", "http://p.test:port", "http://me:s3cr#t@p.test:1", "socks5://p.test:1"]
)
def test_a_proxy_that_cannot_be_used_is_told_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    """And its password is not. The last one needs a package that is not installed."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    monkeypatch.setitem(sys.modules, "socksio", None)
    with pytest.raises(ConfigurationError, match=r"environment names (is none|needs a package)") as caught:
        OwnConnections("https://insim.test", None)
    assert "s3cr" not in str(caught.value)


def test_authorities_that_cannot_be_read_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "authorities.pem"
    path.write_text("no certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    own._usual_authorities.cache_clear()
    with pytest.raises(ConfigurationError, match=r"SSL_CERT_FILE or SSL_CERT_DIR cannot be used: .+"):
        OwnConnections("https://insim.test", None)


def test_a_host_that_cannot_be_is_told_before_anything_is_sent() -> None:
    with pytest.raises(ConfigurationError, match=r"^base_url: \w+"):
        OwnConnections("https://-insim-.t\u200dest", None)


async def test_connections_that_nobody_used_lately_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    client, made = OwnConnections("https://insim.test", None), list[Transport]()
    client._connect = lambda: made.append(Transport()) or made[-1]  # type: ignore[assignment, func-returns-value]
    with anyio.CancelScope() as scope:
        trail = Trail(scope)
        request = client.request("https://insim.test", b"", trail)
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(client.exchange, request, trail)
        now = time.monotonic()
        await client.exchange(request, trail)
        assert [transport.requests for transport in made] == [1, 1, 2]
        monkeypatch.setattr(time, "monotonic", lambda: now + KEEPALIVE + 1)
        await client.exchange(request, trail)
        assert [transport.requests for transport in made] == [1, 1, 2, 1]
        assert [transport.closed for transport in made] == [True, True, True, False]
    await client.aclose()
    assert made[-1].closed


def test_clients_share_the_authorities() -> None:
    contexts = {OwnConnections("https://insim.test", None)._connect.keywords["verify"] for _ in range(2)}
    assert len(contexts) == 1
