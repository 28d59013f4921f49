"""Exploring at random finds nothing in a few messages, and could find something.

``nox -s explore`` goes on for longer.
"""

from __future__ import annotations

import random
from typing import Any

import httpx
import pytest

import tests.faults.bench
from tests.explore.rounds import Explorer

from .bench import HTTPX, Leg
from .gateway import Gateway


def test_a_round_finds_nothing(gateway: Gateway, leg: Leg, seed: int) -> None:
    """Whatever is drawn."""
    Explorer(leg, gateway, random.Random(seed), 100).explore()


class Doubling(httpx.AsyncHTTPTransport):
    """Sends everything twice."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it, and send it again."""
        await (await super().handle_async_request(request)).aread()
        return await super().handle_async_request(request)


def test_a_client_that_sends_twice_is_found_out(
    gateway: Gateway, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what the server counted."""

    def doubling(*settings: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=Doubling())

    monkeypatch.setattr(tests.faults.bench, "http_client_of", doubling)
    explorer = Explorer(HTTPX, gateway, random.Random(seed), 30)
    explorer.share = explorer.cancelled = 0.0
    explorer.stepwise = False
    with pytest.raises(AssertionError, match="processed more than once"):
        explorer.explore()
