"""The client's own HTTP client finds its proxy and its authorities by itself."""

from __future__ import annotations

import pytest

from insim_async._transport import OwnClient, proxy_for


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://p.test:1"}, "http://p.test:1"),
        ({"ALL_PROXY": "http://p.test:1"}, "http://p.test:1"),
        ({"HTTP_PROXY": "http://p.test:1"}, None),
        ({"HTTPS_PROXY": "http://p.test:1", "NO_PROXY": "insim.test"}, None),
    ],
)
def test_the_usual_proxy_variables_are_honoured(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], proxy: str | None
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_for("https://insim.test") == proxy


async def test_clients_share_the_authorities() -> None:
    async with OwnClient("https://insim.test", None) as one, OwnClient("https://insim.test", None) as other:
        contexts = {client._transport._connect.keywords["verify"] for client in (one, other)}  # type: ignore[attr-defined]
    assert len(contexts) == 1
